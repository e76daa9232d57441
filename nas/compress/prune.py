"""Structured pruning: whole channels go, by the norm of the filters that make them.

What comes out is a smaller LayerGraph with channel counts that are multiples of 4, exported like any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph
from hwmodels.network.operation_kind import kind_of
from supernet.network.subnet import Subnet

_MULTIPLE = 4


def channel_groups(graph: LayerGraph) -> dict[str, str]:
    """Op -> the op that names its output channels' group: tensors whose channels must be kept alike.

    Depthwise convolutions and pooling keep their input's channels; a sum ties both of its inputs.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for op in graph:
        parent[op.name] = op.name
        sources = graph.sources(op.name)
        if kind_of(op).keeps_channels:
            for source in sources:
                parent[root(op.name)] = root(source)
    return {op.name: root(op.name) for op in graph}


def filter_norms(subnet: Subnet) -> dict[str, Tensor]:
    """Group -> importance of each channel: the mean L1 norm of the filters that write it.

    Norms are in units of each layer's mean and count the batch norm's scale. Groups that may not change
    (input, logits) are left out. Li et al. 2017 (arXiv 1608.08710), section 3.1; ties over sums as in its
    section 3.3.
    """
    groups = channel_groups(subnet.graph)
    fixed = {groups[op.name] for op in subnet.graph if op.kind in ("input", "fully_connected")}
    norms: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for name, layer in subnet.layers.items():
            if layer.op.kind != "conv" or groups[name] in fixed:
                continue
            norm = layer.weight.abs().sum(dim=(1, 2, 3))
            if layer.norm is not None:
                norm = norm * layer.norm.weight.abs()
            norms.setdefault(groups[name], []).append(norm / norm.mean().clamp(min=1e-12))
        return {group: torch.stack(found).mean(dim=0) for group, found in norms.items()}


def pruned(subnet: Subnet, share: float) -> Subnet:
    """The network with `share` of each group's channels, the ones of the largest filters, at least 4 of each.

    Counts are rounded up to multiples of 4. Weights, norms and statistics of what stays are copied; norms
    must not be folded. Raises InputError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"pruning: a share of {share} channels cannot be kept; give one above 0, at most 1")
    groups, graph = channel_groups(subnet.graph), subnet.graph
    keep: dict[str, Tensor] = {}
    for group, importance in filter_norms(subnet).items():
        count = min(len(importance), _MULTIPLE * max(1, -(-round(share * len(importance)) // _MULTIPLE)))
        keep[group] = importance.topk(count).indices.sort().values
    kept = {
        op.name: keep[groups[op.name]] if groups[op.name] in keep else torch.arange(op.channels_out) for op in graph
    }
    nodes = []
    for op in graph:
        sources = tuple(graph.sources(op.name))
        if sources and not kind_of(op).is_head:
            before = len(kept[sources[0]])
            op = dataclasses.replace(op, channels_in=before, channels_out=len(kept[op.name]))
        nodes.append((op, sources))
    smaller = Subnet(LayerGraph(nodes))
    with torch.no_grad():
        for name, layer in smaller.layers.items():
            old, out = subnet.layers[name], kept[name]
            weight = old.weight[out]
            if not kind_of(old.op).is_channelwise:
                weight = weight[:, kept[graph.sources(name)[0]]]
            layer.weight.copy_(weight)
            if layer.bias is not None and old.bias is not None:
                layer.bias.copy_(old.bias[out])
            if layer.norm is not None and old.norm is not None:
                for field in ("weight", "bias", "running_mean", "running_var"):
                    getattr(layer.norm, field).copy_(getattr(old.norm, field)[out])
    return smaller.eval()


def prune_in_steps(subnet: Subnet, shares: Sequence[float], retrain: Callable[[Subnet], Subnet]) -> Subnet:
    """Prune to each share of the original channels in turn, with `retrain` after each step.

    Iterative pruning: Li et al. 2017, section 3.4; Han et al. 2015 (arXiv 1506.02626), section 3.
    """
    held = 1.0
    for share in shares:
        subnet = retrain(pruned(subnet, share / held))
        held = share
    return subnet
