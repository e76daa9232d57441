"""Weights and grids of a TFLite operator in our form, and whether the fast kernels are exact with them.

`tflite_layers` asks; an operator whose scales leave a kernel's fast form is costed with the exact kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.foreign.tflite_reader import TFLiteTensor
from hwmodels.kernels.constants import kernel_constants
from hwmodels.kernels.variants import exact_variant, variant_of
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import IntegerParameters, Quantization, weight_shape
from hwmodels.network.operation_kind import FastFormError, Operands, kind_of
from hwmodels.network.rounding import quantized_multiplier


class TFLiteParameterError(InputError):
    """Weights, biases or scales of an operator that do not fit together."""


def fallback_of(op: Op, inputs: Sequence[TFLiteTensor], output: TFLiteTensor) -> str:
    """Why the exact kernel must serve `op`, "" where the fast one does or where there is only one.

    `inputs` are the operator's tensors in the file's order. Raises TFLiteParameterError.
    """
    grids = [_grid(tensor) for tensor in inputs if tensor.scales.size == 1 and not tensor.is_constant]
    try:
        kind_of(op).require_fast((*grids, _grid(output)))
        if op.has_parameters and variant_of(op) != exact_variant(op):
            parameters = parameters_of(op, inputs, output)
            if parameters.weight.min() < -127:
                return "a weight is -128"
            made = kernel_constants(op, Operands((grids[0], _grid(output)), parameters))
            return made.reason if made.variant == exact_variant(op) else ""
    except FastFormError as error:
        return str(error)
    return ""


def parameters_of(op: Op, inputs: Sequence[TFLiteTensor], output: TFLiteTensor) -> IntegerParameters:
    """The int8 weights, biases and requantization of `op`. Raises TFLiteParameterError."""
    weights = inputs[1]
    assert weights.data is not None
    if weights.data.nbytes != op.weight_count:
        raise TFLiteParameterError(f"its weights have {weights.data.nbytes} bytes, {op.weight_count} are expected")
    if weights.scales.size not in (1, op.channels_out) or weights.zero_points.any():
        raise TFLiteParameterError("its weights need zero point 0 and one scale for all outputs or for each")
    values = np.frombuffer(weights.data.tobytes(), np.int8)
    shape = weight_shape(op)
    weight = values.reshape(shape)
    if len(shape) == 3 and weights.shape[0] != op.channels_out:
        # a depthwise layer of one channel is a convolution whose outputs stand last
        weight = values.reshape(-1, op.channels_out).T.reshape(shape)
    factors = inputs[0].scales.astype(np.float64)[0] * weights.scales.astype(np.float64)
    factors = np.broadcast_to(factors / np.float64(output.scales[0]), op.channels_out)
    if not (np.isfinite(factors).all() and (factors >= 0).all() and (factors < 1 << 30).all()):
        raise TFLiteParameterError("its scales are no positive numbers")
    pairs = [quantized_multiplier(float(factor)) for factor in factors]
    return IntegerParameters(
        weight,
        _bias(op, inputs),
        np.array([multiplier for multiplier, _ in pairs], np.int64).astype(np.int32),
        np.array([shift for _, shift in pairs], np.int32),
    )


def _bias(op: Op, inputs: Sequence[TFLiteTensor]) -> NDArray[np.int32]:
    if len(inputs) < 3 or inputs[2].data is None:
        return np.zeros(op.channels_out, np.int32)
    if inputs[2].kind != "int32" or inputs[2].data.nbytes != 4 * op.channels_out:
        raise TFLiteParameterError(f"its biases are not {op.channels_out} int32 values")
    return np.frombuffer(inputs[2].data.tobytes(), "<i4").astype(np.int32)


def _grid(tensor: TFLiteTensor) -> Quantization:
    return Quantization(float(tensor.scales[0]), int(tensor.zero_points[0]))
