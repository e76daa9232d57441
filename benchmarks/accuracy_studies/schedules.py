"""Ways to train a supernet on the same budget: sandwich or shrinking, losses, how subnets are drawn.

Each is trained for the same epochs on one fold's training subjects and judged on its validation subjects:
the largest and smallest member, and random ones with all sensors and with PPG alone. Every one is kept in
RUN/schedules.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.trials import FoldData, once, origin
from nas.assembly.loading import trained_teacher
from nas.assembly.run_space import space_of
from nas.assembly.task_setup import train_settings
from nas.run.run_directory import RunDirectory
from nas.stages.job import run_pipeline
from nas.stages.supernet import new_method
from nas.terminal.arguments import positive_count
from supernet.distillation.distiller import Term
from supernet.network.supernet import SuperNet
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch
from supernet.training.trainer import fit
from supernet.training.window_outputs import ready_subnet, subnet_error

_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "sandwich": ("sandwich", {}),
    "sandwich, cost bins": ("sandwich", {"sampling": "cost_bins"}),
    "sandwich, alpha-divergence": ("sandwich", {"distillation": (Term(kind="alpha_divergence"),)}),
    "sandwich, hard labels": ("sandwich", {"distillation_alpha": 1.0}),
    "progressive shrinking": ("progressive_shrinking", {}),
}
"""Name -> schedule and what is changed in the run's settings."""
_RANDOM = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks schedules`."""
    parser.add_argument("run", type=Path, help="run directory whose teacher is trained")
    parser.add_argument("--epochs", type=positive_count, default=12, help="epochs of each supernet (12)")
    parser.add_argument("--way", choices=tuple(_WAYS), action="append", help="train these alone (all)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing and say how far random subnets are off; errors in BPM, mean over subjects."""
    directory = RunDirectory.open(options.run)
    run_pipeline(directory, "teacher")
    rows = []
    with directory.exclusive():
        data = FoldData.of(directory)
        settings = train_settings(directory.config.supernet, directory.config.seed).with_changes(
            epochs=options.epochs, validate_every=0
        )
        for name in options.way or _WAYS:
            directory.say(name)
            schedule, changes = _WAYS[name]
            own = settings.with_changes(**changes)
            path = directory.path / "schedules" / f"{name.replace(', ', '-').replace(' ', '-')}.json"
            base = [*origin(directory, "teacher"), own.to_dict(), schedule]
            rows.append({"name": name, **once(path, base, _training(data, schedule, own))})
    told = {
        f"{row['name']}, {key}": value
        for row in rows
        for key, value in row.items()
        if key.endswith("_bpm") or key == "seconds"
    }
    return {"epochs": options.epochs, **told, "rows": rows}


def _training(data: FoldData, schedule: str, settings: TrainSettings) -> Callable[[], dict[str, Any]]:
    def train() -> dict[str, Any]:
        space = space_of(data.run.config)
        supernet = SuperNet(space, np.random.default_rng(settings.seed))
        method = new_method(schedule, supernet, data.task)
        fit(method, data.training, data.task, settings, teacher=trained_teacher(data.run))
        inputs = data.validation.normalized()

        def error(arch: Arch) -> float:
            subnet = ready_subnet(supernet, arch, data.training)
            held = data.validation
            return subnet_error(subnet, arch, inputs, held.targets, data.task, held.subjects)

        told = {"largest_bpm": error(space.largest()), "smallest_bpm": error(space.smallest())}
        genes = space.sample(_RANDOM, np.random.default_rng(1))
        for gene, sensors in enumerate(space.sensors):
            genes[:, 1] = gene
            errors = np.array([error(arch) for arch in space.decode(genes)])
            told |= {
                f"random_{sensors}_bpm": float(errors.mean()),
                f"worst_{sensors}_bpm": float(errors.max()),
            }
        return {name: round(value, 3) for name, value in told.items()}

    return train
