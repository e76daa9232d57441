"""Cross-modal distillation: a teacher that also feels motion says where a student that does not should look.

Privileged information (Lopez-Paz et al. 2016, arXiv 1511.03643): the accelerometer is there in training
alone.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from supernet.distillation.loss_kind import Comparison, LossKind
from supernet.distillation.losses.soft_labels import soft_label_divergences


def cross_modal_loss(logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Soft labels in which a window counts by how well the teacher knew it.

    logits, teacher_logits, labels (n, outputs), the last as hard beliefs. A window's weight is the overlap of
    the teacher's belief with its label, in units of the mean: where even the teacher was lost, a student
    with fewer sensors learns from the label alone.
    """
    divergences = soft_label_divergences(logits, teacher_logits, temperature)
    overlap = (teacher_logits.detach().softmax(dim=1).sqrt() * labels.sqrt()).sum(dim=1)
    return (divergences * functional.normalize(overlap, p=1, dim=0)).sum()


def _compare(comparison: Comparison) -> Tensor:
    labels = comparison.task.beliefs(comparison.targets)
    logits = comparison.student.logits, comparison.teacher.logits
    return cross_modal_loss(*logits, labels, comparison.term.temperature)


LOSS = LossKind(_compare)
