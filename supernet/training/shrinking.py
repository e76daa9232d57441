"""Progressive shrinking: what a subnet may choose grows as training goes on, from the largest down.

Kernels, then depths, then widths and expansions: Cai et al. 2020 (Once-for-All, arXiv 1908.09791), section
3.3. Kinds, dilations, rates and sensors have weights of their own, not nested ones, and are drawn at random
throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch.optim import Optimizer

from supernet.network.channel_sorting import channel_order, reorder
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch
from supernet.training.methods import Sandwich, restricted

_KERNELS, _DEPTHS, _WIDTHS = 0.15, 0.3, 0.5
"""Shares of all epochs after which each dimension opens."""
_SUBNETS = 12


@dataclass
class ProgressiveShrinking(Sandwich):
    """Train a supernet by progressive shrinking, with as many subnets a step as the sandwich rule.

    Every `extremes_every` steps the largest is trained too, so that it is not forgotten, and teaches the
    others along with the teacher; the smallest joins it in the last phase. Channels are sorted by
    importance when widths open.
    """

    name: str = "progressive shrinking"

    def start_epoch(self, epoch: int, settings: TrainSettings, optimizer: Optimizer) -> None:
        """Sort channels when widths become elastic."""
        self.supernet.train()
        if epoch and _opens(_WIDTHS, settings) == epoch:
            reorder(self.supernet, channel_order(self.supernet), optimizer)

    def _has_smallest(self, settings: TrainSettings, epoch: int) -> bool:
        return epoch >= _opens(_WIDTHS, settings)

    def _randoms(self, settings: TrainSettings, epoch: int, step: int) -> list[Arch]:
        rng = np.random.default_rng([settings.seed, _SUBNETS, epoch, step])
        space = self.supernet.space
        is_first = epoch < _opens(_KERNELS, settings)
        genes = self._drawn(1 if is_first else settings.random_subnets, settings, rng)
        if epoch < _opens(_WIDTHS, settings):
            genes = restricted(
                space,
                genes,
                rng,
                is_deepest=epoch < _opens(_DEPTHS, settings),
                has_largest_kernels=is_first,
            )
        return space.decode(genes)


def _opens(share: float, settings: TrainSettings) -> int:
    """The epoch in which a dimension becomes elastic."""
    return round(share * settings.epochs)
