"""Average pooling over equal segments, by which a network's features become one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.c_records import CRecord
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import lowest_output
from hwmodels.network.operation_kind import (
    KernelVariant,
    ONNXWriter,
    Operands,
    OperationKind,
    TFLiteWriter,
    register,
)
from hwmodels.network.operations.weighted import LAYER_BYTES, example_sizes, layer_record
from hwmodels.network.rounding import clamp_int8


class AveragePool(OperationKind):
    """Each of `length_out` rows is the mean of as many rows of the input."""

    name = "average_pool"
    keeps_grid = True
    pools = True
    kernels = (KernelVariant("average_pool", "ppgnet_average_pool"),)

    def complaint(self, op: Op) -> str:
        """Segments are equal."""
        return "length_in must be a multiple of length_out" if op.length_in % op.length_out else ""

    def compute(self, op: Op, operands: Sequence[NDArray[np.int8]], given: Operands) -> NDArray[np.int8]:
        """The mean, rounded half away from zero."""
        x, count = operands[0], op.length_in // op.length_out
        total = x.astype(np.int64).reshape(len(x), op.length_out, count, op.channels_in).sum(axis=2)
        magnitude = (np.abs(total) + count // 2) // count
        return clamp_int8(np.where(total > 0, magnitude, -magnitude), lowest_output(op, given.grids[-1]))

    def real(self, op: Op, operands: Sequence[Any]) -> Any:
        """The mean."""
        return operands[0].unflatten(3, (op.length_out, -1)).mean(4)

    def record_bytes(self, op: Op) -> int:
        """The shape's."""
        return LAYER_BYTES

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """Its shape."""
        return layer_record(op, given.grids)

    def rows_per_output(self, op: Op) -> int | None:
        """The rows of a segment."""
        return op.length_in // op.length_out

    def over(self, op: Op, length: int) -> Op:
        """The same segments, more or fewer of them."""
        return replace(op, length_in=length, length_out=length * op.length_out // op.length_in)

    def write_tflite(self, writer: TFLiteWriter, op: Op, operands: list[int], output: int) -> None:
        """AVERAGE_POOL_2D."""
        count = op.length_in // op.length_out
        size = {"FilterHeight": 1, "FilterWidth": count, "StrideH": 1, "StrideW": count}
        activation = op.activation.upper()
        writer.operator(
            "AVERAGE_POOL_2D", operands, output, "Pool2D", Padding="VALID", **size, FusedActivationFunction=activation
        )

    def write_onnx(self, writer: ONNXWriter, op: Op, operands: Sequence[str]) -> str:
        """AveragePool."""
        return writer.mean(op, operands[0])

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """One to five segments."""
        (length, channels), segments = example_sizes(rng), int(rng.integers(1, 6))
        return Op("op", self.name, length * segments, channels, segments, channels)


register(AveragePool())
