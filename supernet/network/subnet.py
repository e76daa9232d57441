"""A plain torch network that runs any LayerGraph: extracted subnets, hand-made students, int8 twins later.

`execute` walks the graph and is shared with the supernet, so that both compute the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.operation_kind import kind_of
from supernet.network.context import filter_steps, is_rectified, with_passing
from supernet.network.convolution import NORM_EPSILON, convolve
from supernet.network.elastic import random_weight

OnTensor = Callable[[Op, Tensor], Tensor]
Statistics = Mapping[str, tuple[Tensor, Tensor]]
"""Per convolution: mean and variance of its output before the norm, each (channels_out,)."""


def execute(graph: LayerGraph, x: Tensor, layer: OnTensor, on_output: OnTensor | None = None) -> Tensor:
    """Run `graph` on x (batch, channels, samples) and return the logits (batch, outputs).

    `layer` computes each operation that has parameters, activation included; `on_output` may change
    the output of every operation up to the logits (the input's too), for instance to quantize it.
    Tensors are (batch, channels, 1, length), channels last.
    """
    nodes = graph.nodes()
    if kind_of(graph.output).is_head:
        nodes = nodes[:-1]
    return execute_part(nodes, {}, x, layer, on_output).flatten(1)


def execute_part(
    nodes: Sequence[tuple[Op, tuple[str, ...]]],
    known: Mapping[str, Tensor],
    x: Tensor | None,
    layer: OnTensor,
    on_output: OnTensor | None = None,
) -> Tensor:
    """Run successive `nodes` of a graph on the tensors `known` by name; returns the output of the last.

    x (batch, channels, samples) is what an input among them reads. The rest is as in `execute`.
    """
    tensors = dict(known)
    for op, sources in nodes:
        if not sources:
            assert x is not None
            _require_shape(op, x)
            y = x[:, :, None, :].contiguous(memory_format=torch.channels_last)
        elif op.has_parameters:
            y = layer(op, tensors[sources[0]])
        else:
            y = kind_of(op).real(op, [tensors[name] for name in sources])
            y = functional.relu(y) if op.activation == "relu" else y
        tensors[op.name] = y = on_output(op, y) if on_output else y
    return y


def observed(graph: LayerGraph, run: Callable[[OnTensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Logits of `run(on_output)`, and what they are made of: (batch, channels, positions).

    That is what the last pooling reads, or where nothing is pooled the operation that makes the logits.
    """
    pools = [op.name for op in graph if kind_of(op).pools]
    source = graph.sources((pools or graph.sources(graph.output.name))[-1])[0]
    kept: list[Tensor] = []

    def keep(op: Op, y: Tensor) -> Tensor:
        if op.name == source:
            kept.append(y[:, :, 0])
        return y

    logits = run(keep)
    return logits, kept[0]


def normalize_and_activate(
    op: Op, y: Tensor, scale: Tensor, shift: Tensor, statistics: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Batch norm by the statistics given, or by those of the batch when None, then the activation of `op`."""
    mean, variance = statistics if statistics is not None else (None, None)
    y = functional.batch_norm(
        y, mean, variance, scale, shift, training=statistics is None, momentum=0.0, eps=NORM_EPSILON
    )
    return functional.relu_(y) if op.activation == "relu" else y


def _require_shape(op: Op, x: Tensor) -> None:
    expected = (op.channels_out, op.length_out)
    if tuple(x.shape[1:]) != expected:
        raise ValueError(f"op {op.name!r}: expects windows of {expected}, got {tuple(x.shape[1:])}")


class Layer(nn.Module):
    """Parameters of one operation: a convolution with its batch norm, or a fully connected layer with bias.

    weight: (channels_out, channels_in or 1, 1, kernel), or (channels_out, channels_in) when fully
    connected. A convolution has either `norm` or, once folded, `bias`.
    """

    def __init__(self, op: Op, rng: np.random.Generator, rectifies: bool) -> None:
        super().__init__()
        self.rectifies = rectifies
        shape: tuple[int, ...] = (op.channels_out, op.channels_in)
        if op.kind != "fully_connected":
            shape = (op.filters, 1 if kind_of(op).is_channelwise else op.channels_in, 1, op.kernel)
        self.op = op
        self.weight = nn.Parameter(random_weight(shape, rng))
        self.norm: nn.BatchNorm2d | None = None
        self.bias: nn.Parameter | None = None
        if op.kind == "fully_connected":
            self.bias = nn.Parameter(torch.zeros(op.channels_out))
        else:
            self.norm = nn.BatchNorm2d(op.filters, eps=NORM_EPSILON)

    def forward(self, x: Tensor, on_weight: OnTensor | None = None, past: Tensor | None = None) -> Tensor:
        """Apply to x (batch, channels_in, 1, length_in), activation included; `past` as in `Subnet`."""
        weight = on_weight(self.op, self.weight) if on_weight else self.weight
        if self.op.kind == "fully_connected":
            y = functional.linear(x.flatten(1), weight, self.bias)[:, :, None, None]
        else:
            remembers = self.op.remembers > 0
            y = (
                (filter_steps(x, weight, self.op, past, self.bias))
                if remembers
                else convolve(x, weight, self.op, self.bias)
            )
            if self.norm is not None:
                y = self.norm(y)
        y = functional.relu_(y) if self.rectifies else y
        return with_passing(y, x) if self.op.remembers else y

    def fold(self) -> None:
        """Put the norm's running statistics, scale and shift into weight and bias; eval mode stays equal."""
        if self.norm is None:
            return
        with torch.no_grad():
            mean, variance = self.norm.running_mean, self.norm.running_var
            assert mean is not None and variance is not None
            factor = self.norm.weight / torch.sqrt(variance + self.norm.eps)
            self.weight.mul_(factor[:, None, None, None])
            self.bias = nn.Parameter(self.norm.bias - mean * factor)
        self.norm = None


class Subnet(nn.Module):
    """A network of its own that executes `graph`: float32 (batch, channels, samples) -> logits.

    Weights are drawn from `rng` (default: seed 0). `layers[name]` holds the parameters of op `name`.
    """

    def __init__(self, graph: LayerGraph, rng: np.random.Generator | None = None) -> None:
        super().__init__()
        rng = rng or np.random.default_rng(0)
        self.graph = graph
        self._modules_by_key = nn.ModuleDict(
            {op.name.replace(".", "/"): Layer(op, rng, is_rectified(graph, op)) for op in graph if op.has_parameters}
        )

    @property
    def layers(self) -> dict[str, Layer]:
        """Op name -> its parameters, in execution order."""
        found: dict[str, Layer] = {}
        for key, layer in self._modules_by_key.items():
            assert isinstance(layer, Layer)
            found[key.replace("/", ".")] = layer
        return found

    def forward(
        self,
        x: Tensor,
        past: Tensor | None = None,
        on_weight: OnTensor | None = None,
        on_output: OnTensor | None = None,
    ) -> Tensor:
        """Logits (batch, outputs) of normalized windows x (batch, channels, samples).

        past: (batch,) steps before each window in the batch (supernet/network/context.py), None for none.

        `on_weight(op, weight)` and `on_output(op, tensor)` replace weights and outputs on the way:
        fake quantization, range observers. Raises ValueError when the window has another shape.
        """
        layers = self.layers
        return execute(self.graph, x, lambda op, tensor: layers[op.name](tensor, on_weight, past), on_output)

    @property
    def remembered_steps(self) -> int:
        """Steps before the newest that it looks back to; 0 for a network that reads one window."""
        return self.graph.remembered_steps

    @property
    def positions_along(self) -> Literal["time", "frequency"]:
        """What the positions of its features are: moments, or frequencies."""
        return "time" if next(iter(self.graph)).reads == "samples" else "frequency"

    def observe(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits, and what they are pooled from: features (batch, channels, positions) along time."""
        return observed(self.graph, lambda keep: self(x, past, None, keep))

    def norms(self) -> dict[str, nn.BatchNorm2d]:
        """Op name -> batch norm, of the convolutions that still have one."""
        return {name: layer.norm for name, layer in self.layers.items() if layer.norm is not None}

    def statistics(self) -> Statistics:
        """The running mean and variance of every norm, by op name."""
        return {
            name: (norm.running_mean, norm.running_var)
            for name, norm in self.norms().items()
            if norm.running_mean is not None and norm.running_var is not None
        }

    def fold_norms(self) -> None:
        """Fold every batch norm into weight and bias, in place; the network in eval mode stays the same."""
        for layer in self.layers.values():
            layer.fold()
