"""From the configuration's teacher section to networks: one, or a mixture of several with temperatures."""

from __future__ import annotations

from typing import Any

from torch import nn

from hwmodels.basics.errors import InputError
from nas.run.config import Config, Teacher, TeacherMember
from supernet.teachers import ConvolutionalRecurrent, Ensemble, PatchTransformer, ResNet, SpectralNetwork
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


def new_member(config: Config, member: TeacherMember, channels: int, rate_hz: int, seed: int) -> nn.Module:
    """One teacher network, untrained."""
    task, outputs = config.task, config.outputs
    given: dict[str, Any] = {"dropout": member.dropout, "seed": seed}
    given |= {} if member.width is None else {"width": member.width}
    if member.kind == "spectral":
        rhythm = task.kind == "rhythm"
        band: dict[str, Any] = {} if rhythm else {"first_bpm": task.first_bpm, "last_bpm": task.last_bpm}
        return SpectralNetwork(outputs, channels, rate_hz, pools=rhythm, **band, **given)
    if member.kind == "transformer":
        given |= {} if member.heads is None else {"heads": member.heads}
        given |= {} if member.layers is None else {"blocks": member.layers}
        samples = rate_hz * config.data.window_s
        return PatchTransformer(outputs, channels, samples, patch_ms=member.patch_ms, rate_hz=rate_hz, **given)
    if member.kind == "cnn_lstm":
        return ConvolutionalRecurrent(outputs, channels, **given)
    given |= {} if member.blocks is None else {"blocks": member.blocks}
    return ResNet(outputs, channels, **given)


def new_teacher(config: Config, channels: tuple[int, ...], rate_hz: int, section: Teacher | None = None) -> nn.Module:
    """The teacher of a configuration, or of another section, untrained; `channels` of its networks in order.

    Networks of an ensemble start from seeds of their own.
    """
    section = section or config.teacher
    members = [
        new_member(config, member, own, rate_hz, config.seed + number)
        for number, (member, own) in enumerate(zip(section.networks, channels, strict=True))
    ]
    return Ensemble(members, channels) if section.is_mixed else members[0]
