"""Settings of the teacher: of each of its networks and of its training, and of the mixture of several."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hwmodels.basics.registry import Registry
from hwmodels.basics.settings import Settings
from supernet.settings.training import Training

TEACHERS: Registry[Any] = Registry(
    "teacher",
    "ppg_nas.teachers",
    "supernet.teachers.teacher_kind:TeacherKind",
    package="supernet.teachers.networks",
    attribute="TEACHER",
)
"""Each a supernet.teachers.teacher_kind.TeacherKind."""


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

    @field_validator("options")
    @classmethod
    def _fit_the_kind(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if (kind := str(info.data.get("kind"))) in TEACHERS:
            TEACHERS[kind].options(**options)
        return options

    @model_validator(mode="after")
    def _sizes_fit_the_kind(self) -> TeacherNetwork:
        # What a kind says of its settings is asked for only where some are given: its module imports torch.
        given = self.width, self.blocks, self.heads, self.layers, self.patch_ms
        if self.kind not in self.mixtures and any(size is not None for size in given):
            TEACHERS[self.kind].check(self)
        return self

    def sizes(self, **names: str) -> dict[str, Any]:
        """The values that are given, of settings by the name that a constructor has for each."""
        return {name: getattr(self, key) for name, key in names.items() if getattr(self, key) is not None}


class TeacherMember(TeacherNetwork, Training):
    """One teacher network. `spectral` reads spectra and trains in a minute on one core.

    `resnet` is a ResNet-1D of `blocks` bottlenecks per stage and base width `width`: 20 with blocks
    [3, 4, 6, 3] has 50 layers and about 2 million parameters. `transformer` reads patches: width 320, 8
    heads, 6 layers of 20 ms patches are about 5 million. `cnn_lstm` is convolutions before a recurrent
    layer. Each has its own default `width` and `blocks`. `sensors` may keep a teacher from motion, or
    insist that there is some.
    """

    later = Training.later | TeacherNetwork.later | {"sensors"}

    epochs: int = Field(default=10, ge=1)
    sensors: Literal["available", "ppg", "ppg_acc"] = "available"


class Teacher(TeacherMember):
    """The external teacher: one network, or an `ensemble` of `members`, each trained by its own settings.

    With `scaling: temperature`, and always in an ensemble, beliefs are made as sure as they are right on
    validation subjects (Guo et al. 2017).
    """

    later = TeacherMember.later | {"members", "scaling", "floor_bpm", "unlabelled_share"}
    mixtures = ("ensemble",)

    members: tuple[TeacherMember, ...] = ()
    scaling: Literal["none", "temperature"] = "none"
    floor_bpm: float = Field(default=8.0, gt=0, description="expected error at which an unlabelled window has weight 0")
    unlabelled_share: float = Field(default=0.5, gt=0, lt=1, description="of all weight, at most, where unlabelled")

    @model_validator(mode="after")
    def _has_members(self) -> Teacher:
        if (self.kind == "ensemble") != bool(self.members):
            raise ValueError("members go with kind: ensemble, which needs at least one")
        return self

    @property
    def networks(self) -> tuple[TeacherMember, ...]:
        """The networks to train: the members, or this one alone."""
        return self.members or (self,)

    @property
    def is_mixed(self) -> bool:
        """Whether what teaches is a mixture with temperatures rather than one bare network."""
        return bool(self.members) or self.scaling == "temperature"
