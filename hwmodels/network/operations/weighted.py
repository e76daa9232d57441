"""What convolutions and fully connected layers have in common: sums of products, requantization, and the exact
kernel that serves them all, whatever their scales.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.c_records import CArray, CRecord
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import IntegerParameters, Quantization, lowest_output
from hwmodels.network.operation_kind import (
    STEP_BYTES,
    FastFormError,
    KernelVariant,
    ONNXWriter,
    Operands,
    OperationKind,
    TFLiteWriter,
)
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier

LAYER_BYTES = 20
EXACT = KernelVariant("exact", "ppgnet_exact")


class WeightedKind(OperationKind, ABC):
    """An operation with int8 weights, int32 biases, and a multiplier and shift for each output channel."""

    @abstractmethod
    def products(self, taken: NDArray[np.float64], weight: NDArray[np.float64], tap: int) -> NDArray[np.float64]:
        """What the rows under one tap (windows, length_out, channels_in) add to each sum."""

    def compute(self, op: Op, operands: Sequence[NDArray[np.int8]], given: Operands) -> NDArray[np.int8]:
        """Sums, requantized as TFLite does."""
        parameters = given.parameters
        if parameters is None:
            return super().compute(op, operands, given)
        total = self._sums(op, operands[0], given.grids[0], parameters)
        scaled = multiply_by_quantized_multiplier(total, parameters.multiplier, parameters.shift)
        return clamp_int8(scaled + given.grids[-1].zero_point, lowest_output(op, given.grids[-1]))

    def _sums(
        self, op: Op, x: NDArray[np.int8], grid: Quantization, parameters: IntegerParameters
    ) -> NDArray[np.int64]:
        """Sums of products and bias (windows, length_out, channels_out); double precision holds them exactly."""
        weight = parameters.weight.astype(np.float64)
        centred = x.astype(np.float64) - grid.zero_point
        after = max(0, (op.length_out - 1) * op.stride + op.reach + 1 - op.padding_before - op.length_in)
        padded = np.pad(centred, ((0, 0), (op.padding_before, after), (0, 0)))
        total = np.zeros((len(x), op.length_out, op.channels_out))
        last = (op.length_out - 1) * op.stride + 1
        for tap in range(op.kernel):
            start = tap * op.dilation
            total += self.products(padded[:, start : start + last : op.stride], weight, tap)
        return total.astype(np.int64) + parameters.bias.astype(np.int64)

    @abstractmethod
    def packed(self, op: Op, variant: KernelVariant, given: Operands) -> NDArray[np.uint32]:
        """The stream of weights and requantization that a fast kernel reads. Raises FastFormError."""

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """The layer's shape, and the stream or TFLite's own form that it points to."""
        assert given.parameters is not None
        if variant == EXACT:
            lowest = lowest_output(op, given.grids[1])
            data: CArray | CRecord = exact_record(given.parameters, lowest, self.is_channelwise)
        else:
            data = CArray("uint32_t", "data", self.packed(op, variant, given))
        return layer_record(op, given.grids, data)

    def record_bytes(self, op: Op) -> int:
        """The shape's."""
        return LAYER_BYTES

    def exact_data_bytes(self, op: Op) -> int:
        """Weights as bytes, and three words for each output channel."""
        return STEP_BYTES + LAYER_BYTES + 24 + -(-op.weight_count // 4) * 4 + 12 * op.filters

    def write_tflite(self, writer: TFLiteWriter, op: Op, operands: list[int], output: int) -> None:
        """A convolution."""
        writer.weighted(op, operands[0], output)

    def write_onnx(self, writer: ONNXWriter, op: Op, operands: Sequence[str]) -> str:
        """A convolution."""
        return writer.weighted(op, operands[0])

    def example_grid(self, op: Op, sources: Sequence[Quantization], rng: np.random.Generator) -> Quantization:
        """About as coarse as the input's; after a ReLU, from zero on."""
        zero_point = -128 if op.activation == "relu" else int(rng.integers(-20, 21))
        return Quantization(sources[0].scale * float(rng.uniform(0.7, 1.3)), zero_point)


class OverTime(WeightedKind):
    """A convolution over time: it has taps, and streams with a history before it."""

    has_taps = True

    def complaint(self, op: Op) -> str:
        """Its outputs are one for each stride."""
        inside = op.length_in - (op.reach if op.padding == "valid" else 0)
        if inside < 1:
            return f"needs more than {op.reach} samples without padding"
        expected = -(-inside // op.stride)
        return "" if op.length_out == expected else f"length_out must be {expected}, got {op.length_out}"

    def rows_per_output(self, op: Op) -> int | None:
        """Its stride."""
        return op.stride


def layer_fields(op: Op, zero_point_in: int, zero_point_out: int) -> tuple[int, ...]:
    """The members of ppgnet_layer before its data."""
    shape = (op.length_in, op.channels_in, op.length_out, op.channels_out, op.dilation, op.padding_before)
    return (*shape, op.kernel, op.stride, zero_point_in, zero_point_out)


def layer_record(op: Op, grids: Sequence[Quantization], data: CArray | CRecord | None = None) -> CRecord:
    """A ppgnet_layer: the shape of an operation, the zero points of its grids, and its data."""
    fields = layer_fields(op, grids[0].zero_point, grids[1].zero_point)
    return CRecord("ppgnet_layer", "HHHHHHBBbbP", (*fields, data))


def exact_record(parameters: IntegerParameters, lowest: int, is_channelwise: bool) -> CRecord:
    """TFLite's own form of weights, biases, multipliers and shifts."""
    weight = CArray("int8_t", "weight", parameters.weight.ravel())
    bias, multiplier, shift = (
        CArray("int32_t", name, getattr(parameters, name)) for name in ("bias", "multiplier", "shift")
    )
    members = (weight, bias, multiplier, shift, lowest, int(is_channelwise))
    return CRecord("ppgnet_exact_data", "PPPPii", members, "data")


@dataclass(frozen=True)
class Requantization:
    """Per channel: weights, twice the bias with the input's zero point folded in, multiplier, right shift less
    one, and the largest magnitude that the accumulator can reach.
    """

    rows: NDArray[np.int64]
    bias: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    reach: NDArray[np.int64]


def requantization(
    op: Op, parameters: IntegerParameters, rows: NDArray[np.int64], grids: Sequence[Quantization]
) -> Requantization:
    """Requantization as the fast kernels do it, of weights `rows` (filters, products).

    Raises FastFormError where they would not be exact.
    """
    if op.activation == "relu" and grids[1].zero_point != -128:
        raise FastFormError(f"relu with output zero point {grids[1].zero_point}, not -128")
    bias = parameters.bias.astype(np.int64) - grids[0].zero_point * rows.sum(axis=1)
    multiplier, shift = parameters.multiplier.astype(np.int64), -parameters.shift.astype(np.int64)
    ends = np.stack([rows * -128, rows * 127])
    lowest, highest = bias + ends.min(axis=0).sum(axis=1), bias + ends.max(axis=0).sum(axis=1)
    is_constant, steps = _constant_outputs(op, parameters, lowest, highest, grids[1])
    # what reaches one output alone is served as a bias: 4 * steps, times 1/2, shifted right by 1
    rows = np.where(is_constant[:, None], 0, rows)
    multiplier, shift = np.where(is_constant, 1 << 30, multiplier), np.where(is_constant, 1, shift)
    bias, lowest, highest = (np.where(is_constant, 4 * steps, sums) for sums in (bias, lowest, highest))
    if shift.min() < 1 or shift.max() > 22:
        raise FastFormError(f"requantization shifts {shift.min()} to {shift.max()} leave 1 to 22")
    if multiplier.min() < 0:
        raise FastFormError("a requantization multiplier is negative")
    reach = np.maximum(-lowest, highest)
    if reach.max() >= 1 << 30:
        raise FastFormError("an accumulator can reach 2^30")
    return Requantization(rows, 2 * bias, multiplier, shift - 1, reach)


def _constant_outputs(
    op: Op,
    parameters: IntegerParameters,
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
    grid: Quantization,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which filters make one output whatever they read, as those of zeros do, and that output less its zero point.

    `lowest` and `highest` are the ends of what their accumulators reach; requantization keeps their order unless
    it multiplies by a negative number or shifts bits out to the left.
    """
    scaled = [
        multiply_by_quantized_multiplier(end, parameters.multiplier, parameters.shift) for end in (lowest, highest)
    ]
    outputs = [clamp_int8(end + grid.zero_point, lowest_output(op, grid)).astype(np.int64) for end in scaled]
    keeps_order = (parameters.multiplier >= 0) & (parameters.shift <= 0)
    keeps_order &= np.maximum(-lowest, highest) < 1 << 31
    is_constant = (outputs[0] == outputs[1]) & (keeps_order | (lowest == highest))
    return is_constant, outputs[0] - grid.zero_point


def example_sizes(rng: np.random.Generator) -> tuple[int, int]:
    """A length and a number of channels for a random operation: channels in fours in half of them."""
    channels = int(rng.integers(1, 41)) if rng.random() < 0.5 else 4 * int(rng.integers(1, 11))
    return int(rng.integers(1, 13)) if rng.random() < 0.3 else int(rng.integers(1, 61)), channels
