"""Relational distillation: windows that are near each other for the teacher are so for the student."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from supernet.distillation.loss_kind import LossKind

_SMALLEST = 1e-6


def relational_loss(student: Tensor, teacher: Tensor, angle_weight: float = 2.0) -> Tensor:
    """Huber loss between the pairwise distances, and between the angles, of two sets of features.

    student (n, channels), teacher (n, other channels), the same windows. Distances are in units of their mean
    over the batch. Park et al. 2019 (arXiv 1904.05068), equations 5 to 9 and section 4: angles weigh twice.
    Angles are of consecutive triples (each window with the next two) rather than of all n**3.
    """
    known = teacher.detach().to(student.dtype)
    loss = functional.smooth_l1_loss(_distances(student), _distances(known))
    if len(student) < 3:
        return loss
    return loss + angle_weight * functional.smooth_l1_loss(_angles(student), _angles(known))


def _distances(features: Tensor) -> Tensor:
    squares = features.square().sum(dim=1)
    gram = squares[:, None] + squares[None] - 2.0 * features @ features.T
    apart = gram.clamp(min=_SMALLEST).sqrt() * (1.0 - torch.eye(len(features), device=features.device))
    others = len(features) * (len(features) - 1)
    return apart / (apart.sum() / max(1, others)).clamp(min=_SMALLEST)


def _angles(features: Tensor) -> Tensor:
    before = functional.normalize(features.roll(1, 0) - features, dim=1)
    after = functional.normalize(features.roll(-1, 0) - features, dim=1)
    return (before * after).sum(dim=1)


LOSS = LossKind(lambda c: relational_loss(*c.features), reads="features")
