"""Functions of one element, of two, and of a row: activations, sums, products, conversions, SOFTMAX.

Any function of one int8 value is a table of its 256 outputs, which is exact by itself.
"""

from __future__ import annotations

from math import prod

import numpy as np

from hwmodels.foreign.foreign_ops import (
    PLAIN_DEQUANTIZE,
    PLAIN_PRODUCT,
    PLAIN_QUANTIZE,
    PLAIN_SOFTMAX,
    PLAIN_SUM,
    ForeignCall,
    ForeignKernel,
    lookup,
)
from hwmodels.foreign.tflite_reader import TFLiteTensor
from hwmodels.foreign.walk import Site, UnsupportedError, Value, has_grid, operator, rows_of
from hwmodels.network.graph import Op

_ANY_REQUANTIZATION = (3, -5, 7, 1 << 30, 1 << 30, 1 << 30, -1, -2, -3, -128)
_SOFTMAX_NOTE = "served by the class head: the best class and its probability, not all probabilities"
_MOST_CLASSES = 256


@operator("LOGISTIC", "TANH", "LEAKY_RELU", "HARD_SWISH", "ELU", "GELU", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
@operator("ABS", "NEG", "EXP", "LOG", "SQRT", "RSQRT", "SQUARE", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "SIGN")
def unary(site: Site) -> None:
    """A table look-up."""
    site.require_int8(site.tensor(0), site.output)
    _look_up(site, site.read())


@operator("QUANTIZE", "DEQUANTIZE")
def conversion(site: Site) -> None:
    """From integers to integers a table look-up, from floats and to floats a plain loop."""
    first, last = site.tensor(0), site.output
    for tensor in (first, last):
        site.require_window(tensor)
        if tensor.kind in ("int8", "uint8") and not has_grid(tensor):
            raise UnsupportedError(f"tensor {tensor.name!r} has no single quantization scale")
    kinds, value = (first.kind, last.kind), site.read()
    if set(kinds) <= {"int8", "uint8"}:
        return _look_up(site, value)
    floats, kernel = {"QUANTIZE": (0, PLAIN_QUANTIZE), "DEQUANTIZE": (1, PLAIN_DEQUANTIZE)}[site.operator.name]
    if kinds[floats] != "float32" or kinds[1 - floats] not in ("int8", "uint8"):
        raise UnsupportedError(f"converts {kinds[0]} to {kinds[1]}; convert the model with int8 inputs and outputs")
    elements = prod(first.shape)
    if elements != prod(last.shape):
        raise UnsupportedError(f"makes {last.shape} of {first.shape}")
    site.emit_calls(site.operator.name.lower(), [value], [ForeignCall(kernel, (1, 3, elements), loops=elements)])


@operator("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU")
def pair(site: Site) -> None:
    """Of two tensors or one and a constant, either repeated along the other's axes."""
    first, second = site.tensor(0), site.tensor(1)
    site.require_int8(site.output)
    for tensor in (first, second):
        if tensor.kind != "int8" or not has_grid(tensor):
            raise UnsupportedError(f"tensor {tensor.name!r} is {tensor.kind} or has no grid; quantize all to int8")
    if first.is_constant and second.is_constant:
        raise UnsupportedError("reads constants alone")
    _require_broadcast(first, second, site.output)
    constant = first if first.is_constant else second if second.is_constant else None
    values = [site.read(place) for place in (0, 1) if not site.tensor(place).is_constant]
    activation = site.activation()
    is_unary = constant is not None and prod(constant.shape) == 1
    if is_unary or site.operator.inputs[0] == site.operator.inputs[1]:
        return _look_up(site, values[0])
    length, channels = rows_of(site.output)
    if site.operator.name == "ADD" and constant is None and values[0].shape == values[1].shape:
        site.emit(Op(site.name, "add", length, channels, length, channels), [value.name for value in values])
    else:
        kernel = PLAIN_PRODUCT if site.operator.name == "MUL" else PLAIN_SUM
        call = _pair_call(kernel, (length, channels), rows_of(first), rows_of(second), constant)
        site.emit_calls(site.operator.name.lower(), values, [call])
    # a ReLU whose zero is the lowest value is the saturation that every kernel ends with
    if activation not in ("none", "relu") or (activation == "relu" and int(site.output.zero_points[0]) != -128):
        site.clamp_after(activation)


def _require_broadcast(first: TFLiteTensor, second: TFLiteTensor, made: TFLiteTensor) -> None:
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        shape = None
    if shape is None or prod(shape) != prod(made.shape):
        raise UnsupportedError(f"makes {made.shape} of tensors of shapes {first.shape} and {second.shape}")


def _pair_call(
    kernel: ForeignKernel,
    made: tuple[int, int],
    first: tuple[int, int],
    second: tuple[int, int],
    constant: TFLiteTensor | None,
) -> ForeignCall:
    def distances(shape: tuple[int, int]) -> tuple[int, int]:
        length, channels = shape
        return (channels if length > 1 else 0, 1 if channels > 1 else 0)

    numbers = (*made, *distances(first), *distances(second), *_ANY_REQUANTIZATION)
    return ForeignCall(kernel, numbers, 0 if constant is None else prod(constant.shape), prod(made))


@operator("SOFTMAX")
def softmax(site: Site) -> None:
    """A class head at the end of a network of few classes, else all probabilities by a plain loop."""
    site.require_int8(site.tensor(0), site.output)
    value = site.read()
    length, channels = rows_of(site.output)
    is_read = any(set(site.operator.outputs) & set(other.inputs) for other in site.walk.file.operators)
    is_last = tuple(site.operator.outputs) == site.walk.file.outputs and not is_read
    if is_last and length == 1 and 2 <= channels <= _MOST_CLASSES:
        site.notes.append(_SOFTMAX_NOTE)
        return site.emit(Op(site.name, "class_head", 1, channels, 1, channels), [value.name])
    call = ForeignCall(PLAIN_SOFTMAX, (length, channels), 2 * 256, length * channels)
    return site.emit_calls("softmax", [value], [call])


def _look_up(site: Site, value: Value) -> None:
    site.require_made(*value.shape)
    site.emit_calls("lookup", [value], [lookup(prod(value.shape))], is_elementwise=True)
