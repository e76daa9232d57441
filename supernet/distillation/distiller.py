"""A weighted sum of distillation losses, composed from a list such as a configuration's.

Losses that need no more than logits serve supernets too; the others look at features or attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hwmodels.basics.errors import InputError
from supernet.distillation.alpha_divergence import alpha_divergence
from supernet.distillation.attention import attention_loss
from supernet.distillation.bins import bin_divergence
from supernet.distillation.cross_modal import cross_modal_loss
from supernet.distillation.features import FeatureMimicry
from supernet.distillation.kinds import FOR_HEART_RATES, KINDS, ON_LOGITS, Kind
from supernet.distillation.regression import regression_loss
from supernet.distillation.relations import relational_loss
from supernet.distillation.seen import Seen
from supernet.distillation.soft_labels import soft_label_loss
from supernet.tasks.task import HeartRateTask, RhythmTask


class DistillationError(InputError):
    """A loss that teacher, student or task cannot give; the message names it and what to do."""


@dataclass(frozen=True)
class Term:
    """One loss of the sum. Each kind reads its own settings: `temperature` (soft_labels, cross_modal),
    `delta_bpm` (regression), `blur_bins` (bins).
    """

    kind: Kind
    weight: float = 1.0
    temperature: float = 2.0
    delta_bpm: float = 4.0
    blur_bins: float = 1.0


class Distiller(nn.Module):
    """sum of weight * loss over `terms`; its parameters are adaptors, trained beside the student.

    student_channels, teacher_channels: of the features, for kinds that map one to the other;
    has_attention: whether both have attention along the same positions, time or frequency. Raises DistillationError for
    a term that cannot be had.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        task: HeartRateTask | RhythmTask,
        *,
        student_channels: int = 0,
        teacher_channels: int = 0,
        has_attention: bool = True,
    ) -> None:
        super().__init__()
        self.terms, self.task = tuple(terms), task
        self.adaptors = nn.ModuleDict()
        for number, term in enumerate(self.terms):
            _check(term, task, student_channels, teacher_channels, has_attention)
            if term.kind == "features":
                self.adaptors[str(number)] = FeatureMimicry(student_channels, teacher_channels, number)

    @property
    def needs_maps(self) -> bool:
        """Whether any term looks beyond the logits."""
        return any(term.kind not in ON_LOGITS for term in self.terms)

    def forward(self, student: Seen, teacher: Seen, targets: Tensor) -> Tensor:
        """The weighted sum for windows that both have seen, with their labels (n,)."""
        total = torch.zeros(())
        for number, term in enumerate(self.terms):
            total = total + term.weight * self._loss(number, term, student, teacher, targets)
        return total

    def _loss(self, number: int, term: Term, student: Seen, teacher: Seen, targets: Tensor) -> Tensor:
        if term.kind == "features":
            return self.adaptors[str(number)](_held(student.features), _held(teacher.features))
        if term.kind == "attention":
            return attention_loss(*_attention_of(student, teacher))
        if term.kind == "relations":
            return relational_loss(_held(student.features), _held(teacher.features))
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "soft_labels": lambda s, t: soft_label_loss(s, t, term.temperature),
            "alpha_divergence": alpha_divergence,
            "bins": lambda s, t: bin_divergence(s, t, term.blur_bins),
            "cross_modal": lambda s, t: cross_modal_loss(s, t, self.task.beliefs(targets), term.temperature),
            "regression": self._regression(term.delta_bpm),
        }
        return losses[term.kind](student.logits, teacher.logits)

    def _regression(self, delta_bpm: float) -> Callable[[Tensor, Tensor], Tensor]:
        task = self.task
        return lambda s, t: regression_loss(s, t, task.centres(s.device), delta_bpm)  # type: ignore[union-attr]


def _attention_of(student: Seen, teacher: Seen) -> tuple[Tensor, Tensor]:
    """The attention of both along the same positions."""
    if student.attention is not None and teacher.attention is not None:
        return student.attention, teacher.attention
    return _held(student.spectral_attention), _held(teacher.spectral_attention)


def _held(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "checked when the distiller was made"
    return tensor


def _check(term: Term, task: HeartRateTask | RhythmTask, student: int, teacher: int, has_attention: bool) -> None:
    def require(holds: bool, what: str) -> None:
        if not holds:
            raise DistillationError(f"distillation, {term.kind}: {what}")

    require(term.kind in KINDS, f"unknown kind; one of {', '.join(KINDS)}")
    require(term.weight >= 0, f"weight {term.weight} is negative")
    ordered = isinstance(task, HeartRateTask)
    require(ordered or term.kind not in FOR_HEART_RATES, "is for heart rates; leave it out for rhythms")
    if term.kind in ("features", "relations"):
        require(student > 0 and teacher > 0, "student or teacher shows no features; use a loss on logits")
    if term.kind == "attention":
        require(
            has_attention,
            "no teacher looks along what the student looks along; add a spectral teacher for networks over spectra, a "
            "resnet, transformer or cnn_lstm for networks over samples",
        )
        require(student > 0, "the student shows no attention; use a loss on logits")
