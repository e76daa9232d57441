"""In-place distillation: the largest subnet of a step, together with the teacher, teaches the others."""

from __future__ import annotations

import torch
from torch import Tensor


def joint_belief(largest: Tensor, teacher: Tensor | None, share: float) -> Tensor:
    """Logits (n, outputs) of both beliefs' mixture, `share` of it the largest subnet's.

    After Yu and Huang 2019 (arXiv 1903.05134), section 3.2, where the largest alone teaches, as it does
    here without a teacher.
    """
    if teacher is None:
        return largest
    return torch.log(share * largest.softmax(1) + (1.0 - share) * teacher.softmax(1) + 1e-12)
