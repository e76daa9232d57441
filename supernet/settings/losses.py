"""Settings of distillation losses, and the registry of their kinds."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from hwmodels.basics.registry import Registry
from hwmodels.basics.settings import Settings


class Term(Settings):
    """One loss of a weighted sum: its kind, its weight, and what that kind reads (docs/explanation/supernet.md).

    options: settings that a loss has of its own, checked by that loss.
    """

    later = frozenset({"options"})

    kind: str
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=2.0, gt=0, description="soft_labels, cross_modal, decoupled")
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


LOSSES: Registry[Any] = Registry(
    "distillation loss",
    "ppg_nas.losses",
    "supernet.distillation.loss_kind:LossKind",
    package="supernet.distillation.losses",
    attribute="LOSS",
)
"""Each a supernet.distillation.loss_kind.LossKind."""


def losses_on_logits() -> tuple[str, ...]:
    """Names of the losses that compare logits alone, as a supernet's subnets can."""
    return tuple(name for name, loss in LOSSES.items() if loss.reads == "logits")
