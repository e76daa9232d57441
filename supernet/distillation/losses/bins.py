"""Belief over bins: the teacher's own one, blurred, is the target, as neighbouring bins are nearly right."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from supernet.distillation.loss_kind import LossKind


def bin_divergence(logits: Tensor, teacher_logits: Tensor, blur_bins: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's belief (n, bins), blurred, to the student's.

    Unlike soft labels, which warm both beliefs alike and so let distant bins in, the Gaussian blur
    (deviation in bins) only spreads mass to neighbouring rates; the student keeps its own temperature.
    """
    target = teacher_logits.detach().softmax(dim=1)
    if blur_bins > 0:
        reach = max(1, round(3 * blur_bins))
        offsets = torch.arange(-reach, reach + 1, dtype=target.dtype, device=target.device)
        kernel = torch.exp(-0.5 * (offsets / blur_bins) ** 2)
        target = functional.conv1d(target[:, None], (kernel / kernel.sum())[None, None], padding=reach)[:, 0]
        target = target / target.sum(dim=1, keepdim=True)
    return functional.kl_div(logits.log_softmax(dim=1), target, reduction="batchmean")


LOSS = LossKind(lambda c: bin_divergence(c.student.logits, c.teacher.logits, c.term.blur_bins), needs_bins=True)
