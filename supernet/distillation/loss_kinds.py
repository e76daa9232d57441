"""What a distillation loss is, the settings of one, and the registry of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from hwmodels.basics.registry import Registry
from hwmodels.basics.settings import Settings
from supernet.distillation.observation import Observation
from supernet.tasks.task import Task

Reads = Literal["logits", "features", "attention"]


class NoOptions(Settings):
    """The options of a loss that has none of its own."""


class Term(Settings):
    """One loss of a weighted sum: its kind, its weight, and what that kind reads (docs/supernet.md).

    options: settings of a loss that another package registers, checked by that loss.
    """

    later = frozenset({"options"})

    kind: str
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=2.0, gt=0, description="soft_labels, cross_modal")
    delta_bpm: float = Field(default=4.0, gt=0, description="regression")
    blur_bins: float = Field(default=1.0, ge=0, description="bins")
    options: dict[str, Any] = {}

    @field_validator("kind")
    @classmethod
    def _is_registered(cls, kind: str) -> str:
        if kind not in LOSSES:
            raise ValueError(LOSSES.unknown(kind))
        return kind

    @field_validator("options")
    @classmethod
    def _fit_the_loss(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "kind" in info.data:
            LOSSES[info.data["kind"]].options(**options)
        return options


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
    options: type[Settings] = NoOptions


LOSSES: Registry[LossKind] = Registry(
    "distillation loss", "ppg_nas.losses", LossKind, package="supernet.distillation.losses"
)


def losses_on_logits() -> tuple[str, ...]:
    """Names of the losses that compare logits alone, as a supernet's subnets can."""
    return tuple(name for name, loss in LOSSES.items() if loss.reads == "logits")
