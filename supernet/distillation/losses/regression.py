"""Regression: a student's expected heart rate is drawn to its teacher's."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from supernet.distillation.loss_kind import Comparison, LossKind


def regression_loss(logits: Tensor, teacher_logits: Tensor, centres: Tensor, delta_bpm: float) -> Tensor:
    """Huber loss between the means of two beliefs (n, bins), in units of `delta_bpm`: the mean over windows.

    centres (bins,) in BPM. Quadratic to `delta_bpm`, linear beyond (Huber 1964), so that windows where
    teacher and student read different harmonics do not rule the gradient. The mean stands for the median,
    which has no gradient to speak of. After Chen et al. 2017 (NeurIPS, object detection), section 3.3.
    """
    student = logits.softmax(dim=1) @ centres
    teacher = teacher_logits.detach().softmax(dim=1) @ centres
    return functional.huber_loss(student / delta_bpm, teacher / delta_bpm)


def _compare(comparison: Comparison) -> Tensor:
    task, logits = comparison.task, (comparison.student.logits, comparison.teacher.logits)
    assert task.band_per_min is not None, "checked by the distiller"
    centres = torch.linspace(*task.band_per_min, task.outputs).to(logits[0].device)
    return regression_loss(*logits, centres, comparison.term.delta_bpm)


LOSS = LossKind(_compare, needs_bins=True)
