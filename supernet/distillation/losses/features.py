"""Feature mimicry: what a student knows of a window, seen through one linear map, is what its teacher knows.

FitNets (Romero et al. 2015, arXiv 1412.6550), section 2.2, on pooled features; the map is thrown away
afterwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.distillation.loss_kind import Comparison, LossKind


class FeatureMimicry(nn.Module):
    """Squared distance between the teacher's features and a linear map of the student's.

    student, teacher: numbers of channels. Features (n, channels) are standardized over the batch first, so
    that the loss does not depend on their units: 2 is what a student gives that knows nothing, 0 one that
    knows all.
    """

    def __init__(self, student: int, teacher: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.adaptor = nn.Linear(student, teacher)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The loss of features (n, student) against (n, teacher)."""
        mapped = _standardized(self.adaptor(student))
        return functional.mse_loss(mapped, _standardized(teacher.detach().to(mapped.dtype)))


def _standardized(x: Tensor) -> Tensor:
    return functional.batch_norm(x, None, None, training=True)


def _compare(comparison: Comparison) -> Tensor:
    assert comparison.adaptor is not None
    loss: Tensor = comparison.adaptor(*comparison.features)
    return loss


LOSS = LossKind(_compare, reads="features", adaptor=FeatureMimicry)
