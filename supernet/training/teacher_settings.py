"""Settings of the teacher: of each of its networks and of its training, and of the mixture of several."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from supernet.teachers import TeacherNetwork
from supernet.training.training_settings import Training


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

    later = TeacherMember.later | {"members", "scaling"}
    mixtures = ("ensemble",)

    members: tuple[TeacherMember, ...] = ()
    scaling: Literal["none", "temperature"] = "none"

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
