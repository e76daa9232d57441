"""One kernel call with random parameters in the emulated core's memory: what the table is profiled with.

Kernels run the same instructions for any values, so one call tells an operation's cost.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from hwmodels.emulator import RAM_BASE, RAM_BYTES, STACK_BYTES
from hwmodels.graph import Op
from hwmodels.heads import exponential_table
from hwmodels.integer_model import IntegerParameters, Quantization, weight_shape
from hwmodels.packing import pack_depthwise, pack_matrix
from hwmodels.variants import EXACT, UnsupportedOpError, scratch_bytes, variant_of

PARAMETERS = RAM_BASE
_DATA = RAM_BASE + 0x1000
_ARENA = RAM_BASE + (2 << 20)
_GRID = Quantization(0.05, -128)
_LARGEST_SHIFT = 10


@dataclass(frozen=True)
class KernelCall:
    """A C function, its arguments, and the memory it expects: pairs (address, bytes)."""

    function: str
    arguments: tuple[int, ...]
    writes: tuple[tuple[int, bytes], ...]


def kernel_call(op: Op, rng: np.random.Generator) -> KernelCall:
    """The call that executes `op` once on random int8 input with random weights.

    Raises UnsupportedOpError when no kernel serves the op or it does not fit.
    """
    variant = variant_of(op)
    writes = _parameters(op, rng)
    input_bytes = -(-op.input_bytes // 4) * 4
    operands = (_ARENA, _ARENA + input_bytes)
    after = operands[1] + (input_bytes if op.kind == "add" else 0)
    scratch = after + -(-op.output_bytes // 4) * 4 + 16
    for address in operands[: 2 if op.kind == "add" else 1]:
        writes.append((address, rng.integers(-128, 128, input_bytes).astype(np.int8).tobytes()))
    if scratch + scratch_bytes(op) > RAM_BASE + RAM_BYTES - STACK_BYTES:
        raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): its tensors exceed the emulated memory")
    return KernelCall(variant.function, (PARAMETERS, *operands, after, scratch), tuple(writes))


def _parameters(op: Op, rng: np.random.Generator) -> list[tuple[int, bytes]]:
    if op.kind == "add":
        return [(PARAMETERS, struct.pack("<iiiI", 1 << 27, 1 << 27, 1 << 19, -(-op.output_bytes // 4)))]
    if op.kind in ("heart_rate_head", "class_head"):
        belief = exponential_table(_GRID.scale).astype("<u2").tobytes()
        if op.kind == "class_head":
            return [(PARAMETERS, struct.pack("<iI", 1 << 14, op.channels_in) + belief)]
        return [(PARAMETERS, struct.pack("<iiiI", 30 * 256, 1 << 17, 20 * 256, op.channels_in) + belief)]
    layer = struct.pack(
        "<HHHHHHBBbbI",
        *(op.length_in, op.channels_in, op.length_out, op.channels_out, op.dilation, op.padding_before),
        *(op.kernel, op.stride, _GRID.zero_point, _GRID.zero_point, _DATA),
    )
    if op.kind == "average_pool":
        return [(PARAMETERS, layer)]
    channels = op.channels_out
    parameters = IntegerParameters(
        rng.integers(-127, 128, weight_shape(op)).astype(np.int8),
        rng.integers(-1000, 1000, channels).astype(np.int32),
        rng.integers(1 << 30, (1 << 31) - 1, channels).astype(np.int32),
        rng.integers(-_LARGEST_SHIFT, 0, channels).astype(np.int32),
    )
    if variant_of(op) == EXACT:
        return [(PARAMETERS, layer), *_exact_data(op, parameters)]
    grids = (_GRID, _GRID)
    pack = pack_depthwise if op.kind == "depthwise" else pack_matrix
    return [(PARAMETERS, layer), (_DATA, pack(op, parameters, grids).astype("<u4").tobytes())]


def _exact_data(op: Op, parameters: IntegerParameters) -> list[tuple[int, bytes]]:
    arrays = [parameters.weight.tobytes()]
    arrays += [
        getattr(parameters, field).astype("<i4").tobytes() for field in ("bias", "multiplier", "shift")
    ]
    address, writes, pointers = _DATA + 24, [], []
    for array in arrays:
        writes.append((address, array))
        pointers.append(address)
        address += -(-len(array) // 4) * 4
    return [(_DATA, struct.pack("<4Iii", *pointers, -128, int(op.kind == "depthwise"))), *writes]
