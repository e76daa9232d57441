"""Settings of the task, and the registry of all tasks; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationInfo, field_validator

from hwmodels.basics.registry import Registry
from hwmodels.basics.settings import Settings

if TYPE_CHECKING:
    from nas.evaluation.task_kind import TaskKind

TASKS: Registry[TaskKind] = Registry(
    "task",
    "ppg_nas.tasks",
    "nas.evaluation.task_kind:TaskKind",
    package="nas.evaluation.tasks",
    attribute="TASK",
)


class TaskSettings(Settings):
    """What the network estimates: heart rate as a belief over bins, or a rhythm class.

    options: settings of a task that another package registers, checked by that task.
    """

    later = frozenset({"options"})

    kind: str = "heart_rate"
    bins: int = Field(default=96, ge=16, le=512)
    first_bpm: float = Field(default=30.0, ge=20)
    last_bpm: float = Field(default=220.0, le=300)
    sigma_bpm: float = Field(default=4.0, gt=0, description="width of the soft labels")
    classes: tuple[str, ...] = ("sinus", "PVC", "PAC", "VT", "SVT", "AF")
    max_spread_bpm: float | None = Field(default=None, gt=0, description="invalid above; fitted when absent")
    min_probability: float | None = Field(default=None, gt=0, lt=1, description="abstain below; fitted when absent")
    options: dict[str, Any] = {}

    @field_validator("kind")
    @classmethod
    def _is_registered(cls, kind: str) -> str:
        if kind not in TASKS:
            raise ValueError(TASKS.unknown(kind))
        return kind

    @field_validator("options")
    @classmethod
    def _fit_the_task(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "kind" in info.data:
            TASKS[info.data["kind"]].options(**options)
        return options
