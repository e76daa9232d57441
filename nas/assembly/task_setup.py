"""From a configuration to what a training wants to know: its windows with their labels, its settings."""

from __future__ import annotations

import numpy as np

from nas.data.windows import WindowSet
from nas.evaluation.task_kind import TaskKind
from supernet.settings.training import Training, TrainSettings
from supernet.windows.steps import BLOCK_STEPS
from supernet.windows.training_set import TrainingSet


def training_set(
    windows: WindowSet, task: TaskKind, trusted_only: bool = True, has_context: bool = False
) -> TrainingSet:
    """Windows as the trainer wants them; those with a doubtful label are left out.

    Windows without labels have zeros until a teacher labels them. Where networks have a context of earlier windows,
    they are drawn in blocks of a minute.
    """
    if trusted_only and windows.label_kind != "none":
        windows = windows.subset(windows.trusted)
    return TrainingSet(
        inputs=dict(windows.inputs),
        has_acc=windows.has_acc,
        targets=task.targets(windows) if windows.label_kind != "none" else np.zeros(len(windows), np.float32),
        window_s=windows.window_s,
        margin_s=windows.margin_s,
        subjects=windows.subject,
        steps=windows.steps,
        block=BLOCK_STEPS if has_context else 1,
    )


def train_settings(section: Training, seed: int) -> TrainSettings:
    """The trainer's settings of one section of the configuration."""
    known = {name: value for name, value in dict(section).items() if name in TrainSettings.model_fields}
    return TrainSettings(**known, seed=seed)
