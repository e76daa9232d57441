"""Alpha-divergence: a subnet is punished both for being too sure and for not being sure enough."""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.distillation.loss_kind import LossKind

_SMALLEST = 1e-6


def alpha_divergence(logits: Tensor, teacher_logits: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    """The larger, window by window, of the alpha-divergences at `low` and `high`; their mean over windows.

    Wang et al. 2021 (AlphaNet, arXiv 2102.07954), equation 5; ratios are clipped at 5 as in its section 3.3.
    high = 1 is the Kullback-Leibler divergence. Logits (n, outputs).
    """
    student = logits.log_softmax(dim=1)
    teacher = teacher_logits.detach().log_softmax(dim=1)
    return torch.maximum(_divergence(student, teacher, low), _divergence(student, teacher, high)).mean()


def _divergence(student: Tensor, teacher: Tensor, alpha: float) -> Tensor:
    """D_alpha(teacher || student) of log beliefs (n, outputs): (n,)."""
    if abs(alpha - 1.0) < _SMALLEST:
        return (teacher.exp() * (teacher - student)).sum(dim=1)
    if abs(alpha) < _SMALLEST:
        return (student.exp() * (student - teacher)).sum(dim=1)
    ratio = (teacher - student).exp().clamp(max=5.0) ** alpha
    return (student.exp() * (ratio - 1.0)).sum(dim=1) / (alpha * (alpha - 1.0))


LOSS = LossKind(lambda c: alpha_divergence(c.student.logits, c.teacher.logits))
