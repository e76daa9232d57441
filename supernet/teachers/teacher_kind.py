"""What a kind of teacher is: how a network of it is built, and what can be compared of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from hwmodels.basics.settings import Settings
from supernet.settings.teachers import TeacherNetwork
from supernet.tasks.task import Task


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
    follows_time: whether forward(x, past) also reads the windows beside each, as supernet/windows/steps.py has them.
    reads: which of the settings blocks, heads, layers and patch_ms it has. check: raises ValueError, saying why,
    for settings that do not go together. options: the settings of its own that a configuration may give.
    """

    build: Callable[[TeacherNetwork, TeacherInput], nn.Module]
    positions_along: Literal["time", "frequency", ""] = ""
    follows_time: bool = False
    reads: frozenset[str] = frozenset()
    check: Callable[[TeacherNetwork], None] = _anything
    options: type[Settings] = Settings
