"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

A 1-D layer is a 2-D one with one axis of length 1; a pointwise convolution may span both axes. A PAD before a VALID
convolution becomes its causal or centred padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from hwmodels.foreign.tflite_reader import TFLiteTensor
from hwmodels.foreign.walk import Site, UnsupportedError, Value, operator, rows_of
from hwmodels.network.graph import Activation, Kind, Op, Padding

_SAME = 0
_MOST_TAPS = 255


@dataclass(frozen=True)
class Window:
    """Along the one axis of a 2-D layer that is longer than 1: taps, stride, dilation."""

    kernel: int
    stride: int
    dilation: int

    @property
    def reach(self) -> int:
        """Samples between the first and the last tap."""
        return (self.kernel - 1) * self.dilation


def window_of(site: Site, shape: tuple[int, ...], kernel: tuple[int, int]) -> Window:
    """The layer's window over (1, H, W, C), given its kernel (KH, KW); a 1x1 one runs over all positions."""
    strides = site.option("StrideH", 1), site.option("StrideW", 1)
    dilations = site.option("DilationHFactor", 1), site.option("DilationWFactor", 1)
    if len(shape) != 4:
        raise UnsupportedError(f"reads a tensor of shape {shape}, not (1, height, width, channels)")
    if min(*kernel, *strides, *dilations) < 1:
        raise UnsupportedError(f"has kernel {kernel}, strides {strides}, dilations {dilations}; all must be positive")
    for axis in (0, 1):
        other = 1 - axis
        if kernel[other] == 1 and shape[1 + other] == 1:
            return Window(kernel[axis], strides[axis], dilations[axis])
    if kernel == (1, 1) and strides == (1, 1):
        return Window(1, 1, 1)
    raise UnsupportedError(
        f"is a 2-D layer (kernel {kernel[0]}x{kernel[1]} over {shape[1]}x{shape[2]}); "
        "kernels are 1-D: height or width must be 1"
    )


@operator("CONV_2D", "DEPTHWISE_CONV_2D")
def convolution(site: Site) -> None:
    """A convolution along time, with the padding that it was given or that a PAD before it makes."""
    site.require_int8(site.tensor(0), site.output)
    weights, is_depthwise = _weights(site, 4), site.operator.name == "DEPTHWISE_CONV_2D"
    source = site.tensor(0)
    window = window_of(site, source.shape, (weights.shape[1], weights.shape[2]))
    channels_in = source.shape[3]
    length_out, channels_out = rows_of(site.output)
    value, padding = _padded(site, window, length_out)
    kind: Kind = "conv"
    if is_depthwise and channels_in > 1:
        kind = "depthwise"
        if weights.shape[3] != channels_in or channels_out != channels_in:
            raise UnsupportedError("has a depth multiplier other than 1")
    elif not is_depthwise and weights.shape[3] != channels_in:
        raise UnsupportedError(f"is a grouped convolution ({weights.shape[3]} of {channels_in} channels)")
    if channels_out != weights.shape[3 if is_depthwise else 0]:
        raise UnsupportedError("makes another number of channels than its weights")
    sizes = (value.length, channels_in, length_out, channels_out, window.kernel, window.stride, window.dilation)
    _emit(site, Op(site.name, kind, *sizes, padding), value)


def _padded(site: Site, window: Window, length_out: int) -> tuple[Value, Padding]:
    """What the convolution reads, and the padding inside its kernel: that of a PAD before it wherever it serves."""
    if site.option("Padding") == _SAME:
        return site.read(), "centred"
    value = site.lazy()
    before, after = value.padding
    if (before, after) == (0, 0):
        return value, "valid"
    makes = (value.length + before + after - window.reach - 1) // window.stride + 1
    if makes == length_out == -(-value.length // window.stride):
        total = max(0, (length_out - 1) * window.stride + window.reach + 1 - value.length)
        for padding, needed in (("causal", window.reach), ("centred", total // 2)):
            if before == needed:
                return value, "causal" if padding == "causal" else "centred"
    return site.read(), "valid"


@operator("FULLY_CONNECTED")
def fully_connected(site: Site) -> None:
    """One position: fully connected. Many, each by itself: pointwise. All of them flattened: a convolution that
    spans them, whose weights lie in the same order, or where it had too many taps the vector that they are."""
    site.require_int8(site.tensor(0), site.output)
    outputs, depth = _weights(site, 2).shape
    given = site.walk.values.get(site.operator.inputs[0])
    value = site.read()
    elements = prod(value.shape)
    count = elements // depth
    if count * depth != elements or prod(rows_of(site.output)) != count * outputs:
        raise UnsupportedError(f"its weights ({outputs}, {depth}) do not fit ({value.length}, {value.channels})")
    if count > 1:
        op = Op(site.name, "conv", count, depth, count, outputs)
    elif given is None or given.name == "input" or any(given.padding) or not 1 < given.length <= _MOST_TAPS:
        op = Op(site.name, "fully_connected", 1, depth, 1, outputs)
    else:
        op = Op(site.name, "conv", *given.shape, 1, outputs, given.length, 1, 1, "valid")
    _emit(site, op, value)


def _emit(site: Site, op: Op, value: Value) -> None:
    """The operation with its fused activation, as far as kernels have it; a look-up does the rest."""
    activation = site.activation()
    fused: Activation = "none"
    if activation == "relu" or (activation == "relu6" and int(site.output.zero_points[0]) == -128):
        fused = "relu"
    site.emit(replace(op, activation=fused), [value.name])
    if activation not in ("none", fused):
        site.clamp_after(activation)


def _weights(site: Site, rank: int) -> TFLiteTensor:
    weights = site.tensor(1)
    if weights.kind != "int8" or not weights.is_constant or len(weights.shape) != rank:
        raise UnsupportedError(f"its weights are {weights.kind} of shape {weights.shape}; they must be constant int8")
    if any(size < 1 for size in weights.shape) or site.option("WeightsFormat") != 0:
        raise UnsupportedError("its weights are empty or shuffled")
    return weights
