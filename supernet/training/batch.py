"""Batch: what one training step is given."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from supernet.distillation.observation import Observation
from supernet.windows.training_set import Inputs


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows of one training step: normalized inputs by rate, labels (n,), what a teacher makes of them,
    and weights (n,).
    """

    inputs: Inputs
    targets: Tensor
    teacher: Observation | None = None
    weights: Tensor | None = None
