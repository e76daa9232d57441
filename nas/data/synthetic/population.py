"""simulate: recordings of people of a named population.

`plain` is the embedded default data set, whose bytes stay as they are; `wide` is for training beside real people, or
alone, and for nothing else; `quiet` is the wide one on days of mostly rest, for networks of the pulse alone, which
cannot see motion. A figure on any of them never stands beside one on real recordings.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwmodels.basics.errors import InputError
from nas.data.recording import Recording
from nas.data.synthetic.activities import EIGHT_ACTIVITIES
from nas.data.synthetic.recorder import simulate_plain
from nas.data.synthetic.wide import wide_recording

POPULATIONS = ("plain", "wide", "quiet")


def simulate(
    n_subjects: int,
    seed: int,
    *,
    minutes: float = 10.0,
    task: str = "heart_rate",
    activities: Sequence[str] = EIGHT_ACTIVITIES,
    population: str = "plain",
) -> list[Recording]:
    """One recording per simulated person.

    task "heart_rate": in sinus rhythm, heart-rate labels per 8 s window every 2 s; plain people do `activities` one
    after another in a random order, with transitions, wide ones what nas.data.synthetic.wide.scenes lists. task
    "rhythm", of the plain population alone: episodes of 30 s of sinus rhythm, AF, ectopics or noise at rest; a label
    per 10 s. Person i of a seed is the same whatever n_subjects is. Raises InputError for an unknown population, task
    or activity, for less than half a minute, and for rhythms of wide people.
    """
    if population not in POPULATIONS:
        raise InputError(f"synthetic: unknown population {population!r}; choose {', '.join(POPULATIONS)}")
    if task not in ("heart_rate", "rhythm"):
        raise InputError(f"synthetic: unknown task {task!r}; choose heart_rate or rhythm")
    if n_subjects < 1 or minutes < 0.5:
        raise InputError("synthetic: ask for at least 1 subject and half a minute")
    if population == "plain":
        return simulate_plain(n_subjects, seed, minutes=minutes, task=task, activities=activities)
    if task == "rhythm":
        raise InputError(
            f"synthetic: the {population} population is labelled with heart rates alone; for rhythms choose plain"
        )
    return [wide_recording(number, seed, minutes, population) for number in range(n_subjects)]
