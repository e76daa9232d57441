"""Soft labels: a student learns the belief of a teacher, or a subnet that of the largest one."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from supernet.distillation.loss_kind import LossKind


def soft_label_loss(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's belief to the student's, both at `temperature`.

    Logits are (n, outputs); the mean over windows is scaled by the squared temperature so that its
    gradient does not depend on it. Hinton, Vinyals and Dean 2015, section 2; in place, from the
    largest subnet to the others: Yu and Huang 2019 (arXiv 1903.05134), section 3.2.
    """
    student = functional.log_softmax(logits / temperature, dim=1)
    teacher = functional.log_softmax(teacher_logits.detach() / temperature, dim=1)
    return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def soft_label_divergences(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """The same window by window: (n,)."""
    student = functional.log_softmax(logits / temperature, dim=1)
    teacher = functional.log_softmax(teacher_logits.detach() / temperature, dim=1)
    divergence = functional.kl_div(student, teacher, reduction="none", log_target=True)
    return temperature**2 * divergence.sum(dim=1)


def blend(hard: Tensor, soft: Tensor | None, alpha: float) -> Tensor:
    """alpha * hard + (1 - alpha) * soft, or the hard loss alone when there is no teacher."""
    return hard if soft is None else alpha * hard + (1.0 - alpha) * soft


LOSS = LossKind(lambda c: soft_label_loss(c.student.logits, c.teacher.logits, c.term.temperature))
