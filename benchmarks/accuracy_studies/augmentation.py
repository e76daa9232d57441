"""What each way to vary training windows brings a small student, taught by the run's teacher.

One student is trained once for each row on the run's training subjects and judged on its validation
subjects; test subjects are not read. Every training is kept in RUN/augmentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.support.trials import FoldData, mean_and_gain, once, origin, recipe, train_graph
from nas.assembly.loading import trained_teacher
from nas.assembly.run_space import space_of
from nas.run.run_directory import RunDirectory
from nas.stages.job import run_pipeline
from nas.terminal.arguments import positive_count
from supernet.settings.training import TrainSettings
from supernet.space.students import NAMES, student_in

_PLAIN = "as configured"
_WAYS: dict[str, dict[str, float]] = {
    _PLAIN: {},
    "without stretching": {"stretch_share": 0.0},
    "without noise": {"noise": 0.0},
    "motion of others": {"motion_share": 0.3},
    "contact loss": {"contact_share": 0.2},
    "drifting gain": {"gain": 0.5},
    "silent accelerometer": {"silence_share": 0.1},
}
"""Name -> what is changed in the run's augmentation."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks augmentation`."""
    parser.add_argument("run", type=Path, help="run directory whose teacher is trained")
    parser.add_argument("--epochs", type=positive_count, default=10, help="epochs of each training (10)")
    parser.add_argument("--way", choices=tuple(_WAYS), action="append", help="train these alone (all)")
    parser.add_argument("--student", choices=NAMES, help="who learns (the space's first hand-made one)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing; errors in BPM on validation subjects, and what each row gains."""
    directory = RunDirectory.open(options.run)
    run_pipeline(directory, "teacher")
    held: dict[str, dict[str, Any]] = {}
    with directory.exclusive():
        data, settings = FoldData.of(directory), recipe(directory, options.epochs)
        for name in dict.fromkeys([_PLAIN, *(options.way or _WAYS)]):
            directory.say(name)
            own = settings.with_changes(augmentation=settings.augmentation.with_changes(**_WAYS[name]))
            path = directory.path / "augmentation" / f"{name.replace(' ', '-')}.json"
            base = [*origin(directory, "teacher"), own.to_dict(), options.student]
            held[name] = once(path, base, _training(data, options.student, own))
    errors = {name: row["validation"] for name, row in held.items()}
    rows = []
    for name in held:
        mean, gain = mean_and_gain(errors, name, _PLAIN)
        rows.append({"name": name, "mae_bpm": vars(mean), "gain_bpm": None if gain is None else vars(gain)})
    told = {
        name: f"{mean}" if gain is None else f"{mean}, gains {gain}"
        for name, (mean, gain) in ((name, mean_and_gain(errors, name, _PLAIN)) for name in held)
    }
    return {
        "epochs": options.epochs,
        **told,
        "seconds": round(sum(row["seconds"] for row in held.values()), 1),
        "rows": rows,
    }


def _training(data: FoldData, student: str | None, settings: TrainSettings) -> Callable[[], dict[str, Any]]:
    def train() -> dict[str, Any]:
        space = space_of(data.run.config)
        arch = student_in(space, student)
        teacher = None if settings.distillation_alpha == 1 else trained_teacher(data.run)
        method = train_graph(data, space.lower(arch), settings, teacher)
        found = data.errors(method.module, arch)
        return {"validation": found["validation"]}

    return train
