"""One kernel call laid out in the emulated core's memory: what the table is profiled with, and tests compare.

Kernels run the same instructions for any values, so one call with random ones tells an operation's cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.emulation.emulator import RAM_BASE, RAM_BYTES, STACK_BYTES
from hwmodels.kernels.variants import KernelVariant, UnsupportedOpError, scratch_bytes, variant_of
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import (
    ClassSettings,
    HeadSettings,
    HeartRateSettings,
    IntegerParameters,
    Quantization,
    weight_shape,
)
from hwmodels.network.operation_kind import Operands, kind_of

_DATA_OFFSET, _ARENA_OFFSET = 0x1000, 2 << 20
_GUARD_BYTES = 16
_GRID = Quantization(0.05, -128)
_HEART_RATE = HeartRateSettings(30, 220, 20)
_LARGEST_SHIFT = 10


@dataclass(frozen=True)
class CallMemory:
    """Where a call's constants, tensors and scratch lie: `size` bytes from `base` on; `pointer` packs one."""

    base: int
    size: int
    pointer: str = "I"

    @property
    def constants(self) -> tuple[int, int]:
        """First and last address of what a network would hold in flash."""
        return self.base, self.base + _ARENA_OFFSET - 1


CORE_MEMORY = CallMemory(RAM_BASE, RAM_BYTES - STACK_BYTES)
CONSTANTS = CORE_MEMORY.constants


@dataclass(frozen=True)
class KernelCall:
    """A C function, its arguments, the memory it expects as pairs (address, bytes), and where it writes."""

    function: str
    arguments: tuple[int, ...]
    writes: tuple[tuple[int, bytes], ...]
    output: int


def kernel_call(op: Op, rng: np.random.Generator, variant: KernelVariant | None = None) -> KernelCall:
    """The call that executes `op` once on random int8 input with random weights, by default the fast one.

    Raises UnsupportedOpError when no kernel serves the op or it does not fit the emulated memory.
    """
    channels = op.filters
    parameters = None
    if op.has_parameters:
        bound = max(1, min(127, (1 << 15) // (op.weight_count // channels)))
        parameters = IntegerParameters(
            rng.integers(-bound, bound + 1, weight_shape(op)).astype(np.int8),
            rng.integers(-1000, 1000, channels).astype(np.int32),
            rng.integers(1 << 30, (1 << 31) - 1, channels).astype(np.int32),
            rng.integers(-_LARGEST_SHIFT, 0, channels).astype(np.int32),
        )
    operands = [rng.integers(-128, 128, shape).astype(np.int8) for shape in op.operand_shapes]
    head: HeadSettings = _HEART_RATE
    if kind_of(op).head_settings is ClassSettings:
        head = ClassSettings(("",) * op.channels_in, 0.5)
    return place_call(op, parameters, (_GRID,) * (len(operands) + 1), operands, head, variant)


def place_call(
    op: Op,
    parameters: IntegerParameters | None,
    grids: Sequence[Quantization],
    operands: Sequence[NDArray[np.int8]],
    head: HeadSettings | None = None,
    variant: KernelVariant | None = None,
    memory: CallMemory = CORE_MEMORY,
) -> KernelCall:
    """The call of `op` on given operands (length, channels), by default in the emulated core's memory.

    `grids` are those of the operands, then of the output (for a head: of the logits). `variant` may force the
    exact kernel. Raises FastFormError when the parameters break the fast kernel's preconditions.
    """
    variant = variant or variant_of(op)
    record = kind_of(op).constants(op, variant, Operands(tuple(grids), parameters, head))
    writes = record.placed(memory.base, memory.base + _DATA_OFFSET, memory.pointer)
    places, end = [], memory.base + _ARENA_OFFSET
    for operand in operands:
        places.append(end)
        writes.append((end, operand.tobytes()))
        end += -(-operand.nbytes // 4) * 4 + _GUARD_BYTES
    scratch = end + -(-op.output_bytes // 4) * 4 + _GUARD_BYTES
    if scratch + scratch_bytes(op) + op.state_bytes > memory.base + memory.size:
        raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): its tensors exceed the emulated memory")
    if op.state_bytes:
        kind = kind_of(op)
        writes.append((scratch, kind.state_image(op, kind.initial_state(op, grids[-1], 1))))
    arguments = (memory.base, places[0], places[-1], end, scratch)
    return KernelCall(variant.function, arguments, tuple(writes), end)
