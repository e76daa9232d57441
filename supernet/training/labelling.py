"""Windows without labels, labelled by a teacher and weighted by its confidence, beside those with labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwmodels.basics.errors import InputError
from supernet.tasks.task import Task
from supernet.training.teaching import Teaching
from supernet.training.window_outputs import logits_of
from supernet.windows.training_set import TrainingSet

_APART = 1 << 24


def labelled_by(teacher: Teaching, bare: TrainingSet, task: Task, floor_bpm: float) -> TrainingSet:
    """`bare` with the teacher's heart rates as targets, and weights 1 - spread / floor_bpm, at least 0.

    spread: the error that the teacher itself expects (mean absolute deviation of its belief, BPM). Windows are read
    with all that lies beside them. Raises InputError for classes, and where the teacher is sure of no window.
    """
    if task.band_per_min is None:
        raise InputError("data.unlabelled: teachers label heart rates, not rhythms; remove it")
    estimate, spread = task.estimate(logits_of(teacher.network.eval(), bare.read(teacher)))
    weights = (1.0 - spread / floor_bpm).clamp(0.0, 1.0).numpy().astype(np.float32)
    if not weights.any():
        raise InputError(
            f"data.unlabelled: the teacher expects to be {floor_bpm:g} BPM off or more everywhere; raise "
            "teacher.floor_bpm, or list recordings more like the labelled ones"
        )
    return replace(bare, targets=estimate.numpy(), weights=weights)


def joined(labelled: TrainingSet, taught: TrainingSet, share: float) -> TrainingSet:
    """Both sets, with weight 1 for labels and at most `share` of all weight for the taught windows.

    Windows of weight 0 stay, as the past of others.
    """
    assert taught.weights is not None, "labelled_by sets them"
    most = share / (1.0 - share) * len(labelled)
    weights = taught.weights * min(1.0, most / float(taught.weights.sum()))
    steps = None
    if labelled.steps is not None and taught.steps is not None:
        steps = np.concatenate([labelled.steps, taught.steps + labelled.steps[-1] + _APART])
    subjects = None
    if labelled.subjects is not None and taught.subjects is not None:
        subjects = np.concatenate([labelled.subjects, taught.subjects])
    return replace(
        labelled,
        inputs={rate: np.concatenate([held, taught.inputs[rate]]) for rate, held in labelled.inputs.items()},
        has_acc=np.concatenate([labelled.has_acc, taught.has_acc]),
        targets=np.concatenate([labelled.targets, taught.targets]),
        subjects=subjects,
        steps=steps,
        weights=np.concatenate([np.ones(len(labelled), np.float32), weights.astype(np.float32)]),
    )
