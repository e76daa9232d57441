"""What a network remembers of earlier windows, over a batch that holds windows one after the other.

Rows of a batch that follow each other are steps of 2 s; `past` says for each how many rows before it in the batch are
the steps directly before. Nothing is kept between batches: what lies before a start, a gap or the batch is zero, as
after a reset of the firmware.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hwmodels.network.graph import LayerGraph, Op


def filter_steps(x: Tensor, weight: Tensor, op: Op, past: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """The filter of a `context` before its norm: x (batch, channels, 1, length) -> (batch, remembers, 1, length).

    weight: (remembers, 1, 1, taps), newest tap last. past: (batch,) steps before each row, None for none anywhere.
    """
    kept = x[:, : op.remembers]
    taps = weight.permute(3, 1, 0, 2)[..., None]
    total = kept * taps[-1]
    for age in range(1, op.kernel if past is not None else 1):
        back = age * op.dilation
        if back >= len(x):
            break
        earlier = kept[:-back] * taps[-1 - age]
        if past is not None:
            earlier = earlier * (past[back:] >= back)[:, None, None, None]
        total = total + torch.cat([torch.zeros_like(total[:back]), earlier])
    return total if bias is None else total + bias[:, None, None]


def is_rectified(graph: LayerGraph, op: Op) -> bool:
    """Whether an output is never negative: by its own ReLU, or by that before a context, which keeps its grid."""
    return op.activation == "relu" or (op.remembers > 0 and is_rectified(graph, graph[graph.sources(op.name)[0]]))


def with_passing(filtered: Tensor, x: Tensor) -> Tensor:
    """The filtered channels, then those of x that pass, channels last in memory."""
    if filtered.shape[1] == x.shape[1]:
        return filtered
    return torch.cat([filtered, x[:, filtered.shape[1] :]], dim=1).contiguous(memory_format=torch.channels_last)
