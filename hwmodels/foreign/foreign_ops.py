"""What other people's networks compute and ours do not: calls of the kernels in hwmodels/c/kernels/foreign.

Rules in `hwmodels.foreign.operators` make them, `foreign_profiling` executes each call on the emulated core.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod

from hwmodels.c.text import C_FOLDER, sources_in
from hwmodels.kernels.variants import STEP_BYTES, kernel_sources
from hwmodels.network.graph import Op

SOURCES = C_FOLDER / "kernels" / "foreign"


@dataclass(frozen=True)
class ForeignKernel:
    """A C function: the layout of its record, P a pointer to a constant; whether it is tuned and exact, or simple
    code whose cycles are an upper bound.
    """

    function: str
    record: str
    is_bound: bool = False

    def packed(self, numbers: Sequence[int], constant: int) -> bytes:
        """The record that holds `numbers` and the constant's address."""
        given = iter(numbers)
        values = [constant if kind == "P" else next(given) for kind in self.record]
        return struct.pack("<" + self.record.replace("P", "I"), *values)


LOOKUP = ForeignKernel("ppgnet_lookup", "PI")
MAX_POOL = ForeignKernel("ppgnet_max_pool", "IIIIII")
COPY = ForeignKernel("ppgnet_copy_runs", "IIII")
PAD = ForeignKernel("ppgnet_pad", "IIIIIIi")
PLAIN_MAX_POOL = ForeignKernel("ppgnet_plain_max_pool", "IIIIII", True)
PLAIN_AVERAGE = ForeignKernel("ppgnet_plain_average", "IIIIII", True)
PLAIN_SUM = ForeignKernel("ppgnet_plain_sum", "PIIIIII" + 10 * "i", True)
PLAIN_PRODUCT = ForeignKernel("ppgnet_plain_product", "PIIIIII" + 10 * "i", True)
PLAIN_SOFTMAX = ForeignKernel("ppgnet_plain_softmax", "IIP", True)
PLAIN_MOVE = ForeignKernel("ppgnet_plain_move", "IIIIiiii", True)
PLAIN_QUANTIZE = ForeignKernel("ppgnet_plain_quantize", "fiI", True)
PLAIN_DEQUANTIZE = ForeignKernel("ppgnet_plain_dequantize", "fiI", True)
FOREIGN_KERNELS = (
    *(LOOKUP, MAX_POOL, COPY, PAD, PLAIN_MAX_POOL, PLAIN_AVERAGE, PLAIN_SUM, PLAIN_PRODUCT, PLAIN_SOFTMAX, PLAIN_MOVE),
    *(PLAIN_QUANTIZE, PLAIN_DEQUANTIZE),
)
"""Every kernel of hwmodels/c/kernels/foreign."""


@dataclass(frozen=True)
class ForeignCall:
    """A call: the numbers of its record, the bytes of the constant that it points to (0: none), and how many times
    its innermost loop runs. `key` names it in a table: all that its cycles depend on.
    """

    kernel: ForeignKernel
    numbers: tuple[int, ...]
    constant_bytes: int = 0
    loops: int = 0

    @property
    def key(self) -> str:
        """The call's name in a table."""
        fields = (self.kernel.function.removeprefix("ppgnet_"), *self.numbers, self.constant_bytes)
        return "|".join(map(str, fields))

    @property
    def data_bytes(self) -> int:
        """Flash for the step, the record and the constant."""
        record = 4 * len(self.kernel.record)
        return STEP_BYTES + record + -(-self.constant_bytes // 4) * 4


@dataclass(frozen=True)
class ForeignOp(Op):
    """An operation of a foreign network: `calls` compute it, none where there is no kernel or nothing to do.

    `operands` are the (length, channels) of what it reads, in bytes; `is_elementwise` says whether it may write
    over its first operand; `is_end` that it stands for the caller who reads a network's outputs.
    """

    operands: tuple[tuple[int, int], ...] = ()
    calls: tuple[ForeignCall, ...] = ()
    is_elementwise: bool = False
    is_end: bool = False
    label: str = field(default="", compare=False)

    @classmethod
    def of(
        cls,
        name: str,
        operands: Sequence[tuple[int, int]],
        made: tuple[int, int],
        calls: Sequence[ForeignCall] = (),
        *,
        label: str = "",
        is_elementwise: bool = False,
    ) -> ForeignOp:
        """An operation that reads tensors of such shapes and makes one of (length, channels)."""
        first = operands[0] if operands else made
        return cls(
            name,
            "foreign",
            *first,
            *made,
            operands=tuple(operands),
            calls=tuple(calls),
            label=label,
            is_elementwise=is_elementwise,
        )

    @property
    def operand_shapes(self) -> tuple[tuple[int, int], ...]:
        """As of any op; as many as there are."""
        return self.operands

    @property
    def may_write_over_operand(self) -> bool:
        """As of any op."""
        return self.is_elementwise

    @property
    def output_bytes(self) -> int:
        """As of any op."""
        return 0 if self.is_end else self.length_out * self.channels_out

    @property
    def shape(self) -> tuple[str | int, ...]:
        """As of any op; equal shapes run the same calls."""
        return (*super().shape, *(number for shape in self.operands for number in shape), *(c.key for c in self.calls))

    @property
    def is_bound(self) -> bool:
        """Whether simple code stands for a kernel that would be faster."""
        return any(call.kernel.is_bound for call in self.calls)

    @property
    def data_bytes(self) -> int:
        """Flash for all calls' constants."""
        return sum(call.data_bytes for call in self.calls)

    @property
    def scratch_bytes(self) -> int:
        """None: its kernels work in their tensors alone."""
        return 0

    @property
    def code_units(self) -> frozenset[str]:
        """The functions that its calls call."""
        return frozenset(call.kernel.function for call in self.calls)


def lookup(elements: int) -> ForeignCall:
    """Any function of one int8 value, on so many elements."""
    words = -(-elements // 4)
    return ForeignCall(LOOKUP, (words,), 256, words)


def moved(sizes: Sequence[int]) -> ForeignCall:
    """Elements of a tensor of such axes taken one by one from anywhere: whatever only moves data is no slower."""
    axes = [size for size in sizes if size > 1][::-1]
    while len(axes) > 4:
        axes[-2:] = [axes[-2] * axes[-1]]
    axes += [1] * (4 - len(axes))
    return ForeignCall(PLAIN_MOVE, (*axes, 1, 0, 0, 0), loops=prod(axes))


def foreign_sources() -> dict[str, str]:
    """The C sources of the kernels and the headers that they include, file name to text."""
    headers = {name: text for name, text in kernel_sources().items() if name.endswith(".h")}
    return headers | sources_in(SOURCES)


@cache
def source_hash() -> str:
    """SHA-256 over those sources: what a kept call must have been measured with."""
    return hashlib.sha256(repr(sorted(foreign_sources().items())).encode()).hexdigest()
