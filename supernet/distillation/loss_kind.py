"""What a kind of distillation loss is: how student and teacher are compared, and what that takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from hwmodels.basics.settings import Settings
from supernet.distillation.observation import Observation
from supernet.settings.losses import Term
from supernet.tasks.task import Task

Reads = Literal["logits", "features", "attention"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a loss is computed of: the same n windows as student and teacher show them, and their labels (n,).

    adaptor: the trained module that the loss asked for, or None.
    """

    student: Observation
    teacher: Observation
    targets: Tensor
    task: Task
    term: Term
    adaptor: nn.Module | None = None

    @property
    def features(self) -> tuple[Tensor, Tensor]:
        """Pooled features (n, channels) of student and teacher; a loss that reads "features" has them."""
        assert self.student.features is not None and self.teacher.features is not None, "checked by the distiller"
        return self.student.features, self.teacher.features

    @property
    def attention(self) -> tuple[Tensor, Tensor]:
        """Attention (n, positions) of both along the same positions; a loss that reads "attention" has it."""
        for name in ("attention", "spectral_attention"):
            student, teacher = getattr(self.student, name), getattr(self.teacher, name)
            if student is not None and teacher is not None:
                return student, teacher
        raise AssertionError("checked by the distiller")


@dataclass(frozen=True)
class LossKind:
    """One kind of loss.

    compare: the scalar loss, whose gradient reaches the student alone. reads: "logits", which every subnet
    of a supernet has, or features or attention, which single networks show. needs_bins: whether outputs must
    stand for rates in order. adaptor(student_channels, teacher_channels, seed): a module that is trained
    beside the student and thrown away. options: the settings of its own that a configuration may give.
    """

    compare: Callable[[Comparison], Tensor]
    reads: Reads = "logits"
    needs_bins: bool = False
    adaptor: Callable[[int, int, int], nn.Module] | None = None
    options: type[Settings] = Settings
