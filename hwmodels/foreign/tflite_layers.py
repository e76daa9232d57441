"""TFLite operators as operations that our kernels execute, or the reason why one cannot be.

Reads the records of `tflite_reader`; `model_cost` prices what comes out. A 1-D layer is a 2-D one with one
axis of length 1; a pointwise convolution may span both axes. A PAD before a VALID convolution becomes its
causal padding, and reshapes are other names for the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.foreign.tflite_parameters import fallback_of
from hwmodels.foreign.tflite_reader import TFLiteFile, TFLiteOperator, TFLiteTensor
from hwmodels.kernels.variants import variant_of
from hwmodels.network.graph import Activation, GraphError, Kind, LayerGraph, Op, Padding

_SAME, _VALID = 0, 1
_ACTIVATIONS = {0: "none", 1: "relu", 3: "relu6", 2: "relu_n1_to_1", 4: "tanh", 5: "sign_bit"}
_PADS = ("PAD", "PADV2")
_VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_SOFTMAX_NOTE = "served by the class head: the best class and its probability, not all probabilities"
_MEAN_NOTE = "output on another grid than the input: its requantization is not counted"


class _UnsupportedError(Exception):
    """Why an operator has no kernel."""


@dataclass(frozen=True)
class TFLiteLayer:
    """One operator of a file: the operation that executes it, None for views and what `reason` refuses.

    `fallback` says why its scales or weights need the exact, slow kernel; empty where the fast one serves.
    """

    index: int
    name: str
    op: Op | None = None
    reason: str = ""
    note: str = ""
    fallback: str = ""


@dataclass(frozen=True)
class TFLiteModel:
    """All operators of a file, and the graph of their operations where every one is supported.

    `problem` says why there is no graph although each operator alone is supported.
    """

    layers: tuple[TFLiteLayer, ...]
    graph: LayerGraph | None
    problem: str = ""


@dataclass(frozen=True)
class _Value:
    """A tensor as our memory holds it: made by operation `name` as (length, channels), padded in time."""

    name: str
    length: int
    channels: int
    padding: tuple[int, int] = (0, 0)


@dataclass
class _Walk:
    """What is known on the way through the operators: values by tensor, and the graph's nodes so far."""

    file: TFLiteFile
    values: dict[int, _Value] = field(default_factory=dict)
    nodes: list[tuple[Op, tuple[str, ...]]] = field(default_factory=list)


def layers_of(file: TFLiteFile) -> TFLiteModel:
    """The operations of a file's operators, in execution order; operators without a kernel keep a reason."""
    walk = _Walk(file)
    for index in file.inputs:
        if index >= 0:
            walk.values[index] = _made(walk, index, "input")
    layers = [_layer(walk, operator) for operator in file.operators]
    if any(layer.reason for layer in layers):
        return TFLiteModel(tuple(layers), None)
    if len(file.inputs) != 1 or len(file.outputs) != 1:
        many = f"{len(file.inputs)} inputs and {len(file.outputs)} outputs; networks have one of each"
        return TFLiteModel(tuple(layers), None, many)
    try:
        return TFLiteModel(tuple(layers), LayerGraph([*_input_node(walk), *walk.nodes]))
    except GraphError as error:
        return TFLiteModel(tuple(layers), None, str(error))


def _input_node(walk: _Walk) -> list[tuple[Op, tuple[str, ...]]]:
    """The graph's input, in the shape that its first reader sees."""
    value = walk.values[walk.file.inputs[0]]
    length, channels = value.length, value.channels
    for op, sources in walk.nodes:
        if "input" in sources:
            length, channels = op.length_in, op.channels_in
            break
    return [(Op("input", "input", length, channels, length, channels), ())]


def _layer(walk: _Walk, operator: TFLiteOperator) -> TFLiteLayer:
    name = f"{operator.index} {operator.name}"
    made: Op | None = None
    reason = note = fallback = ""
    try:
        if operator.name not in (*_RULES, *_VIEWS, *_PADS):
            raise _UnsupportedError(_REMEDIES.get(operator.name, "no kernel computes it"))
        _require_int8(walk.file, operator)
        if operator.name in _VIEWS:
            _view(walk, operator)
        elif operator.name in _PADS:
            _pad(walk, operator)
        else:
            made, sources = _RULES[operator.name](walk, operator, name)
            variant_of(made)
            output = walk.file.tensors[operator.outputs[0]]
            note = _note(walk, operator)
            fallback = fallback_of(made, [walk.file.tensors[at] for at in operator.inputs if at >= 0], output)
            walk.nodes.append((made, sources))
    except (_UnsupportedError, GraphError, InputError) as error:
        made, reason = None, str(error)
    for index in operator.outputs:
        if index >= 0 and index not in walk.values:
            walk.values[index] = _made(walk, index, name)
    return TFLiteLayer(operator.index, operator.name, made, reason, note, fallback)


def _require_int8(file: TFLiteFile, operator: TFLiteOperator) -> None:
    if not operator.inputs or operator.inputs[0] < 0 or len(operator.outputs) != 1 or operator.outputs[0] < 0:
        raise _UnsupportedError("must read at least one tensor and make one")
    tensors = [file.tensors[at] for at in (operator.inputs[0], operator.outputs[0])]
    for tensor in tensors:
        if tensor.kind != "int8":
            raise _UnsupportedError(f"tensor {tensor.name!r} is {tensor.kind}; quantize the model to int8 throughout")
        if tensor.scales.size != 1 or not (np.isfinite(tensor.scales).all() and tensor.scales[0] > 0):
            raise _UnsupportedError(f"tensor {tensor.name!r} has no single quantization scale")
        if tensor.zero_points.size != 1 or not -128 <= tensor.zero_points[0] <= 127:
            raise _UnsupportedError(f"tensor {tensor.name!r} has no int8 zero point")
        if any(size < 1 for size in tensor.shape) or (len(tensor.shape) > 1 and tensor.shape[0] != 1):
            raise _UnsupportedError(f"tensor {tensor.name!r} has shape {tensor.shape}; the batch must be 1")


def _made(walk: _Walk, index: int, name: str) -> _Value:
    return _Value(name, *_rows(walk.file.tensors[index].shape))


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """(length, channels) of a tensor: the last axis is channels, all others together are positions."""
    sizes = [max(1, int(size)) for size in shape] or [1]
    length = 1
    for size in sizes[:-1]:
        length *= size
    return length, sizes[-1]


def _tensor(walk: _Walk, operator: TFLiteOperator, place: int) -> TFLiteTensor:
    if place >= len(operator.inputs) or operator.inputs[place] < 0:
        raise _UnsupportedError(f"lacks its input {place}")
    return walk.file.tensors[operator.inputs[place]]


def _read(walk: _Walk, operator: TFLiteOperator, place: int = 0) -> _Value:
    """The value of an operand, without any padding. Raises where its rows are not those that were made."""
    tensor = _tensor(walk, operator, place)
    value = walk.values.get(operator.inputs[place])
    if value is None or tensor.is_constant:
        raise _UnsupportedError(f"its input {place} ({tensor.name!r}) is a constant; none may be")
    if value.padding != (0, 0):
        raise _UnsupportedError("reads a PAD, which only a convolution behind it can take in")
    length, channels = _rows(tensor.shape)
    if (length, channels) != (value.length, value.channels):
        if value.name != "input":
            raise _UnsupportedError(f"reads ({value.length}, {value.channels}) reshaped to ({length}, {channels})")
        value = _Value("input", length, channels)
    return value


def _view(walk: _Walk, operator: TFLiteOperator) -> None:
    """Other names for the same bytes: the value keeps the rows that it was made with."""
    source, target = (walk.file.tensors[at] for at in (operator.inputs[0], operator.outputs[0]))
    value = walk.values.get(operator.inputs[0])
    sizes = [length * channels for length, channels in (_rows(source.shape), _rows(target.shape))]
    if value is None or sizes[0] != sizes[1] or value.padding != (0, 0):
        raise _UnsupportedError(f"reshapes {source.shape} to {target.shape}")
    walk.values[operator.outputs[0]] = value


def _pad(walk: _Walk, operator: TFLiteOperator) -> None:
    source, target = (walk.file.tensors[at] for at in (operator.inputs[0], operator.outputs[0]))
    amounts = _tensor(walk, operator, 1).constant
    rank = len(source.shape)
    if amounts is None or amounts.size != 2 * rank or rank < 3 or (amounts < 0).any():
        raise _UnsupportedError("its amounts are not a constant of one pair per axis")
    if operator.name == "PADV2":
        raise _UnsupportedError("pads with a value of its own; use PAD, which pads with zero")
    pairs = amounts.reshape(rank, 2)
    padded = [axis for axis in range(rank) if pairs[axis].any()]
    spatial = [axis for axis in range(1, rank - 1) if source.shape[axis] > 1]
    if len(padded) != 1 or not 0 < padded[0] < rank - 1 or any(axis != padded[0] for axis in spatial):
        raise _UnsupportedError("pads other axes than time alone")
    if source.scales[0] != target.scales[0] or source.zero_points[0] != target.zero_points[0]:
        raise _UnsupportedError("changes the quantization of its input")
    value = _read(walk, operator)
    before, after = (int(amount) for amount in pairs[padded[0]])
    walk.values[operator.outputs[0]] = _Value(value.name, value.length, value.channels, (before, after))


@dataclass(frozen=True)
class _Window:
    """The one axis of a 2-D layer that is longer than 1: taps, stride, dilation along it."""

    kernel: int
    stride: int
    dilation: int


def _window(operator: TFLiteOperator, shape: tuple[int, ...], kernel: tuple[int, int]) -> _Window:
    """The layer's window over (1, H, W, C), given its kernel (KH, KW); a 1x1 one runs over all positions."""
    option = operator.options
    strides = option.get("StrideH", 1), option.get("StrideW", 1)
    dilations = option.get("DilationHFactor", 1), option.get("DilationWFactor", 1)
    if len(shape) != 4:
        raise _UnsupportedError(f"reads a tensor of shape {shape}, not (1, height, width, channels)")
    for axis in (0, 1):
        other = 1 - axis
        if kernel[other] == 1 and shape[1 + other] == 1:
            return _Window(kernel[axis], strides[axis], dilations[axis])
    if kernel == (1, 1) and strides == (1, 1):
        return _Window(1, 1, 1)
    raise _UnsupportedError(
        f"is a 2-D layer (kernel {kernel[0]}x{kernel[1]} over {shape[1]}x{shape[2]}); "
        "kernels are 1-D: height or width must be 1"
    )


def _activation(walk: _Walk, operator: TFLiteOperator) -> Activation:
    """None or relu; a RELU6 that the grid's upper end makes a RELU is one."""
    number = operator.options.get("FusedActivationFunction", 0)
    name = _ACTIVATIONS.get(number, f"activation {number}")
    tensor = walk.file.tensors[operator.outputs[0]]
    if name == "relu6" and round(6 / float(tensor.scales[0])) + int(tensor.zero_points[0]) >= 127:
        name = "relu"
    if name not in ("none", "relu"):
        raise _UnsupportedError(f"has a fused {name}; kernels have none or relu")
    return "relu" if name == "relu" else "none"


def _convolution(walk: _Walk, operator: TFLiteOperator, name: str) -> tuple[Op, tuple[str, ...]]:
    weights, is_depthwise = _weights(walk, operator, 4), operator.name == "DEPTHWISE_CONV_2D"
    source = _tensor(walk, operator, 0)
    window = _window(operator, source.shape, (weights.shape[1], weights.shape[2]))
    value = walk.values.get(operator.inputs[0])
    padding: Padding = "centred" if operator.options.get("Padding") == _SAME else "valid"
    length_in = _rows(source.shape)[0]
    if value is not None and value.padding != (0, 0):
        length_in = value.length
        reach = (window.kernel - 1) * window.dilation
        if padding != "valid" or value.padding != (reach, 0):
            raise _UnsupportedError(
                f"reads a PAD of {value.padding} that is not the {(reach, 0)} of a causal convolution"
            )
        padding, reader = "causal", value.name
    else:
        reader = _read(walk, operator).name
    channels_in = source.shape[3]
    length_out, channels_out = _rows(walk.file.tensors[operator.outputs[0]].shape)
    kind: Kind = "conv"
    if is_depthwise and channels_in > 1:
        kind = "depthwise"
        if weights.shape[3] != channels_in or channels_out != channels_in:
            raise _UnsupportedError("has a depth multiplier other than 1")
    elif not is_depthwise and weights.shape[3] != channels_in:
        raise _UnsupportedError(f"is a grouped convolution ({weights.shape[3]} of {channels_in} channels)")
    if channels_out != weights.shape[3 if is_depthwise else 0]:
        raise _UnsupportedError("makes another number of channels than its weights")
    return Op(
        name,
        kind,
        length_in,
        channels_in,
        length_out,
        channels_out,
        window.kernel,
        window.stride,
        window.dilation,
        padding,
        _activation(walk, operator),
    ), (reader,)


def _weights(walk: _Walk, operator: TFLiteOperator, rank: int) -> TFLiteTensor:
    weights = _tensor(walk, operator, 1)
    if weights.kind != "int8" or not weights.is_constant or len(weights.shape) != rank:
        raise _UnsupportedError(f"its weights are {weights.kind} of shape {weights.shape}; they must be constant int8")
    if any(size < 1 for size in weights.shape) or operator.options.get("WeightsFormat", 0) != 0:
        raise _UnsupportedError("its weights are empty or shuffled")
    return weights


def _fully_connected(walk: _Walk, operator: TFLiteOperator, name: str) -> tuple[Op, tuple[str, ...]]:
    """One position: fully connected. Many, each by itself: pointwise. All of them flattened: a convolution
    that spans them, whose weights lie in the same order."""
    outputs, depth = _weights(walk, operator, 2).shape
    activation = _activation(walk, operator)
    tensor, value = _tensor(walk, operator, 0), walk.values.get(operator.inputs[0])
    if value is None or tensor.is_constant or value.padding != (0, 0):
        raise _UnsupportedError("reads a constant or a PAD")
    length, channels = value.length, value.channels
    if value.name == "input":
        elements = length * channels
        length, channels = (1, depth) if elements == depth else (elements // depth, depth)
    made = _rows(walk.file.tensors[operator.outputs[0]].shape)
    if channels == depth and made == (length, outputs):
        kind: Kind = "fully_connected" if length == 1 else "conv"
        op = Op(name, kind, length, depth, length, outputs, activation=activation)
    elif length * channels == depth and made == (1, outputs):
        op = Op(name, "conv", length, channels, 1, outputs, length, 1, 1, "valid", activation)
    else:
        raise _UnsupportedError(f"its weights ({outputs}, {depth}) do not fit ({length}, {channels})")
    return op, (value.name,)


def _add(walk: _Walk, operator: TFLiteOperator, name: str) -> tuple[Op, tuple[str, ...]]:
    first, second = _read(walk, operator), _read(walk, operator, 1)
    if (first.length, first.channels) != (second.length, second.channels):
        raise _UnsupportedError("adds tensors of different shapes")
    if _activation(walk, operator) != "none":
        raise _UnsupportedError("has a fused relu; put it on the convolution before")
    op = Op(name, "add", first.length, first.channels, first.length, first.channels)
    return op, (first.name, second.name)


def _pool(walk: _Walk, operator: TFLiteOperator, name: str) -> tuple[Op, tuple[str, ...]]:
    value, shape, option = _read(walk, operator), _tensor(walk, operator, 0).shape, operator.options
    kernel = option.get("FilterHeight", 1), option.get("FilterWidth", 1)
    if len(shape) != 4 or min(kernel) < 1:
        raise _UnsupportedError(f"pools windows of {kernel} in a tensor of shape {shape}")
    if _activation(walk, operator) != "none":
        raise _UnsupportedError("has a fused activation")
    segments = 1
    if kernel != shape[1:3]:
        window = _window(operator, shape, kernel)
        segments = value.length // window.kernel
        if window.stride != window.kernel or segments * window.kernel != value.length:
            raise _UnsupportedError("pools windows that overlap or leave a rest")
    elif option.get("Padding") == _SAME and (option.get("StrideH"), option.get("StrideW")) != kernel:
        raise _UnsupportedError("pools windows that reach beyond the tensor")
    return _averaging(walk, operator, name, value, segments)


def _mean(walk: _Walk, operator: TFLiteOperator, name: str) -> tuple[Op, tuple[str, ...]]:
    value, shape = _read(walk, operator), _tensor(walk, operator, 0).shape
    axes = _tensor(walk, operator, 1).constant
    if axes is None:
        raise _UnsupportedError("its axes are not a constant")
    averaged = {int(axis) % max(1, len(shape)) for axis in axes if -len(shape) <= axis < len(shape)}
    long = {axis for axis in range(len(shape)) if shape[axis] > 1}
    if long & averaged != long - {len(shape) - 1} or len(shape) - 1 in averaged:
        raise _UnsupportedError(f"averages axes {sorted(averaged)} of {shape}, not all of time")
    return _averaging(walk, operator, name, value, 1)


def _averaging(
    walk: _Walk, operator: TFLiteOperator, name: str, value: _Value, segments: int
) -> tuple[Op, tuple[str, ...]]:
    channels = value.channels
    if _rows(walk.file.tensors[operator.outputs[0]].shape) != (segments, channels):
        raise _UnsupportedError("makes another shape than its window says")
    return Op(name, "average_pool", value.length, channels, segments, channels), (value.name,)


def _softmax(walk: _Walk, operator: TFLiteOperator, name: str) -> tuple[Op, tuple[str, ...]]:
    value = _read(walk, operator)
    if tuple(operator.outputs) != walk.file.outputs:
        raise _UnsupportedError("is not the last operator; only a final softmax has a kernel")
    return Op(name, "class_head", value.length, value.channels, 1, value.channels), (value.name,)


def _note(walk: _Walk, operator: TFLiteOperator) -> str:
    if operator.name == "SOFTMAX":
        return _SOFTMAX_NOTE
    source, target = (walk.file.tensors[at] for at in (operator.inputs[0], operator.outputs[0]))
    keeps = source.scales[0] == target.scales[0] and source.zero_points[0] == target.zero_points[0]
    return "" if keeps or operator.name not in ("MEAN", "AVERAGE_POOL_2D") else _MEAN_NOTE


_Rule = Callable[[_Walk, TFLiteOperator, str], tuple[Op, tuple[str, ...]]]
_RULES: Mapping[str, _Rule] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "MEAN": _mean,
    "SOFTMAX": _softmax,
}
_STATE = "keeps values between calls; give a model that reads whole windows"
_REMEDIES = dict.fromkeys(("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"), _STATE) | {
    "QUANTIZE": "converts tensors; convert the model with int8 inputs and outputs",
    "DEQUANTIZE": "converts tensors; convert the model with int8 inputs and outputs",
    "SPACE_TO_BATCH_ND": "spells a dilated convolution; convert with a converter that writes dilation",
    "BATCH_TO_SPACE_ND": "spells a dilated convolution; convert with a converter that writes dilation",
}
