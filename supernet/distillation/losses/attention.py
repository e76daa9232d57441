"""Attention transfer: a student is active at the moments at which its teacher is."""

from __future__ import annotations

from torch import Tensor

from supernet.distillation.loss_kind import LossKind


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over windows of the distance of two attention maps (n, positions) of norm 1.

    Zagoruyko and Komodakis 2017 (arXiv 1612.03928), equation 2, squared so that its gradient is smooth at
    zero.
    """
    return (student - teacher.detach().to(student.dtype)).square().sum(dim=1).mean()


LOSS = LossKind(lambda c: attention_loss(*c.attention), reads="attention")
