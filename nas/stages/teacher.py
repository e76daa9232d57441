"""Stage 3: the teacher, one network or an ensemble, trained on the training subjects and made reliable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.assembly.loading import beliefs_folder, history_of, network_files, sides, teacher_rate, train, training_task
from nas.assembly.teacher_setup import member_channels, new_teacher
from nas.run.run_directory import RunDirectory
from nas.run.run_files import write_json
from supernet.settings.teachers import Teacher
from supernet.tasks.task import Task
from supernet.teachers.ensemble import Ensemble
from supernet.teachers.reliability import Reliability, fit_temperature, reliability
from supernet.training.checkpoint import save_checkpoint
from supernet.training.methods import SingleNetwork
from supernet.training.teaching import Teaching
from supernet.training.window_outputs import logits_of
from supernet.windows.steps import Windows
from supernet.windows.training_set import TrainingSet

NAME = "teacher"
NEEDS: tuple[str, ...] = ("prepare",)
_RELIABILITY = "reliability.json"


def inputs(run: RunDirectory) -> object:
    """The teacher's section, the task, and the rate it reads."""
    return [run.config.teacher.model_dump(), run.config.task.model_dump(), teacher_rate(run)]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The trained teacher and how its training went."""
    return network_files(run.path / "teacher")


def execute(run: RunDirectory) -> dict[str, Any]:
    """Train and keep teacher/model.pt, its history, and how reliable it is on validation subjects."""
    # What an earlier teacher said of windows is of no use any more.
    shutil.rmtree(beliefs_folder(run), ignore_errors=True)
    return train_teacher(run, run.config.teacher, run.path / "teacher", *sides(run))[1]


def train_teacher(
    run: RunDirectory, section: Teacher, folder: Path, training: TrainingSet, validation: TrainingSet
) -> tuple[Teaching, dict[str, Any]]:
    """Train the teacher of any section into model.pt, history.json and reliability.json of `folder`.

    Returns it, keeping what it says in memory alone, and a summary.
    """
    task, rate = training_task(run, training), teacher_rate(run)
    channels = tuple(member_channels(member, training) for member in section.networks)
    network = new_teacher(run.config, channels, rate, section)
    members = list(network.members) if isinstance(network, Ensemble) else [network]
    whole: list[dict[str, Any]] = []
    for number, (settings, member, own) in enumerate(zip(section.networks, members, channels, strict=True)):
        title = f"teacher {number + 1} {settings.kind}" if len(members) > 1 else "teacher"
        place = folder / f"member{number}" if len(members) > 1 else folder
        method = SingleNetwork(member, task, rate, own, name=title)
        history = train(run, title, place, method, (training, validation), task, settings)
        whole += history_of(history)
    errors = {"validation_error": round(history[-1].validation["error"], 4)}
    before, after = _fit_temperatures(network.eval(), validation, rate, max(channels), task)
    by_state: dict[str, Any] = {"before": before.to_dict(), "after": after.to_dict()}
    if isinstance(network, Ensemble):
        save_checkpoint(network_files(folder)[0], {"module": network.state_dict()})
        estimate, _ = task.estimate(logits_of(network, validation.windows(rate)[:, : max(channels)]))
        errors["validation_error"] = round(task.error(estimate.numpy(), validation.targets, validation.subjects), 4)
        by_state["temperatures"] = [round(float(temperature), 4) for temperature in network.temperatures]
        # One member after the other, as a report draws them.
        records = [{**record, "epoch": at, "epochs": len(whole)} for at, record in enumerate(whole)]
        write_json(network_files(folder)[1], records)
    write_json(folder / _RELIABILITY, by_state)
    summary = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "channels": max(channels),
        **errors,
        "calibration_error": round(before.ece, 4),
        **({"calibration_error_scaled": round(after.ece, 4)} if isinstance(network, Ensemble) else {}),
    }
    return Teaching(network, rate, max(channels)), summary


def _fit_temperatures(
    network: nn.Module, validation: TrainingSet, rate_hz: int, channels: int, task: Task
) -> tuple[Reliability, Reliability]:
    """Reliability on validation windows before and after temperatures are fitted, which happens in place.

    A bare network keeps its logits; `after` then says what a temperature would give.
    """
    x, targets = validation.windows(rate_hz)[:, :channels], validation.targets
    with torch.no_grad():
        before = reliability(logits_of(network, Windows(x, validation.past())), targets, task)
        if isinstance(network, Ensemble):
            for number, (member, own) in enumerate(zip(network.members, network.channels, strict=True)):
                network.temperatures[number] = fit_temperature(logits_of(member, x[:, :own]), targets, task)
            network.temperatures[-1] = fit_temperature(logits_of(network, x), targets, task)
            return before, reliability(logits_of(network, x), targets, task)
        logits = logits_of(network, Windows(x, validation.past()))
        return before, reliability(logits / fit_temperature(logits, targets, task), targets, task)
