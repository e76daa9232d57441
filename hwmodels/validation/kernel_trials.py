"""Random calls of one kernel: its C on the emulated core, its C on this machine, and the interpreter.

Shapes, zero points, weights and scales are random; in a good part of the calls accumulators lie at the limit
of what the kernel is proven for, multipliers and shifts at their ends.
"""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.c.toolchain import Toolchain, link_shared
from hwmodels.emulation.emulator import Emulator
from hwmodels.emulation.kernel_call import CORE_MEMORY, CallMemory, KernelCall, place_call
from hwmodels.kernels.variants import KernelVariant, exact_variant, kernel_sources, variants_of
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import (
    ClassSettings,
    HeadSettings,
    HeartRateSettings,
    IntegerParameters,
    Quantization,
    weight_shape,
)
from hwmodels.network.interpreter import compute
from hwmodels.network.operation_kind import FastFormError, Operands, all_kinds, kind_of
from hwmodels.network.operations.matrix_product import is_matrix

Int8s = NDArray[np.int8]
_HOST_BYTES = 4 << 20
_PAINT = 0x77
_LIMIT, _PACKED_LIMIT = 1 << 30, 1 << 22


@dataclass(frozen=True)
class Trial:
    """A call: `operands` (length, channels) on `grids`, the output's last; `state` is what it kept."""

    op: Op
    variant: KernelVariant
    parameters: IntegerParameters | None
    grids: tuple[Quantization, ...]
    operands: tuple[Int8s, ...]
    head: HeadSettings | None = None
    state: Int8s | None = None

    def expected(self) -> bytes:
        """What the interpreter makes of it."""
        operands = [operand[None] for operand in self.operands]
        if self.state is not None:
            given = Operands(self.grids, self.parameters)
            return kind_of(self.op).step(self.op, operands[0], self.state[None], given)[0].tobytes()
        made = compute(self.op, operands, self.grids, self.parameters, self.head)
        return made.astype("<i4").tobytes() if self.head else made.tobytes()

    def call(self, memory: CallMemory, size: int) -> KernelCall:
        """The call in `memory`, its `size` bytes of output painted before. Raises FastFormError."""
        made = place_call(self.op, self.parameters, self.grids, self.operands, self.head, self.variant, memory)
        writes = [*made.writes, (made.output, bytes([_PAINT]) * size)]
        if self.state is not None:
            writes.append((made.arguments[4], kind_of(self.op).state_image(self.op, self.state[None])))
        return KernelCall(made.function, made.arguments, tuple(writes), made.output)


@dataclass(frozen=True)
class Found:
    """How many calls of a kernel were compared, how many differ from the interpreter, and the first one."""

    kernel: str
    cases: int
    core_mismatches: int
    host_mismatches: int
    first: str = ""

    def __add__(self, other: Found) -> Found:
        """Both together, of one kernel."""
        return Found(
            self.kernel,
            self.cases + other.cases,
            self.core_mismatches + other.core_mismatches,
            self.host_mismatches + other.host_mismatches,
            self.first or other.first,
        )


class HostKernels:
    """The kernels compiled for this machine, and memory of their own to be called in."""

    def __init__(self, toolchain: Toolchain) -> None:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "kernels.so"
            link_shared(toolchain, kernel_sources(), {}, library)
            self._library = ctypes.CDLL(str(library))
        self._bytes = np.zeros(_HOST_BYTES // 16, np.complex128)
        self.memory = CallMemory(self._bytes.ctypes.data, _HOST_BYTES, "Q")

    def output(self, call: KernelCall, size: int) -> bytes:
        """Call a kernel placed in `memory`; the bytes it writes."""
        for address, content in call.writes:
            ctypes.memmove(address, content, len(content))
        function = getattr(self._library, call.function)
        function.restype = None
        function(*map(ctypes.c_void_p, call.arguments))
        return ctypes.string_at(call.output, size)


def run_trials(
    variant: KernelVariant, count: int, rng: np.random.Generator, emulator: Emulator, host: HostKernels
) -> Found:
    """Compare `count` random calls of a kernel."""
    core_differs = host_differs = 0
    first = ""
    for _ in range(count):
        trial, expected, call = _fast_trial(variant, rng)
        emulator.call(call.function, call.arguments, call.writes)
        on_core = emulator.read(call.output, len(expected)) == expected
        size = len(expected)
        on_host = host.output(trial.call(host.memory, size), size) == expected
        core_differs += not on_core
        host_differs += not on_host
        if not (on_core and on_host) and not first:
            first = f"{trial.op} {trial.grids}"
    return Found(variant.name, count, core_differs, host_differs, first)


def _fast_trial(variant: KernelVariant, rng: np.random.Generator) -> tuple[Trial, bytes, KernelCall]:
    """A trial inside the kernel's form, with its result."""
    while True:
        trial = random_trial(variant, rng)
        expected = trial.expected()
        try:
            return trial, expected, trial.call(CORE_MEMORY, len(expected))
        except FastFormError:
            continue


def random_trial(variant: KernelVariant, rng: np.random.Generator) -> Trial:
    """A random call of a kernel; its parameters may break the kernel's preconditions."""
    op = _random_op(variant, rng)
    kind = kind_of(op)
    operands = [_values(rng, shape) for shape in op.operand_shapes]
    if kind.is_head:
        return _head_trial(op, variant, operands[0], rng)
    grids = [_grid(rng) for _ in range(len(operands) + 1)]
    parameters = state = None
    if op.has_parameters:
        if kind.keeps_grid:
            grids[1] = grids[0]
        elif op.activation == "relu" and (variant != exact_variant(op) or rng.random() < 0.5):
            grids[1] = Quantization(grids[1].scale, -128)
        parameters = _random_parameters(op, variant, grids[0].zero_point, rng)
    elif kind.keeps_grid:
        grids[-1] = grids[0]
    else:
        largest = max(grid.scale for grid in grids[:-1])
        grids[-1] = Quantization(float(largest * rng.uniform(0.5, 2.0)), grids[-1].zero_point)
    if op.state_bytes:
        shape = kind.initial_state(op, grids[-1], 1).shape[1:]
        state = _values(rng, shape)
    return Trial(op, variant, parameters, tuple(grids), tuple(operands), state=state)


def _random_op(variant: KernelVariant, rng: np.random.Generator) -> Op:
    kinds = [kind for kind in all_kinds() if variant in kind.kernels]
    while True:
        op = kinds[int(rng.integers(len(kinds)))].example(rng, variant)
        if op is not None and variant in variants_of(op):
            return op


def _grid(rng: np.random.Generator) -> Quantization:
    zero_point = int(rng.choice([-128, 0, 127])) if rng.random() < 0.3 else int(rng.integers(-128, 128))
    return Quantization(float(rng.uniform(0.01, 0.1)), zero_point)


def _values(rng: np.random.Generator, shape: tuple[int, ...]) -> Int8s:
    """int8 all over the range, or at its ends alone."""
    style = rng.integers(4)
    if style == 0:
        return np.full(shape, rng.choice([-128, 127]), np.int8)
    if style == 1:
        return rng.choice(np.array([-128, 127], np.int8), shape)
    return rng.integers(-128, 128, shape).astype(np.int8)


def _random_parameters(op: Op, variant: KernelVariant, zero_point: int, rng: np.random.Generator) -> IntegerParameters:
    channels, is_exact = op.filters, variant == exact_variant(op)
    weight = _weights(op, rng)
    rows = weight.T if kind_of(op).is_channelwise else weight.reshape(channels, -1)
    rows = rows.astype(np.int64)
    ends = np.stack([rows * -128, rows * 127])
    offset = zero_point * rows.sum(axis=1)
    lowest, highest = (end.sum(axis=1) - offset for end in (ends.min(axis=0), ends.max(axis=0)))
    spread = np.maximum(1, highest - lowest)
    limits = np.full(channels, (1 << 31) - 1 if is_exact else _LIMIT)
    if is_matrix(variant):
        limits[1::2] = _PACKED_LIMIT
    bias = rng.integers(-spread, spread + 1)
    style = rng.integers(4, size=channels)
    bias = np.where(style == 0, limits - 1 - highest, np.where(style == 1, 1 - limits - lowest, bias))
    # Shifts that leave outputs spread over the int8 range, or any.
    reach = np.maximum(abs(bias + lowest), abs(bias + highest)).clip(1)
    shift = np.ceil(np.log2(reach / 128)).astype(np.int64) + rng.integers(-2, 3, channels)
    multiplier = rng.integers(1 << 30, 1 << 31, channels)
    if is_exact:
        shift = np.where(rng.random(channels) < 0.3, rng.integers(-30, 32, channels), shift.clip(-30, 31))
        multiplier[rng.random(channels) < 0.05] = 0
    else:
        most = 15 if "relu" in variant.name and is_matrix(variant) else 22
        shift = np.where(rng.random(channels) < 0.2, rng.integers(1, most + 1, channels), shift.clip(1, most))
    ends_of_range = rng.choice([1 << 30, (1 << 31) - 1], channels)
    multiplier = np.where(rng.random(channels) < 0.3, ends_of_range, multiplier)
    return IntegerParameters(weight, *(values.astype(np.int32) for values in (bias, multiplier, -shift)))


def _weights(op: Op, rng: np.random.Generator) -> Int8s:
    style, shape = rng.integers(5), weight_shape(op)
    if style == 0:
        return np.full(shape, rng.choice([-127, 127]), np.int8)
    if style == 1:
        return rng.choice(np.array([-127, 0, 127], np.int8), shape)
    bound = int(rng.choice([3, 40, 127]))
    return rng.integers(-bound, bound + 1, shape).astype(np.int8)


def _head_trial(op: Op, variant: KernelVariant, logits: Int8s, rng: np.random.Generator) -> Trial:
    if rng.random() < 0.5:
        peak, slope = rng.integers(op.channels_in), rng.integers(1, 12)
        logits = np.clip(127 - slope * abs(np.arange(op.channels_in) - peak), -128, 127).astype(np.int8)[None]
    head: HeadSettings = HeartRateSettings(
        float(rng.uniform(20, 60)), float(rng.uniform(100, 300)), float(rng.uniform(0, 60))
    )
    if kind_of(op).head_settings is ClassSettings:
        head = ClassSettings(tuple(map(str, range(op.channels_in))), float(rng.uniform(0, 1)))
    grid = Quantization(float(rng.uniform(0.001, 0.3)), int(rng.integers(-128, 128)))
    return Trial(op, variant, None, (grid,), (logits,), head)
