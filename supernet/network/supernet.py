"""SuperNet: the weights of all architectures of a space; the architecture is an argument, never state.

It walks the LayerGraph that the architecture deploys and takes each operation's weights from a
bank. Banks are shared over widths, depths, expansions and kernel sizes, but not over dilations,
sampling rates or sensor sets: a kernel that must mean the same at several dilations ruins a network
whose task is periodicity (docs/explanation/supernet.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from hwmodels.network.graph import LayerGraph, Op, Padding
from hwmodels.network.operation_kind import kind_of
from supernet.network.context import filter_steps, is_rectified, with_passing
from supernet.network.convolution import convolve, convolve_and_normalize
from supernet.network.elastic import ElasticConvolution, LayerWeights, random_weight
from supernet.network.subnet import Statistics, execute, normalize_and_activate
from supernet.space.arch import Arch, input_channels
from supernet.space.lowering import lower
from supernet.space.search_space import SearchSpace


@dataclass(frozen=True)
class Axes:
    """The shared channel dimensions of a bank's output and input axis; None where it is not elastic."""

    output: str | None
    input: str | None


class SuperNet(nn.Module):
    """All weights of `space`. `SuperNet(space)(x, arch)` gives logits (batch, outputs).

    x: float32 (batch, channels, samples), normalized, at the rate and with the sensors of `arch`:
    PPG first, then the accelerometer axes.
    """

    def __init__(self, space: SearchSpace, rng: np.random.Generator | None = None) -> None:
        super().__init__()
        rng = rng or np.random.default_rng(0)
        self.space = space
        self.banks = nn.ModuleDict()
        self.axes: dict[str, Axes] = {}
        dims = _stream_dims(space)

        def add(
            key: str,
            out: int,
            into: int,
            kernels: tuple[int, ...],
            output: str | None,
            source: str | None,
            padding: Padding = space.padding,
        ) -> None:
            self.banks[key] = ElasticConvolution(out, into, kernels, padding, rng)
            self.axes[key] = Axes(output, source)

        stem_width = max(space.stem_widths)
        for stem in space.stems:
            for sensors in space.sensors:
                channels = input_channels(sensors, space.reads)
                key = _stem_key(stem.rate_hz, channels)
                add(key, stem_width, channels, (stem.kernel,), dims[0], None)
        before = stem_width
        for number, stage in enumerate(space.stages, 1):
            width = max(stage.widths)
            for position, choices in enumerate(stage.blocks, 1):
                name = f"stage{number}/block{position}"
                channels = before if position == 1 else width
                source, target = dims[number - 1] if position == 1 else dims[number], dims[number]
                can_add = position > 1 or (
                    stage.stride == 1 and bool(_widths_before(space, number) & set(stage.widths))
                )
                always_adds = position > 1
                endings = [ending for ending, is_used in (("+", can_add), ("", not always_adds)) if is_used]
                inverted, dilated = choices.inverted_residual, choices.dilated
                if (context := choices.context) is not None and max(context.channels):
                    for steps in context.steps:
                        add(f"{name}/context/s{steps}", max(context.channels), 1, context.taps, None, None, "causal")
                if inverted is not None:
                    mid, mid_dim = channels * max(inverted.expansions), f"{name}/mid"
                    add(f"{name}/expand", mid, channels, (1,), mid_dim, source)
                    for dilation in inverted.dilations:
                        add(f"{name}/depthwise/d{dilation}", mid, 1, inverted.kernels, mid_dim, None)
                    for ending in endings:
                        add(f"{name}/project{ending}", width, mid, (1,), target, mid_dim)
                if dilated is not None:
                    for dilation in dilated.dilations:
                        for ending in endings:
                            key = f"{name}/conv/d{dilation}{ending}"
                            add(key, width, channels, dilated.kernels, target, source)
            before = width
        # Over spectra the logits are a convolution like any other, and these stay empty.
        outputs = 0 if space.reads == "spectrum" else space.outputs
        if not outputs:
            add("logits", 1, before, (1,), None, dims[-1])
            nn.init.constant_(self.bank("logits").scale, _LOGITS_DEVIATION)
        self.logits_weight = nn.Parameter(random_weight((outputs, before), rng) / 2**0.5)
        self.logits_bias = nn.Parameter(torch.zeros(outputs))
        self.logits_axis = dims[-1] if outputs else None

    def forward(
        self, x: Tensor, arch: Arch, statistics: Statistics | None = None, past: Tensor | None = None
    ) -> Tensor:
        """Logits of `arch`. Norms use the batch's own statistics, or `statistics` when given.

        past: (batch,) steps before each window in the batch, for members that remember (supernet/network/context.py).
        Raises ValueError when x does not have the shape that `arch` reads.
        """
        graph = lower(self.space, arch)

        def layer(op: Op, tensor: Tensor) -> Tensor:
            if op.kind == "fully_connected":
                weight = self.logits_weight[:, : op.channels_in]
                return functional.linear(tensor.flatten(1), weight, self.logits_bias)[:, :, None, None]
            weights = self.weights(graph, op)
            known = None if statistics is None else statistics[op.name]
            if op.remembers:
                y = filter_steps(tensor, weights.weight, op, past)
                y = normalize_and_activate(op, y, weights.scale, weights.shift, known)
                return with_passing(functional.relu_(y) if is_rectified(graph, op) else y, tensor)
            if statistics is None and torch.is_grad_enabled():
                return convolve_and_normalize(tensor, *weights, op)
            y = convolve(tensor, weights.weight, op)
            return normalize_and_activate(op, y, weights.scale, weights.shift, known)

        return execute(graph, x, layer)

    def weights(self, graph: LayerGraph, op: Op) -> LayerWeights:
        """The weights that a convolution of a member's graph runs with (views of the shared ones)."""
        bank = self.bank(self._bank_key(graph, op))
        channels_in = 1 if kind_of(op).is_channelwise else op.channels_in
        return bank.select(op.filters, channels_in, op.kernel)

    def bank(self, key: str) -> ElasticConvolution:
        """The bank of shared weights named `key`."""
        bank = self.banks[key]
        assert isinstance(bank, ElasticConvolution)
        return bank

    def _bank_key(self, graph: LayerGraph, op: Op) -> str:
        if op.name == "stem":
            rates = {self.space.input_length(rate): rate for rate in self.space.rates}
            return _stem_key(rates[op.length_in], op.channels_in)
        key = op.name.replace(".", "/")
        if op.remembers:
            return f"{key}/s{op.dilation}"
        if op.kind == "depthwise":
            return f"{key}/d{op.dilation}"
        if key.endswith("/expand"):
            return key
        if key.endswith("/conv"):
            key = f"{key}/d{op.dilation}"
        is_added = any(
            graph[reader].kind == "add" and graph.sources(reader)[1] == op.name for reader in graph.readers(op.name)
        )
        return f"{key}+" if is_added else key


_LOGITS_DEVIATION = 3.0
"""What normalized logits over spectra start with: a belief that has a peak."""


def _stem_key(rate_hz: int, channels: int) -> str:
    return f"stem/{rate_hz}hz/{channels}"


def _widths_before(space: SearchSpace, number: int) -> set[int]:
    return set(space.stem_widths if number == 1 else space.stages[number - 2].widths)


def _stream_dims(space: SearchSpace) -> list[str | None]:
    """Names of the channel dimensions after the stem and each stage, or None where order must stay.

    Where a first block can add its input to its output, both sides must be ordered alike: they share
    one name if their largest widths agree, and are not reordered at all otherwise; nor is a stream of which blocks
    remember the first channels.
    """
    maxima = [max(space.stem_widths), *(max(stage.widths) for stage in space.stages)]
    dims: list[str | None] = [f"stream{index}" for index in range(len(maxima))]
    for number, stage in enumerate(space.stages, 1):
        if stage.stride == 1 and _widths_before(space, number) & set(stage.widths):
            if maxima[number] == maxima[number - 1]:
                dims[number] = dims[number - 1]
            else:
                fixed = {dims[number - 1], dims[number]}
                dims = [None if dim in fixed else dim for dim in dims]
    for number, stage in enumerate(space.stages, 1):
        for position, choices in enumerate(stage.blocks):
            if any(option.remembers for option in choices.options):
                read = dims[number - 1 if position == 0 else number]
                dims = [None if dim == read else dim for dim in dims]
    return dims
