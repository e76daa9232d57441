"""Pooling over windows along time, and what reduces all of it."""

from __future__ import annotations

from math import prod

from hwmodels.foreign.foreign_ops import (
    MAX_POOL,
    PLAIN_AVERAGE,
    PLAIN_MAX_POOL,
    ForeignCall,
    ForeignKernel,
)
from hwmodels.foreign.operators.convolutions import Window, window_of
from hwmodels.foreign.walk import Site, UnsupportedError, Value, operator, rows_of
from hwmodels.network.graph import Op

_SAME = 0
_GRID_NOTE = "output on another grid than the input: its requantization is counted as a table look-up of each output"


@operator("AVERAGE_POOL_2D", "MAX_POOL_2D")
def pool(site: Site) -> None:
    """Windows along time; equal segments are averaged by a kernel of ours."""
    site.require_int8(site.tensor(0), site.output)
    value, shape = site.read(), site.tensor(0).shape
    kernel = site.option("FilterHeight", 1), site.option("FilterWidth", 1)
    strides = site.option("StrideH", 1), site.option("StrideW", 1)
    if len(shape) != 4 or min(*kernel, *strides) < 1:
        raise UnsupportedError(f"pools windows of {kernel} in a tensor of shape {shape}")
    if kernel == shape[1:3] and (site.option("Padding") != _SAME or strides == kernel):
        window = Window(value.length, value.length, 1)
    else:
        window = window_of(site, shape, kernel)
    length_out = _windows(site, value, window)
    if site.operator.name == "MAX_POOL_2D":
        _max_pool(site, value, window, length_out)
    elif length_out * window.kernel == value.length and window.kernel == window.stride:
        _average(site, value, length_out)
    else:
        _pool_windows(site, PLAIN_AVERAGE, "average_pool", value, window, length_out)
    activation = site.activation()
    if activation != "none":
        site.clamp_after(activation)


@operator("MEAN", "REDUCE_MAX")
def reduction(site: Site) -> None:
    """Of all of time, or of what lies together in memory."""
    site.require_int8(site.tensor(0), site.output)
    value, shape = site.read(), site.tensor(0).shape
    axes = site.tensor(1).constant
    if axes is None:
        raise UnsupportedError("its axes are not a constant")
    reduced = {int(axis) % max(1, len(shape)) for axis in axes if -len(shape) <= axis < len(shape)}
    long = {axis for axis in range(len(shape)) if shape[axis] > 1}
    last = len(shape) - 1
    if last not in reduced and long - {last} <= reduced:
        length_out = 1
    elif long & reduced == {axis for axis in long if axis >= min(long & reduced, default=0)}:
        # rows of so many values that lie together: each a window of a single channel
        together = prod(shape[axis] for axis in long & reduced)
        value = Value(value.name, prod(value.shape), 1)
        length_out = value.length // together
    else:
        raise UnsupportedError(f"reduces axes {sorted(reduced)} of {shape}, not all of time")
    window = Window(value.length // length_out, value.length // length_out, 1)
    if prod(rows_of(site.output)) != length_out * value.channels:
        raise UnsupportedError("makes another shape than its axes say")
    if site.operator.name == "MEAN":
        _average(site, value, length_out)
    else:
        _max_pool(site, value, window, length_out)


def _windows(site: Site, value: Value, window: Window) -> int:
    """How many windows there are. Raises where the output says another number."""
    inside = value.length if site.option("Padding") == _SAME else value.length - window.kernel + 1
    length_out = -(-inside // window.stride)
    if inside < 1 or rows_of(site.output) != (length_out, value.channels):
        raise UnsupportedError("makes another shape than its window says")
    return length_out


def _average(site: Site, value: Value, length_out: int) -> None:
    """Of equal segments, by our kernel; requantized where the output has another grid."""
    channels = value.channels
    site.emit(Op(site.name, "average_pool", value.length, channels, length_out, channels), [value.name])
    if not site.same_grid():
        site.notes.append(_GRID_NOTE)
        site.look_up_after("requantized")


def _max_pool(site: Site, value: Value, window: Window, length_out: int) -> None:
    kernel = MAX_POOL if value.channels % 4 == 0 else PLAIN_MAX_POOL
    _pool_windows(site, kernel, "max_pool", value, window, length_out)


def _pool_windows(site: Site, kernel: ForeignKernel, label: str, value: Value, window: Window, length_out: int) -> None:
    total = max(0, (length_out - 1) * window.stride + window.kernel - value.length)
    before = total // 2
    numbers = (value.length, value.channels, length_out, window.kernel, window.stride, before)
    loops = length_out * min(window.kernel, value.length) * value.channels
    site.emit_calls(label, [value], [ForeignCall(kernel, numbers, loops=loops)])
