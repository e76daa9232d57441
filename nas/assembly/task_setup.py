"""From a configuration to what each floor below wants to know of the task: labels, losses, heads, inputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.windows import WindowSet
from nas.run.config import Config, Training
from supernet.distillation.distiller import Term
from supernet.tasks.task import HeartRateTask, RhythmTask
from supernet.training.training_settings import TrainSettings
from supernet.windows.training_set import Augmentation, TrainingSet


def task_of(config: Config, training_targets: NDArray[Any] | None = None) -> HeartRateTask | RhythmTask:
    """The task as training uses it. Rhythm classes are weighted by the root of their rarity in training."""
    task = config.task
    if task.kind == "heart_rate":
        return HeartRateTask(task.first_bpm, task.last_bpm, task.bins, task.sigma_bpm)
    rhythm = RhythmTask(task.classes)
    if training_targets is None:
        return rhythm
    counts = np.bincount(training_targets.astype(np.int64), minlength=len(task.classes))
    weights = np.sqrt(counts.sum() / np.maximum(counts, 1) / len(task.classes))
    return dataclasses.replace(rhythm, weights=tuple(float(weight) for weight in weights))


def targets_of(windows: WindowSet) -> NDArray[Any]:
    """The labels: heart rates in BPM, or class indices."""
    return windows.heart_rate_bpm if windows.label_kind == "heart_rate" else windows.rhythm


def training_set(windows: WindowSet, trusted_only: bool = True) -> TrainingSet:
    """Windows as the trainer wants them; those with a doubtful label are left out."""
    if trusted_only:
        windows = windows.subset(windows.trusted)
    return TrainingSet(
        inputs=dict(windows.inputs),
        has_acc=windows.has_acc,
        targets=targets_of(windows),
        window_s=windows.window_s,
        margin_s=windows.margin_s,
        subjects=windows.subject,
    )


def train_settings(section: Training, seed: int) -> TrainSettings:
    """The trainer's settings of one section of the configuration."""
    known = {field.name for field in dataclasses.fields(TrainSettings)} - {"distillation", "augmentation"}
    own = {key: getattr(section, key) for key in type(section).model_fields if key in known}
    terms = tuple(Term(**dict(loss)) for loss in section.distillation)
    augmentation = Augmentation(**dict(section.augmentation))
    return TrainSettings(**own, distillation=terms, augmentation=augmentation, seed=seed)
