"""From the configuration's teacher section to networks: one, or a mixture of several with temperatures."""

from __future__ import annotations

from torch import nn

from hwmodels.basics.errors import InputError
from nas.run.config import Config
from supernet.settings.teachers import TEACHERS, Teacher, TeacherMember
from supernet.teachers.ensemble import Ensemble
from supernet.teachers.teacher_kind import TeacherInput
from supernet.windows.training_set import TrainingSet

ALL_CHANNELS = 4


def member_channels(member: TeacherMember, training: TrainingSet) -> int:
    """Channels that a teacher network reads: all, unless told otherwise or no window has an accelerometer.

    Raises InputError when it insists on motion that the recordings do not have.
    """
    has_motion = bool(training.has_acc.any())
    if member.sensors == "ppg_acc" and not has_motion:
        raise InputError(
            f"teacher.sensors: ppg_acc, but no training recording has an accelerometer; use sensors: ppg for "
            f"the {member.kind} teacher, or recordings with one"
        )
    return ALL_CHANNELS if has_motion and member.sensors != "ppg" else 1


def teacher_follows_time(config: Config) -> bool:
    """Whether a teacher reads the windows beside each, which are then drawn one after the other."""
    return any(TEACHERS[member.kind].follows_time for member in config.teacher.networks)


def new_teacher(config: Config, channels: tuple[int, ...], rate_hz: int, section: Teacher | None = None) -> nn.Module:
    """The teacher of a configuration, or of another section, untrained; `channels` of its networks in order.

    Networks of an ensemble start from seeds of their own.
    """
    section, task = section or config.teacher, config.task_kind.training(config.task)
    members = [
        TEACHERS[member.kind].build(
            member, TeacherInput(task, own, rate_hz, config.data.window_s, config.seed + number)
        )
        for number, (member, own) in enumerate(zip(section.networks, channels, strict=True))
    ]
    if section.is_mixed and (one := next((m for m in section.networks if TEACHERS[m.kind].follows_time), None)):
        raise InputError(
            f"teacher: {one.kind} reads windows in order, a mixture each by itself; use it alone, unscaled"
        )
    return Ensemble(members, channels) if section.is_mixed else members[0]
