"""What a kind of teacher is, the settings of one network, and the registry of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import nn

from hwmodels.basics.registry import Registry
from hwmodels.basics.settings import Settings
from supernet.tasks.task import Task


class NoOptions(Settings):
    """The options of a teacher that has none of its own."""


class TeacherNetwork(Settings):
    """One teacher network: its kind and its sizes; what is left out has the kind's own default.

    options: settings of a teacher that another package registers, checked by that teacher.
    """

    later = frozenset({"heads", "layers", "patch_ms", "options"})
    mixtures: ClassVar[tuple[str, ...]] = ()
    """Kinds that are no networks of their own."""

    kind: str = "spectral"
    width: int | None = Field(default=None, ge=4)
    blocks: tuple[int, ...] | None = Field(default=None, min_length=1, description="resnet only")
    dropout: float = Field(default=0.2, ge=0, lt=1)
    heads: int | None = Field(default=None, ge=1, description="transformer only")
    layers: int | None = Field(default=None, ge=1, description="transformer only")
    patch_ms: float | None = Field(default=None, ge=5, le=500, description="transformer only")
    options: dict[str, Any] = {}

    @field_validator("kind")
    @classmethod
    def _is_registered(cls, kind: str) -> str:
        if kind not in TEACHERS and kind not in cls.mixtures:
            raise ValueError(TEACHERS.unknown(kind))
        return kind

    @field_validator("blocks", "heads", "layers", "patch_ms")
    @classmethod
    def _is_read(cls, value: object, info: ValidationInfo) -> object:
        kind, name = str(info.data.get("kind")), str(info.field_name)
        if value is not None and (kind in cls.mixtures or (kind in TEACHERS and name not in TEACHERS[kind].reads)):
            readers = " or ".join(other for other, teacher in TEACHERS.items() if name in teacher.reads)
            raise ValueError(f"only a {readers} has it; leave it out")
        return value

    @model_validator(mode="after")
    def _fits_the_kind(self) -> TeacherNetwork:
        if self.kind not in self.mixtures:
            TEACHERS[self.kind].check(self)
            TEACHERS[self.kind].options(**self.options)
        return self

    def sizes(self, **names: str) -> dict[str, Any]:
        """The values that are given, of settings by the name that a constructor has for each."""
        return {name: getattr(self, key) for name, key in names.items() if getattr(self, key) is not None}


@dataclass(frozen=True)
class TeacherInput:
    """What a teacher is made for: its task, the channels and samples it reads, and the seed of its weights."""

    task: Task
    channels: int
    rate_hz: int
    window_s: float
    seed: int

    @property
    def samples(self) -> int:
        """Samples of a window."""
        return round(self.window_s * self.rate_hz)


def _anything(_: TeacherNetwork) -> None:
    return None


@dataclass(frozen=True)
class TeacherKind:
    """One kind of teacher.

    build: a network, untrained, from windows float32 (batch, channels, samples) to logits (batch, outputs); one with
    `observe(x) -> (logits, maps (batch, channels, positions))` and `positions_along` can also be compared by its
    features. positions_along: what those positions are, "time" or "frequency"; "" for a network without them.
    reads: which of the settings blocks, heads, layers and patch_ms it has. check: raises ValueError, saying why,
    for settings that do not go together. options: the settings of its own that a configuration may give.
    """

    build: Callable[[TeacherNetwork, TeacherInput], nn.Module]
    positions_along: Literal["time", "frequency", ""] = ""
    reads: frozenset[str] = frozenset()
    check: Callable[[TeacherNetwork], None] = _anything
    options: type[Settings] = NoOptions


TEACHERS: Registry[TeacherKind] = Registry("teacher", "ppg_nas.teachers", TeacherKind, package="supernet.teachers")
