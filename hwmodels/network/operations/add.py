"""The residual sum of two tensors: TFLite's ADD, its fast form and the proof that that is exact, and its exact form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.c_records import CRecord
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import Quantization, lowest_output
from hwmodels.network.operation_kind import (
    STEP_BYTES,
    FastFormError,
    KernelVariant,
    ONNXWriter,
    Operands,
    OperationKind,
    PartInStripes,
    TFLiteWriter,
    UnsupportedOpError,
    register,
)
from hwmodels.network.operations.weighted import example_sizes
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier, quantized_multiplier

ADD_EXACT = KernelVariant("add_exact", "ppgnet_add_exact")
Grids = Sequence[Quantization]
_LEFT_SHIFT = 20
_SLOPES = (0.0, *(sign * 2.0**-power for power in range(20, 11, -1) for sign in (1, -1)))
_NUDGES = 300
_WIDENINGS = 40


class Add(OperationKind):
    """Element by element, onto a grid of its own; it may write over its first operand."""

    name = "add"
    fan_in = 2
    is_elementwise = True
    largest_operand_ratio = 6.5
    kernels = (KernelVariant("add", "ppgnet_add"), ADD_EXACT)

    def compute(self, op: Op, operands: Sequence[NDArray[np.int8]], given: Operands) -> NDArray[np.int8]:
        """TFLite's reference ADD."""
        return add_int8(operands[0], operands[1], given.grids, lowest_output(op, given.grids[-1]))

    def real(self, op: Op, operands: Sequence[Any]) -> Any:
        """The sum."""
        return operands[0] + operands[1]

    def require_fast(self, grids: Grids) -> None:
        """Constants must exist."""
        add_constants(grids)

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """The fast form and the exact one; neither has a ReLU."""
        if op.activation == "relu":
            raise UnsupportedOpError(f"op {op.name!r}: add has no fused relu; put it on the convolution before")
        return self.kernels

    def record_bytes(self, op: Op) -> int:
        """Four words."""
        return 16

    def exact_data_bytes(self, op: Op) -> int:
        """Eleven words."""
        return STEP_BYTES + 44

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """Factors and offset, or zero points, multipliers and shifts."""
        elements = op.length_out * op.channels_out
        if variant == ADD_EXACT:
            members = (*add_exact_fields(given.grids), lowest_output(op, given.grids[-1]), elements)
            return CRecord("ppgnet_add_exact_parameters", "9iiI", members)
        return CRecord("ppgnet_add_parameters", "iiiI", (*add_constants(given.grids), -(-elements // 4)))

    def rows_per_output(self, op: Op) -> int | None:
        """Row by row."""
        return 1

    def part_in_stripes(self, op: Op) -> PartInStripes | None:
        """The end of a residual block."""
        return "residual"

    def write_tflite(self, writer: TFLiteWriter, op: Op, operands: list[int], output: int) -> None:
        """ADD."""
        writer.operator("ADD", operands, output, "Add", FusedActivationFunction=op.activation.upper())

    def write_onnx(self, writer: ONNXWriter, op: Op, operands: Sequence[str]) -> str:
        """Add."""
        return writer.total(op, operands)

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Any size."""
        length, channels = example_sizes(rng)
        return Op("op", self.name, length, channels, length, channels)

    def example_grid(self, op: Op, sources: Sequence[Quantization], rng: np.random.Generator) -> Quantization:
        """Coarser than both operands', widened until the fast form is exact, as training does before export."""
        scale = max(grid.scale for grid in sources) * float(rng.uniform(1.0, 1.6))
        total = Quantization(scale, int(rng.integers(-40, 41)))
        for _ in range(_WIDENINGS):
            try:
                add_constants((*sources, total))
                break
            except FastFormError:
                total = Quantization(total.scale * 1.001, total.zero_point)
        return total


def add_int8(a: NDArray[np.int8], b: NDArray[np.int8], grids: Grids, lowest: int) -> NDArray[np.int8]:
    """TFLite's reference int8 ADD of two tensors on their grids onto the third grid."""
    factors = add_factors(grids)
    total = np.zeros(a.shape, np.int64)
    for operand, grid, factor in zip((a, b), grids[:2], factors[:2], strict=True):
        shifted = (operand.astype(np.int64) - grid.zero_point) << _LEFT_SHIFT
        total += multiply_by_quantized_multiplier(shifted, *factor)
    return clamp_int8(multiply_by_quantized_multiplier(total, *factors[2]) + grids[2].zero_point, lowest)


def add_factors(grids: Grids) -> list[tuple[int, int]]:
    """Multiplier and shift of both operands and of the sum, as TFLite prepares its ADD."""
    twice_largest = 2 * max(grids[0].scale, grids[1].scale)
    factors = [quantized_multiplier(grid.scale / twice_largest) for grid in grids[:2]]
    return [*factors, quantized_multiplier(twice_largest / ((1 << _LEFT_SHIFT) * grids[2].scale))]


def add_constants(grids: Grids) -> tuple[int, int, int]:
    """Factors and offset (a, b, c) with which saturate((c + (a*x >> 8) + (b*y >> 8)) >> 20) is the ADD.

    For given factors all 65,536 pairs together say which offsets are right, so what is returned is proven.
    `grids` are those of both operands and the sum. Raises FastFormError when none serve.
    """
    values = np.arange(-128, 128, dtype=np.int64)
    first, second = np.meshgrid(values, values, indexing="ij")
    truth = add_int8(first.astype(np.int8), second.astype(np.int8), grids, -128).astype(np.int64)
    lowest = np.where(truth == -128, -(1 << 11), truth) << 20
    highest = (np.where(truth == 127, (1 << 11) - 1, truth) + 1 << 20) - 1
    ratios = [grid.scale / grids[2].scale for grid in grids[:2]]
    if max(ratios) >= 7:
        raise FastFormError("an operand's scale is 7 times that of the sum or more")
    near = np.random.default_rng(0).integers(-2048, 2049, (_NUDGES, 2)).tolist()
    tried = [(slope, 0, 0) for slope in _SLOPES] + [(0.0, *nudge) for nudge in near]
    for slope, *nudges in tried:
        a, b = (round(r * (1 + slope) * (1 << 28)) + nudge for r, nudge in zip(ratios, nudges, strict=True))
        total = (a * values >> 8)[:, None] + (b * values >> 8)[None]
        offset_from, offset_to = int((lowest - total).max()), int((highest - total).min())
        if offset_from <= offset_to and max(abs(offset_from), abs(offset_to)) < 1 << 31:
            return a, b, (offset_from + offset_to) // 2
    raise FastFormError("no constants reproduce TFLite's ADD on all inputs")


def add_exact_fields(
    grids: Grids,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Zero points, multipliers and shifts of both operands and the sum, for ppgnet_add_exact."""
    factors = add_factors(grids)
    return tuple(g.zero_point for g in grids), tuple(m for m, _ in factors), tuple(s for _, s in factors)


register(Add())
