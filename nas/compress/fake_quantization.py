"""A float network that rounds as int8 will: weights and activations on their grids, gradients let through.

Post-training quantization is its calibration alone; quantization-aware training goes on from there.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwmodels.graph import LayerGraph, Op
from hwmodels.integer import (
    FloatParameters,
    HeadSettings,
    InputSettings,
    IntegerModel,
    Quantization,
    quantize,
)
from supernet.subnet import Subnet

_LOW, _HIGH = -128, 127
_SMALLEST_RANGE = 1e-4


def _round(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes as if nothing was rounded."""
    return x + (x.round() - x).detach()


class ActivationRange(nn.Module):
    """The learned range of one int8 tensor (LSQ: Esser et al., ICLR 2020, with an asymmetric zero point).

    Zero is always representable. `watch` notes what passes; `freeze_observer` makes a range of it.
    """

    low: Tensor
    high: Tensor

    def __init__(self, never_negative: bool) -> None:
        super().__init__()
        self.never_negative = never_negative
        self._seen: list[Tensor] = []
        self.low = nn.Parameter(torch.zeros(()))
        self.high = nn.Parameter(torch.ones(()))

    def freeze_observer(self) -> None:
        """Set the range from what was watched: the mean over batches of each batch's percentiles."""
        ends = torch.stack(self._seen).mean(dim=0)
        self._seen.clear()
        with torch.no_grad():
            self.low.copy_(ends[0].clamp(max=0.0))
            self.high.copy_(ends[1].clamp(min=_SMALLEST_RANGE))

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


def _on_weight_grid(op: Op, weight: Tensor) -> Tensor:
    """Symmetric per-channel rounding to [-127, 127] (TFLite int8 specification)."""
    other = list(range(1, weight.dim()))
    scale = weight.detach().abs().amax(dim=other, keepdim=True).clamp(min=1e-8) / 127
    return _round(weight / scale) * scale


class FakeQuantNetwork(nn.Module):
    """A subnet in float arithmetic with int8 rounding; windows (batch, channels, samples) -> logits.

    Takes a copy of `subnet` and folds its batch norms. Call `calibrate` once before training it.
    """

    def __init__(self, subnet: Subnet) -> None:
        super().__init__()
        self.subnet = copy.deepcopy(subnet)
        self.subnet.fold_norms()
        self.ranges = nn.ModuleDict(
            {
                _key(op.name): ActivationRange(never_negative=op.activation == "relu")
                for op in subnet.graph
                if op.kind not in ("average_pool", "heart_rate_head", "class_head")
            }
        )

    @property
    def graph(self) -> LayerGraph:
        """The deployed network."""
        return self.subnet.graph

    def _range(self, op: Op) -> ActivationRange:
        """The range of an op's output; pooling keeps that of its input, as TFLite demands."""
        while op.kind == "average_pool":
            op = self.graph[self.graph.sources(op.name)[0]]
        found = self.ranges[_key(op.name)]
        assert isinstance(found, ActivationRange)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of normalized windows."""
        logits: Tensor = self.subnet(x, _on_weight_grid, lambda op, y: self._range(op)(y))
        return logits

    @torch.no_grad()
    def calibrate(self, batches: Sequence[Tensor], percentile: float = 0.9999) -> None:
        """Set every activation range from what calibration windows reach: post-training quantization."""

        def watch(op: Op, y: Tensor) -> Tensor:
            if op.kind != "average_pool":
                self._range(op).watch(y, percentile)
            return y

        for batch in batches:
            self.subnet(batch, None, watch)
        for found in self.ranges.values():
            assert isinstance(found, ActivationRange)
            found.freeze_observer()

    @torch.no_grad()
    def float_parameters(self) -> dict[str, FloatParameters]:
        """Weights and biases by op name, in the layout of the integer network (output channel first)."""
        found = {}
        for name, layer in self.subnet.layers.items():
            assert layer.bias is not None
            weight = layer.weight.detach().numpy()
            if layer.op.kind == "depthwise":
                weight = weight[:, 0, 0].T
            elif layer.op.kind == "conv":
                weight = weight[:, :, 0].transpose(0, 2, 1)
            found[name] = FloatParameters(weight.copy(), layer.bias.detach().numpy().copy())
        return found

    @torch.no_grad()
    def quantizations(self) -> dict[str, Quantization]:
        """Scale and zero point of every int8 tensor, by op name."""
        return {op.name: self._range(op).quantization() for op in self.graph if op.output_bytes}

    def export(self, head: HeadSettings, inputs: InputSettings) -> IntegerModel:
        """The integer network this module stands for."""
        return quantize(self.graph, self.float_parameters(), self.quantizations(), head, inputs)


def _key(name: str) -> str:
    return name.replace(".", "/")
