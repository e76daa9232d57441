"""Stage 4: the supernet, trained once with distillation from the teacher; every subnet comes from it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from hwmodels.basics.errors import InputError
from nas.assembly.loading import network_files, taught_sides, train, trained_teacher, training_task
from nas.assembly.run_space import space_of
from nas.run.run_directory import RunDirectory
from supernet.network.supernet import SuperNet
from supernet.tasks.task import Task
from supernet.training.distributed import ALONE, Team
from supernet.training.methods import Sandwich
from supernet.training.shrinking import ProgressiveShrinking

NAME = "supernet"
NEEDS: tuple[str, ...] = ("prepare", "teacher")


def inputs(run: RunDirectory) -> object:
    """The supernet's section and the whole search space."""
    return [run.config.supernet.model_dump(), space_of(run.config).model_dump(mode="json")]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The trained supernet and how its training went."""
    return network_files(run.path / "supernet")


def new_method(schedule: str, supernet: SuperNet, task: Task) -> Sandwich:
    """The training method of a schedule."""
    return (ProgressiveShrinking if schedule == "progressive_shrinking" else Sandwich)(supernet, task)


def follow(team: Team) -> None:
    """Train with the leader of a team whenever it does, until it has done."""
    while (path := team.agree(None)) is not None:
        run = RunDirectory.open(Path(path))
        run.team = team
        with suppress(InputError):  # the leader meets it too, and tells
            execute(run)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Train and keep supernet/model.pt and its history; a team is called to do so together."""
    team = run.team or ALONE
    if team.leads:
        team.agree(str(run.path.resolve()))
    space = space_of(run.config)
    teacher = trained_teacher(run)
    training, validation = taught_sides(run, teacher)
    task = training_task(run, training)
    supernet = SuperNet(space, np.random.default_rng(run.config.seed))
    method = new_method(run.config.supernet.schedule, supernet, task)
    history = train(
        run,
        "supernet",
        run.path / "supernet",
        method,
        (training, validation),
        task,
        run.config.supernet,
        teacher,
        team,
    )
    errors = {f"validation_{name}": round(value, 4) for name, value in history[-1].validation.items()}
    return {
        "architectures": f"{space.size():.2e}",
        "parameters": sum(parameter.numel() for parameter in supernet.parameters()),
        **errors,
    }
