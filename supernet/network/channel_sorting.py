"""Channels sorted by importance, so that the first ones, which narrow subnets keep, are the ones that matter.

Every channel dimension is reordered in all tensors that share it at once (and in the optimizer's
moments), so the largest subnet computes what it did. Cai et al. 2020, section 3.3, elastic width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from supernet.network.supernet import SuperNet


def channel_order(supernet: SuperNet) -> dict[str, Tensor]:
    """Channel dimension -> indices of its channels, most important first.

    The importance of a channel is the mean absolute weight with which later layers read it.
    """
    importance: dict[str, list[Tensor]] = defaultdict(list)
    with torch.no_grad():
        for key, axes in supernet.axes.items():
            if axes.input is not None:
                importance[axes.input].append(supernet.bank(key).weight.abs().mean(dim=(0, 2, 3)))
        if supernet.logits_axis is not None:
            importance[supernet.logits_axis].append(supernet.logits_weight.abs().mean(dim=0))
        return {
            dim: torch.stack([part / part.mean() for part in parts]).mean(dim=0).argsort(descending=True)
            for dim, parts in importance.items()
        }


def reorder(supernet: SuperNet, order: dict[str, Tensor], optimizer: Optimizer | None = None) -> None:
    """Permute the channels of every dimension in `order`, in place, in weights and optimizer moments."""
    with torch.no_grad():
        for parameter, axis, dim in _dimensions(supernet):
            if dim not in order:
                continue
            parameter.copy_(parameter.index_select(axis, order[dim]))
            state = optimizer.state.get(parameter, {}) if optimizer is not None else {}
            for moment in state.values():
                if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                    moment.copy_(moment.index_select(axis, order[dim]))


def _dimensions(supernet: SuperNet) -> Iterator[tuple[nn.Parameter, int, str | None]]:
    """Every (parameter, axis, name of the channel dimension along it)."""
    for key, axes in supernet.axes.items():
        bank = supernet.bank(key)
        yield bank.weight, 0, axes.output
        yield bank.weight, 1, axes.input
        yield bank.scale, 0, axes.output
        yield bank.shift, 0, axes.output
    yield supernet.logits_weight, 1, supernet.logits_axis
