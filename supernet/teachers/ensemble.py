"""An ensemble of teachers: the mean of their beliefs, each made as sure as it is right.

Hansen and Salamon 1990; temperatures as in Guo et al. 2017 (supernet/teachers/reliability.py fits them).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_SMALLEST = 1e-12


class Ensemble(nn.Module):
    """Several networks over the same windows -> logits (batch, outputs): the log of their mean belief.

    Each reads the first `channels` of a window (all where not given). `temperatures` holds one for each
    member and, last, the one of the mixture; all are 1 until set.
    """

    temperatures: Tensor

    def __init__(self, members: Sequence[nn.Module], channels: Sequence[int | None] | None = None) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.channels = tuple(channels or [None] * len(members))
        self.register_buffer("temperatures", torch.ones(len(members) + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        return self.combine([member(part) for member, part in self.parts(x)])

    def parts(self, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
        """Each member with what it reads of windows (batch, channels, samples)."""
        return [(member, x[:, :own]) for member, own in zip(self.members, self.channels, strict=True)]

    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        """The mixture's logits from each member's, all (batch, outputs)."""
        *own, last = self.temperatures
        beliefs = [(member / scale).softmax(dim=1) for member, scale in zip(logits, own, strict=True)]
        return torch.log(torch.stack(beliefs).mean(dim=0) + _SMALLEST) / last
