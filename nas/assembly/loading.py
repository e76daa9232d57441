"""What later stages read of earlier ones: windows by side of the split, trained networks, histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from nas.assembly.recording_labels import unlabelled_file
from nas.assembly.run_space import space_of
from nas.assembly.task_setup import train_settings, training_set
from nas.assembly.teacher_setup import new_teacher, teacher_follows_time
from nas.data.windows import WindowSet
from nas.run.processor import take
from nas.run.run_directory import RunDirectory, RunError
from nas.run.run_files import write_json
from nas.terminal.progress import progress
from supernet.network.supernet import SuperNet
from supernet.settings.training import Training
from supernet.tasks.task import Task
from supernet.training.checkpoint import load_checkpoint, save_checkpoint
from supernet.training.distributed import ALONE, Team
from supernet.training.labelling import joined, labelled_by
from supernet.training.methods import Method
from supernet.training.teaching import Teaching
from supernet.training.trainer import EpochRecord, fit
from supernet.windows.training_set import TrainingSet

CHECKPOINT = "checkpoint.pt"
Network = TypeVar("Network", bound=nn.Module)


def network_files(folder: Path) -> tuple[Path, Path]:
    """What a training leaves in its folder: the network's weights, and the history of the training."""
    return folder / "model.pt", folder / "history.json"


def load_network(network: Network, path: Path) -> Network:
    """Put the weights of a file into `network`, in eval mode.

    Raises CheckpointError for a damaged file and RunError for the weights of another network.
    """
    content = load_checkpoint(path)
    try:
        network.load_state_dict(content["module"])
    except (KeyError, RuntimeError, TypeError, AttributeError, ValueError):
        raise RunError(
            f"{path}: holds the weights of another network, as the search space's file or the program has "
            "changed since; delete it and give the ppg-nas run command again"
        ) from None
    return network.eval()


def windows_of(run: RunDirectory, side: str) -> WindowSet:
    """The windows of one side of the split: "train", "validation" or "test"."""
    subjects = run.summary("prepare")[f"{side}_subjects"]
    return WindowSet.load(run.path / "data" / "windows.npz").of_subjects(subjects)


def unlabelled_windows(run: RunDirectory) -> WindowSet | None:
    """The windows of `data.unlabelled`, none of people who are validated on or tested; None where nothing is listed."""
    return WindowSet.load(unlabelled_file(run.path)) if run.config.data.unlabelled else None


def sides(run: RunDirectory) -> tuple[TrainingSet, TrainingSet]:
    """Training and validation windows as the trainer wants them."""
    kind, has_context = run.config.task_kind, space_of(run.config).has_context or teacher_follows_time(run.config)
    train, validation = (
        training_set(windows_of(run, side), kind, has_context=has_context) for side in ("train", "validation")
    )
    return train, validation


def taught_sides(run: RunDirectory, teacher: Teaching) -> tuple[TrainingSet, TrainingSet]:
    """As `sides`, with the windows of `data.unlabelled` beside those for training, labelled by the teacher."""
    training, validation = sides(run)
    bare = unlabelled_windows(run)
    if bare is None:
        return training, validation
    settings, task = run.config.teacher, training_task(run, training)
    windows = training_set(bare, run.config.task_kind, has_context=training.block > 1)
    return joined(
        training, labelled_by(teacher, windows, task, settings.floor_bpm), settings.unlabelled_share
    ), validation


def training_task(run: RunDirectory, training: TrainingSet) -> Task:
    """The task of the run, with class weights from its training windows."""
    return run.config.task_kind.training(run.config.task, training.targets)


def teacher_rate(run: RunDirectory) -> int:
    """The rate in Hz that the teacher reads: the space's highest."""
    return max(space_of(run.config).rates)


def beliefs_folder(run: RunDirectory) -> Path:
    """Where what the teacher says of windows is kept."""
    return run.path / "beliefs"


def trained_teacher(run: RunDirectory) -> Teaching:
    """The trained teacher of a run; what it says of each draw is kept in beliefs/."""
    widest, rate = int(run.summary("teacher")["channels"]), teacher_rate(run)
    channels = tuple(1 if member.sensors == "ppg" else widest for member in run.config.teacher.networks)
    network = load_network(new_teacher(run.config, channels, rate), run.path / "teacher" / "model.pt")
    return Teaching(network, rate, widest, beliefs_folder(run))


def trained_supernet(run: RunDirectory) -> SuperNet:
    """The trained supernet of a run."""
    supernet = SuperNet(space_of(run.config), np.random.default_rng(run.config.seed))
    return load_network(supernet, run.path / "supernet" / "model.pt")


def train(  # noqa: PLR0913 - a run's stage as it is, and who takes part
    run: RunDirectory,
    title: str,
    folder: Path,
    method: Method,
    data: tuple[TrainingSet, TrainingSet],
    task: Task,
    section: Training,
    teacher: Teaching | None = None,
    team: Team = ALONE,
) -> list[EpochRecord]:
    """Train into model.pt and history.json of `folder`; the checkpoint there is for the caller to remove.

    All processes of a `team` call this together; its leader writes.
    """
    take(run.config)
    checkpoint = folder / CHECKPOINT
    training, validation = data
    with progress(title) as advance:
        history = fit(
            method,
            training,
            task,
            train_settings(section, run.config.seed),
            validation=validation,
            teacher=teacher,
            checkpoint=checkpoint,
            on_epoch=_epoch_reporter(run, title, advance),
            team=team,
        )
    if not team.leads:
        return history
    model, history_file = network_files(folder)
    write_json(history_file, history_of(history))
    save_checkpoint(model, {"module": method.module.state_dict()})
    return history


def history_of(records: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    """Training history without wall-clock figures, so that the same training writes the same file."""
    return [
        {key: value for key, value in asdict(record).items() if key not in ("seconds", "windows_per_s")}
        for record in records
    ]


def _epoch_reporter(
    run: RunDirectory, title: str, advance: Callable[[int, int, str], None]
) -> Callable[[EpochRecord], None]:
    def report(record: EpochRecord) -> None:
        note = " ".join(f"{name} {value:.2f}" for name, value in record.validation.items())
        advance(record.epoch + 1, record.epochs, f"{record.windows_per_s:.0f} windows/s {note}")
        run.log(
            "epoch",
            training=title,
            epoch=record.epoch,
            loss=round(record.loss, 5),
            windows_per_s=round(record.windows_per_s, 1),
            validation=record.validation,
        )

    return report
