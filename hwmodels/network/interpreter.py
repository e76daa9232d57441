"""The interpreter: what an IntegerModel computes, by TFLite's reference arithmetic, in NumPy.

It is the definition that the C kernels, the emulated core and the written model files must equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Op
from hwmodels.network.heads import class_head, class_probabilities, heart_rate_head
from hwmodels.network.integer_model import (
    ClassSettings,
    FloatParameters,
    HeadSettings,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    IntegerParameters,
    Quantization,
    QuantizationError,
    lowest_output,
    quantize,
    quantize_parameters,
    weight_shape,
)
from hwmodels.network.model_file import ModelFileError, load_model, save_model
from hwmodels.network.preparation import prepare_window, quantize_input
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier, quantized_multiplier

__all__ = [
    "ClassSettings",
    "FloatParameters",
    "HeadSettings",
    "HeartRateSettings",
    "InputSettings",
    "IntegerModel",
    "IntegerParameters",
    "ModelFileError",
    "Quantization",
    "QuantizationError",
    "class_probabilities",
    "initial_states",
    "load_model",
    "prepare_window",
    "quantize",
    "quantize_input",
    "quantize_parameters",
    "run",
    "save_model",
    "weight_shape",
]

_ADD_LEFT_SHIFT = 20


def initial_states(model: IntegerModel, streams: int) -> dict[str, NDArray[np.int8]]:
    """What each history holds before the first sample, int8 (streams, rows, channels): its zero point."""
    return {
        op.name: np.full(
            (streams, op.length_out - op.length_in, op.channels_in),
            model.quantization[op.name].zero_point,
            np.int8,
        )
        for op in model.graph
        if op.kind == "history"
    }


def run(
    model: IntegerModel, x: NDArray[np.int8], states: MutableMapping[str, NDArray[np.int8]] | None = None
) -> dict[str, NDArray]:
    """Every op's output for windows x int8 (n, T, channels), by op name.

    Tensors are int8 (n, length, channels); the head's entry is int32 (n, 3) as hwmodels.network.heads describes.
    `states` holds what each history kept of the n streams (`initial_states` by default) and is brought
    up to date.
    Raises InputError when x does not fit the graph's input.
    """
    op = model.graph.input
    if x.dtype != np.int8 or x.ndim != 3 or x.shape[1:] != (op.length_in, op.channels_in):
        raise InputError(
            f"the network reads int8 windows (n, {op.length_in}, {op.channels_in}), got {x.dtype} {x.shape}"
        )
    states = initial_states(model, len(x)) if states is None else states
    outputs: dict[str, NDArray] = {op.name: x}
    for op in list(model.graph)[1:]:
        if op.kind == "history":
            rows = np.concatenate([states[op.name], outputs[model.graph.sources(op.name)[0]]], axis=1)
            outputs[op.name], states[op.name] = rows, rows[:, op.length_in :]
        else:
            outputs[op.name] = run_op(model, op, outputs)
    return outputs


def run_op(model: IntegerModel, op: Op, tensors: Mapping[str, NDArray]) -> NDArray:
    """One op's output from the outputs of its sources; of any op but a history, which has a state."""
    sources = model.graph.sources(op.name)
    grids = [model.quantization[name] for name in (*sources, op.name) if name in model.quantization]
    operands = [tensors[name] for name in sources]
    return compute(op, operands, grids, model.parameters.get(op.name), model.head)


def compute(
    op: Op,
    operands: Sequence[NDArray[np.int8]],
    grids: Sequence[Quantization],
    parameters: IntegerParameters | None = None,
    head: HeadSettings | None = None,
) -> NDArray:
    """The output of `op`, as `run` has it, on operands (n, length, channels).

    `grids` are those of the operands, then of the output, which a head has none of. Weighted ops take
    `parameters`, heads `head`.
    """
    lowest = lowest_output(op, grids[-1])
    if parameters is not None:
        total = _accumulate(op, operands[0], grids[0], parameters)
        scaled = multiply_by_quantized_multiplier(total, parameters.multiplier, parameters.shift)
        return clamp_int8(scaled + grids[-1].zero_point, lowest)
    if op.kind == "add":
        return add_int8(operands[0], operands[1], (grids[0], grids[1], grids[2]), lowest)
    if op.kind == "average_pool":
        return _average_pool(op, operands[0], lowest)
    logits = operands[0].reshape(len(operands[0]), -1)
    if isinstance(head, HeartRateSettings):
        return heart_rate_head(logits, grids[0].scale, head)
    if isinstance(head, ClassSettings):
        return class_head(logits, grids[0].scale, head)
    raise InputError(f"op {op.name!r} ({op.kind}): needs parameters or a head's settings")


def _accumulate(op: Op, x: NDArray[np.int8], grid: Quantization, parameters: IntegerParameters) -> NDArray[np.int64]:
    """Sums of products and bias (n, length_out, channels_out); double precision holds them exactly."""
    weight = parameters.weight.astype(np.float64)
    centred = x.astype(np.float64) - grid.zero_point
    after = max(0, (op.length_out - 1) * op.stride + op.reach + 1 - op.padding_before - op.length_in)
    padded = np.pad(centred, ((0, 0), (op.padding_before, after), (0, 0)))
    total = np.zeros((len(x), op.length_out, op.channels_out))
    last = (op.length_out - 1) * op.stride + 1
    for tap in range(op.kernel):
        start = tap * op.dilation
        taken = padded[:, start : start + last : op.stride]
        if op.kind == "depthwise":
            total += taken * weight[tap]
        else:
            total += taken @ (weight[:, tap].T if op.kind == "conv" else weight.T)
    return total.astype(np.int64) + parameters.bias.astype(np.int64)


def add_int8(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    grids: tuple[Quantization, Quantization, Quantization],
    lowest: int,
) -> NDArray[np.int8]:
    """TFLite's reference int8 ADD of two tensors on their grids onto the third grid."""
    factors = add_factors(grids)
    total = np.zeros(a.shape, np.int64)
    for operand, grid, factor in zip((a, b), grids[:2], factors[:2], strict=True):
        shifted = (operand.astype(np.int64) - grid.zero_point) << _ADD_LEFT_SHIFT
        total += multiply_by_quantized_multiplier(shifted, *factor)
    return clamp_int8(multiply_by_quantized_multiplier(total, *factors[2]) + grids[2].zero_point, lowest)


def add_factors(grids: tuple[Quantization, Quantization, Quantization]) -> list[tuple[int, int]]:
    """Multiplier and shift of both operands and of the sum, as TFLite prepares its ADD."""
    twice_largest = 2 * max(grids[0].scale, grids[1].scale)
    factors = [quantized_multiplier(grid.scale / twice_largest) for grid in grids[:2]]
    return [*factors, quantized_multiplier(twice_largest / ((1 << _ADD_LEFT_SHIFT) * grids[2].scale))]


def _average_pool(op: Op, x: NDArray[np.int8], lowest: int) -> NDArray[np.int8]:
    count = op.length_in // op.length_out
    total = x.astype(np.int64).reshape(len(x), op.length_out, count, op.channels_in).sum(axis=2)
    magnitude = (np.abs(total) + count // 2) // count
    return clamp_int8(np.where(total > 0, magnitude, -magnitude), lowest)
