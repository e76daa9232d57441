"""Stage 3: the teacher, trained on the training subjects with all sensors there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.run_directory import RunDirectory
from nas.stages.loading import (
    network_files,
    new_teacher,
    sides,
    teacher_rate,
    teacher_sensors,
    train,
    training_task,
)
from supernet.methods import SingleNetwork

NAME = "teacher"
NEEDS: tuple[str, ...] = ("prepare",)


def inputs(run: RunDirectory) -> object:
    """The teacher's section, the task, and the rate it reads."""
    return [run.config.teacher.model_dump(), run.config.task.model_dump(), teacher_rate(run)]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The trained teacher and how its training went."""
    return network_files(run.path / "teacher")


def execute(run: RunDirectory) -> dict[str, Any]:
    """Train and keep teacher/model.pt and its history."""
    training, validation = sides(run)
    channels = teacher_sensors(run, training)
    network = new_teacher(run, channels)
    task = training_task(run, training)
    method = SingleNetwork(network, task, teacher_rate(run), channels, name="teacher")
    history = train(
        run, "teacher", run.path / "teacher", method, (training, validation), task, run.config.teacher
    )
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "channels": channels,
        "validation_error": round(history[-1].validation["error"], 4),
    }
