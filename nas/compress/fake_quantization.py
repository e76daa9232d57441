"""A float network that rounds as int8 will: weights and activations on their grids, gradients let through.

Post-training quantization is its calibration alone; quantization-aware training goes on from there. When not
being trained it computes the deployed integers themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.interpreter import (
    FloatParameters,
    HeadSettings,
    InputSettings,
    IntegerModel,
    Quantization,
    quantize,
    quantize_parameters,
)
from hwmodels.network.operation_kind import FastFormError, kind_of
from hwmodels.network.preparation import on_input_grid
from nas.compress.integer_arithmetic import integer_tensors
from supernet.network.subnet import OnTensor, Subnet, execute, observed
from supernet.windows.step_numbers import STEP_S
from supernet.windows.steps import Given, Windows, given

Grid = tuple[Tensor, Tensor]
_LOW, _HIGH = -128, 127
_SMALLEST_RANGE = 1e-4
_LARGEST_MULTIPLIER = 0.4995
"""Fast kernels need every requantization multiplier below a half: hwmodels/network/operations/weighted.py."""
_NUDGE, _NUDGES = 1 / 1024, 24
_WINDOWS_AT_ONCE = 32


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
        self._seen.append(_ends(x, percentile))

    def watch_too(self, x: Tensor, percentile: float) -> None:
        """Widen what was noted of the last batch to what else of it lies on this grid."""
        low, high = _ends(x, percentile)
        self._seen[-1] = torch.stack([self._seen[-1][0].minimum(low), self._seen[-1][1].maximum(high)])

    def scale_and_zero_point(self, least_scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The step of the int8 grid (differentiable) and the integer that stands for zero.

        A range too narrow for `least_scale` is widened at both ends alike.
        """
        low = torch.zeros_like(self.low) if self.never_negative else self.low.clamp(max=0.0)
        high = self.high.clamp(min=_SMALLEST_RANGE)
        scale = (high - low) / (_HIGH - _LOW)
        if least_scale is not None:
            low = low * (least_scale / scale).clamp(min=1.0)
            scale = scale.maximum(least_scale)
        zero_point = (_LOW - low / scale).round().clamp(_LOW, _HIGH).detach()
        return scale, zero_point

    @torch.no_grad()
    def widen(self, factor: float) -> None:
        """Make every step of the grid larger by a factor; zero stays where it is."""
        self.low.mul_(factor)
        self.high.mul_(factor)


def _ends(x: Tensor, percentile: float) -> Tensor:
    """The values that all but a share of 1 - percentile lie above, and below."""
    values = x.detach().flatten()
    tail = max(1, round(len(values) * (1 - percentile)))
    high = values.topk(tail).values[-1]
    low = -(-values).topk(tail).values[-1]
    return torch.stack([low, high])


def on_grid(x: Tensor, grid: Grid) -> Tensor:
    """The values of `x` as int8 would hold them on a grid (scale, zero point)."""
    scale, zero_point = grid
    return (_round((x / scale + zero_point).clamp(_LOW, _HIGH)) - zero_point) * scale


def _weight_scale(weight: Tensor) -> Tensor:
    other = list(range(1, weight.dim()))
    return weight.detach().abs().amax(dim=other, keepdim=True).clamp(min=1e-8) / 127


def _on_weight_grid(op: Op, weight: Tensor) -> Tensor:
    """Symmetric per-channel rounding to [-127, 127] (TFLite int8 specification)."""
    scale = _weight_scale(weight)
    return _round(weight / scale) * scale


class FakeQuantNetwork(nn.Module):
    """A subnet with int8 rounding; windows (batch, channels, samples) -> logits.

    While training, in float arithmetic with gradients: a value on the edge between two steps may fall on the
    other side than TFLite's rounding takes it. In eval mode without gradients, exactly what is exported.
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
                if not (kind_of(op).keeps_grid or kind_of(op).is_head)
            }
        )

    @property
    def graph(self) -> LayerGraph:
        """The deployed network."""
        return self.subnet.graph

    def _range(self, op: Op) -> ActivationRange:
        found = self.ranges[_key(op.name)]
        assert isinstance(found, ActivationRange)
        return found

    def grids(self) -> dict[str, Grid]:
        """Scale and zero point of every op's int8 output, inside what the fast kernels ask of them.

        Pooling keeps the grid of its input, as TFLite demands.
        """
        found: dict[str, Grid] = {}
        for op in self.graph:
            sources = [found[name] for name in self.graph.sources(op.name)]
            ratio = kind_of(op).largest_operand_ratio
            if kind_of(op).keeps_grid:
                found[op.name] = sources[0]
            elif op.has_parameters:
                finest = sources[0][0].detach() * _weight_scale(self.subnet.layers[op.name].weight).max()
                found[op.name] = self._range(op).scale_and_zero_point(finest / _LARGEST_MULTIPLIER)
            elif ratio is not None:
                coarsest = torch.stack([scale for scale, _ in sources]).max().detach()
                found[op.name] = self._range(op).scale_and_zero_point(coarsest / ratio)
            elif op.output_bytes:
                found[op.name] = self._range(op).scale_and_zero_point()
        return found

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Logits (batch, outputs) of normalized windows, and of those before (supernet/network/context.py)."""
        return self.on_graph(self.graph, x, past=past)

    @property
    def remembered_steps(self) -> int:
        """Steps before the newest that it looks back to."""
        return self.graph.remembered_steps

    def on_graph(
        self, graph: LayerGraph, x: Tensor, then: OnTensor | None = None, past: Tensor | None = None
    ) -> Tensor:
        """As `forward`, with `graph` in place of its own: the same ops over inputs of another length.

        `then` may change each output once it is on its grid.
        """
        if not self.training:
            return self._exact_logits(graph, Windows(x, past), then)
        grids, layers = self.grids(), self.subnet.layers

        def rounded(op: Op, y: Tensor) -> Tensor:
            y = on_grid(y, grids[op.name])
            return y if then is None else then(op, y)

        return execute(graph, x, lambda op, y: layers[op.name](y, _on_weight_grid, past), rounded)

    @property
    def positions_along(self) -> Literal["time", "frequency"]:
        """What the positions of its features are: moments, or frequencies."""
        return self.subnet.positions_along

    def observe(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits, and what they are pooled from: features (batch, channels, positions) along time."""
        return observed(self.graph, lambda keep: self.on_graph(self.graph, x, keep, past))

    def integer_tensors(self, x: Tensor, past: Tensor | None = None) -> dict[str, Tensor]:
        """What the deployed network computes: int64 (batch, channels, 1, length) by op name, no heads."""
        return next(self._integers(self.graph, Windows(x, past), None, max(1, len(x))))

    @torch.no_grad()
    def _integers(
        self, graph: LayerGraph, given: Windows, then: OnTensor | None, windows: int
    ) -> Iterator[dict[str, Tensor]]:
        """As `integer_tensors`, so many windows at a time."""
        grids = self.quantizations()
        parameters = quantize_parameters(self.graph, self.float_parameters(), grids)

        def changed(op: Op, q: Tensor) -> Tensor:
            if then is None:
                return q
            grid = grids[op.name]
            real = then(op, (q - grid.zero_point).float() * grid.scale)
            return (real / grid.scale).round().long() + grid.zero_point

        for part, known in given.parts(windows, graph.remembered_steps):
            q = torch.from_numpy(on_input_grid(grids[graph.input.name], part.x.numpy()))
            tensors = integer_tensors(graph, grids, parameters, q, changed, part.past)
            yield {name: tensor[known:] for name, tensor in tensors.items()}

    def _exact_logits(self, graph: LayerGraph, given: Windows, then: OnTensor | None) -> Tensor:
        name = graph.sources(graph.output.name)[0]
        grid = self.quantizations()[name]
        parts = [tensors[name] for tensors in self._integers(graph, given, then, _WINDOWS_AT_ONCE)]
        return (torch.cat(parts) - grid.zero_point).flatten(1).float() * grid.scale

    @torch.no_grad()
    def calibrate(self, batches: Sequence[Given], percentile: float = 0.9999) -> None:
        """Set every activation range from what calibration windows reach: post-training quantization.

        What a context makes lies on its source's grid, and widens it.
        """

        def watch(op: Op, y: Tensor) -> Tensor:
            if op.remembers:
                self._range(self.graph[self.graph.sources(op.name)[0]]).watch_too(y, percentile)
            elif not kind_of(op).keeps_grid:
                self._range(op).watch(y, percentile)
            return y

        for windows in map(given, batches):
            self.subnet(windows.x, windows.past, None, watch)
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
            if kind_of(layer.op).is_channelwise:
                weight = weight[:, 0, 0].T
            elif weight.ndim == 4:
                weight = weight[:, :, 0].transpose(0, 2, 1)
            found[name] = FloatParameters(weight.copy(), layer.bias.detach().numpy().copy())
        return found

    @torch.no_grad()
    def quantizations(self) -> dict[str, Quantization]:
        """Scale and zero point of every int8 tensor, by op name."""
        return {name: Quantization(float(scale), int(zero)) for name, (scale, zero) in self.grids().items()}

    def settle(self) -> None:
        """Widen the grids of residual sums, by a thousandth at a time, until the fast ADD is proven exact.

        A few grids in a hundred have no exact constants; their neighbours have. Ranges are changed in place,
        so that the module stays what is exported.
        """
        for op in self.graph:
            names = (*self.graph.sources(op.name), op.name)
            if kind_of(op).largest_operand_ratio is None:
                continue
            for _ in range(_NUDGES):
                grids = self.quantizations()
                try:
                    kind_of(op).require_fast([grids[name] for name in names])
                    break
                except FastFormError:
                    self._range(op).widen(1 + _NUDGE)

    def export(self, head: HeadSettings, inputs: InputSettings) -> IntegerModel:
        """The integer network this module stands for, after `settle`."""
        self.settle()
        if self.graph.spans_windows:
            inputs = replace(inputs, context_step_s=STEP_S)
        return quantize(self.graph, self.float_parameters(), self.quantizations(), head, inputs)


def _key(name: str) -> str:
    return name.replace(".", "/")
