"""A float network that rounds as int8 will: weights and activations on their grids, gradients let through.

It executes a LayerGraph with batch norm already folded away, and exports an IntegerModel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwmodels.graph import LayerGraph, Op
from hwmodels.integer import (
    FloatParameters,
    HeadSettings,
    InputSettings,
    IntegerModel,
    Quantization,
    quantize,
)

_LOW, _HIGH = -128, 127
_SMALLEST_RANGE = 1e-4


def _round(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes as if nothing was rounded."""
    return x + (x.round() - x).detach()


class ActivationRange(nn.Module):
    """The learned range of one int8 tensor (LSQ: Esser et al., ICLR 2020, with an asymmetric zero point).

    Zero is always representable. Before `freeze_observer` it only watches: the range becomes the
    given percentile of what passes through.
    """

    low: Tensor
    high: Tensor

    def __init__(self, never_negative: bool) -> None:
        super().__init__()
        self.never_negative = never_negative
        self.observing = True
        self._seen: list[Tensor] = []
        self.low = nn.Parameter(torch.zeros(()))
        self.high = nn.Parameter(torch.ones(()))

    def freeze_observer(self, percentile: float) -> None:
        """Set the range from what was watched: the mean over batches of each batch's percentiles."""
        ends = torch.stack(self._seen).mean(dim=0)
        self._seen.clear()
        with torch.no_grad():
            self.low.copy_(ends[0].clamp(max=0.0))
            self.high.copy_(ends[1].clamp(min=_SMALLEST_RANGE))
        self.observing = False

    def watch(self, x: Tensor, percentile: float) -> None:
        """Note the percentiles of one batch."""
        values = x.detach().flatten()
        tail = max(1, round(len(values) * (1 - percentile)))
        high = values.topk(tail).values[-1]
        low = -(-values).topk(tail).values[-1]
        self._seen.append(torch.stack([low, high]))

    def scale_and_zero_point(self) -> tuple[Tensor, Tensor]:
        """The step of the int8 grid (differentiable) and the integer that stands for zero."""
        low = torch.zeros_like(self.low) if self.never_negative else self.low.clamp(max=0.0)
        high = self.high.clamp(min=_SMALLEST_RANGE)
        scale = (high - low) / (_HIGH - _LOW)
        zero_point = (_LOW - low / scale).round().clamp(_LOW, _HIGH).detach()
        return scale, zero_point

    def forward(self, x: Tensor) -> Tensor:
        """The values of `x` as int8 would hold them."""
        scale, zero_point = self.scale_and_zero_point()
        return (_round((x / scale + zero_point).clamp(_LOW, _HIGH)) - zero_point) * scale

    def quantization(self) -> Quantization:
        """The learned scale and zero point for export."""
        scale, zero_point = self.scale_and_zero_point()
        return Quantization(float(scale), int(zero_point))


def _fake_quantized_weight(weight: Tensor, channel_axis: int) -> Tensor:
    """Symmetric per-channel rounding to [-127, 127] (TFLite int8 specification)."""
    other = [axis for axis in range(weight.dim()) if axis != channel_axis]
    scale = weight.detach().abs().amax(dim=other, keepdim=True).clamp(min=1e-8) / 127
    return _round(weight / scale) * scale


class FakeQuantNetwork(nn.Module):
    """A LayerGraph in float arithmetic with int8 rounding.

    `parameters_of` maps op name to folded float weights: conv (cout, kernel, cin), depthwise
    (kernel, channels), fully connected (cout, cin). Input (batch, channels, samples); output the
    logits (batch, outputs). With `enabled` False it is the plain float network.
    """

    def __init__(self, graph: LayerGraph, parameters_of: Mapping[str, FloatParameters]) -> None:
        super().__init__()
        self.graph = graph
        self.enabled = True
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        self.ranges = nn.ModuleDict()
        for op in graph:
            key = _key(op.name)
            if op.has_parameters:
                given = parameters_of[op.name]
                self.weights[key] = nn.Parameter(torch.from_numpy(np.array(given.weight, np.float32)))
                self.biases[key] = nn.Parameter(torch.from_numpy(np.array(given.bias, np.float32)))
            if op.kind not in ("average_pool", "heart_rate_head", "class_head"):
                self.ranges[key] = ActivationRange(never_negative=op.activation == "relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of normalized windows (batch, channels, samples)."""
        return self._run(x, percentile=None)

    @torch.no_grad()
    def calibrate(self, batches: list[Tensor], percentile: float = 0.9999) -> None:
        """Set every activation range from calibration windows: post-training quantization."""
        for batch in batches:
            self._run(batch, percentile=percentile)
        for activation_range in self.ranges.values():
            assert isinstance(activation_range, ActivationRange)
            activation_range.freeze_observer(percentile)

    def _run(self, x: Tensor, percentile: float | None) -> Tensor:
        values: dict[str, Tensor] = {}
        for op in self.graph:
            if op.kind in ("heart_rate_head", "class_head"):
                continue
            inputs = [values[name] for name in self.graph.sources(op.name)]
            y = x.unsqueeze(2) if op.kind == "input" else self._apply(op, inputs)
            origin = op.name
            while self.graph[origin].kind == "average_pool":
                origin = self.graph.sources(origin)[0]
            activation_range = self.ranges[_key(origin)]
            assert isinstance(activation_range, ActivationRange)
            if percentile is not None:
                if origin == op.name:
                    activation_range.watch(y, percentile)
            elif self.enabled:
                y = activation_range(y)
            values[op.name] = y
        last = self.graph.sources(self.graph.output.name)[0]
        return values[last].flatten(1)

    def _apply(self, op: Op, inputs: list[Tensor]) -> Tensor:
        if op.kind == "add":
            y = inputs[0] + inputs[1]
        elif op.kind == "average_pool":
            y = functional.avg_pool2d(inputs[0], (1, op.length_in // op.length_out))
        else:
            key = _key(op.name)
            weight, bias = self.weights[key], self.biases[key]
            if self.enabled:
                weight = _fake_quantized_weight(weight, channel_axis=1 if op.kind == "depthwise" else 0)
            if op.kind == "fully_connected":
                y = functional.linear(inputs[0].flatten(1), weight, bias)[:, :, None, None]
            else:
                y = _convolve(op, inputs[0], weight, bias)
        return functional.relu(y) if op.activation == "relu" else y

    @torch.no_grad()
    def float_parameters(self) -> dict[str, FloatParameters]:
        """The current weights, by op name."""
        return {
            op.name: FloatParameters(
                self.weights[_key(op.name)].detach().numpy().copy(),
                self.biases[_key(op.name)].detach().numpy().copy(),
            )
            for op in self.graph
            if op.has_parameters
        }

    @torch.no_grad()
    def quantizations(self) -> dict[str, Quantization]:
        """Scale and zero point of every int8 tensor, by op name."""
        found: dict[str, Quantization] = {}
        for op in self.graph:
            activation_range = self.ranges.get(_key(op.name), None)
            if isinstance(activation_range, ActivationRange):
                found[op.name] = activation_range.quantization()
            elif op.kind == "average_pool":
                found[op.name] = found[self.graph.sources(op.name)[0]]
        return found

    def export(self, head: HeadSettings, inputs: InputSettings) -> IntegerModel:
        """The integer network this module stands for."""
        return quantize(self.graph, self.float_parameters(), self.quantizations(), head, inputs)


def _key(name: str) -> str:
    return name.replace(".", "_")


def _convolve(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    reach = (op.kernel - 1) * op.dilation
    before = op.padding_before
    after = max(0, (op.length_out - 1) * op.stride + reach + 1 - before - op.length_in)
    if before or after:
        x = functional.pad(x, (before, after))
    if op.kind == "depthwise":
        kernel = weight.t().reshape(op.channels_out, 1, 1, op.kernel)
        groups = op.channels_out
    else:
        kernel = weight.permute(0, 2, 1).unsqueeze(2)
        groups = 1
    return functional.conv2d(x, kernel, bias, stride=(1, op.stride), dilation=(1, op.dilation), groups=groups)
