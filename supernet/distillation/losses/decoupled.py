"""Decoupled knowledge distillation: how sure of the labelled rate, apart from how the rest of the belief lies."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from hwmodels.basics.settings import Settings
from supernet.distillation.loss_kind import Comparison, LossKind

_SMALLEST = 1e-12


class Decoupling(Settings):
    """Weights of the two parts, alpha and beta of the paper; its section 4.1 keeps alpha at 1 and tunes beta.

    beta: None is 1 less the teacher's mass on the target, with which the sum is classic distillation.
    target_bins: bins to either side of the label's own that are the target too (heart rates only).
    """

    alpha: float = Field(default=1.0, ge=0)
    beta: float | None = Field(default=4.0, ge=0)
    target_bins: int = Field(default=1, ge=0)


def decoupled_loss(
    logits: Tensor, teacher_logits: Tensor, is_target: Tensor, weights: Decoupling, temperature: float
) -> Tensor:
    """alpha * TCKD + beta * NCKD, mean over windows, times the squared temperature.

    Zhao et al., CVPR 2022 (arXiv 2203.08679), equation 7: TCKD = KL(b_T || b_S) of the two masses on and off the
    target, NCKD = KL of the beliefs among the other classes. is_target: bool (n, outputs); where it holds several
    bins, TCKD also has the divergence among these, weighted by the teacher's mass, so that equation 5,
    KD = TCKD + (1 - p_T) NCKD, still holds. Logits (n, outputs).
    """
    student = (logits / temperature).log_softmax(dim=1)
    teacher = (teacher_logits.detach() / temperature).log_softmax(dim=1)
    on, among_target = _split(student, teacher, is_target)
    off, among_others = _split(student, teacher, ~is_target)
    target = on + off + _mass(teacher, is_target).exp() * among_target
    beta = _mass(teacher, ~is_target).exp() if weights.beta is None else weights.beta
    return temperature**2 * (weights.alpha * target + beta * among_others).mean()


def _split(student: Tensor, teacher: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Of log beliefs (n, outputs): the chosen outputs' term of the divergence of masses, and that among them; (n,)."""
    student_mass, teacher_mass = _mass(student, chosen), _mass(teacher, chosen)
    between = teacher_mass.exp() * (teacher_mass - student_mass)
    inner = (teacher - teacher_mass[:, None]).masked_fill(~chosen, 0.0)
    gap = inner - (student - student_mass[:, None]).masked_fill(~chosen, 0.0)
    return between, (inner.exp() * gap).sum(dim=1)


def _mass(log_belief: Tensor, chosen: Tensor) -> Tensor:
    """Log of the belief's mass on the chosen outputs, (n,)."""
    return torch.where(chosen, log_belief.exp(), 0.0).sum(dim=1).clamp(min=_SMALLEST).log()


def target_of(comparison: Comparison, target_bins: int) -> Tensor:
    """Bool (n, outputs): each window's class, or the bin nearest its heart rate and `target_bins` to either side."""
    task, count = comparison.task, comparison.student.logits.shape[1]
    places = torch.arange(count, device=comparison.targets.device)
    if task.band_per_min is None:
        return places == comparison.targets[:, None].long()
    first, last = task.band_per_min
    nearest = ((comparison.targets - first) / (last - first) * (count - 1)).round().clamp(0, count - 1)
    return (places - nearest[:, None]).abs() <= target_bins


def _compare(comparison: Comparison) -> Tensor:
    weights = Decoupling(**comparison.term.options)
    is_target = target_of(comparison, weights.target_bins)
    student, teacher = comparison.student.logits, comparison.teacher.logits
    return decoupled_loss(student, teacher, is_target, weights, comparison.term.temperature)


LOSS = LossKind(_compare, options=Decoupling)
