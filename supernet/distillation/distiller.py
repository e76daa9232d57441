"""A weighted sum of distillation losses, composed from a list such as a configuration's.

Losses that need no more than logits serve supernets too; the others look at features or attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwmodels.basics.errors import InputError
from supernet.distillation.loss_kind import Comparison, LossKind
from supernet.distillation.observation import Observation
from supernet.settings.losses import LOSSES, Term
from supernet.tasks.task import Task


class DistillationError(InputError):
    """A loss that teacher, student or task cannot give; the message names it and what to do."""


class Distiller(nn.Module):
    """sum of weight * loss over `terms`; its parameters are adaptors, trained beside the student.

    student_channels, teacher_channels: of the features, for kinds that map one to the other;
    has_attention: whether both have attention along the same positions, time or frequency. Raises DistillationError for
    a term that cannot be had.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        task: Task,
        *,
        student_channels: int = 0,
        teacher_channels: int = 0,
        has_attention: bool = True,
    ) -> None:
        super().__init__()
        self.terms, self.task = tuple(terms), task
        self.adaptors = nn.ModuleDict()
        for number, term in enumerate(self.terms):
            loss = LOSSES[term.kind]
            if reason := _lacks(loss, task, student_channels, teacher_channels, has_attention):
                raise DistillationError(f"distillation, {term.kind}: {reason}")
            if loss.adaptor is not None:
                self.adaptors[str(number)] = loss.adaptor(student_channels, teacher_channels, number)

    @property
    def needs_maps(self) -> bool:
        """Whether any term looks beyond the logits."""
        return any(LOSSES[term.kind].reads != "logits" for term in self.terms)

    def forward(self, student: Observation, teacher: Observation, targets: Tensor) -> Tensor:
        """The weighted sum for windows that both have observed, with their labels (n,)."""
        total = torch.zeros(())
        for number, term in enumerate(self.terms):
            adaptor = dict(self.adaptors.items()).get(str(number))
            comparison = Comparison(student, teacher, targets, self.task, term, adaptor)
            total = total + term.weight * LOSSES[term.kind].compare(comparison)
        return total


def _lacks(loss: LossKind, task: Task, student: int, teacher: int, has_attention: bool) -> str | None:
    """Why a loss cannot be had, and what to do; None where it can."""
    if loss.needs_bins and task.band_per_min is None:
        return "is for heart rates; leave it out for rhythms"
    if loss.reads == "features" and not (student and teacher):
        return "student or teacher shows no features; use a loss on logits"
    if loss.reads == "attention" and not has_attention:
        return (
            "no teacher looks along what the student looks along; add a spectral teacher for networks over spectra, a "
            "resnet, transformer or cnn_lstm for networks over samples"
        )
    if loss.reads == "attention" and not student:
        return "the student shows no attention; use a loss on logits"
    return None
