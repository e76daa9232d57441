"""Progressive distillation: teacher -> medium -> small, each network taught by the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Pupil = TypeVar("Pupil")
Master = TypeVar("Master")


def train_in_turn(pupils: Iterable[Pupil], teacher: Master, train: Callable[[Pupil, Master], Master]) -> Master:
    """Train `pupils`, largest first: `train(pupil, teacher)` returns the pupil as the teacher of the next.

    Returns what the last one became. Teacher assistants: Mirzadeh et al. 2020 (arXiv 1902.03393), section 3.
    """
    for pupil in pupils:
        teacher = train(pupil, teacher)
    return teacher
