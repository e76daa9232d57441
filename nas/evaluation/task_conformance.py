"""What every task must hold; for those that come with the program, and for anybody's own."""

from __future__ import annotations

import json

import numpy as np
import torch

from nas.data.synthetic import simulate
from nas.data.windows import make_windows
from nas.evaluation.estimates import Estimates
from nas.evaluation.task_kind import TaskKind
from nas.evaluation.task_settings import TaskSettings


def check_task(task: TaskKind, settings: TaskSettings) -> None:
    """Put simulated windows through everything that a task says of them. Raises AssertionError."""
    people = simulate(3, 0, minutes=1.0, task=task.label_kind)
    windows = make_windows(people, rates=(16,), window_s=8)
    targets = task.targets(windows)
    assert targets.shape == (len(windows),) and np.isfinite(targets).all(), "one finite label per window"
    training = task.training(settings, targets)
    assert training.outputs == task.training(settings).outputs, "labels must not change the network"
    labels = torch.from_numpy(np.asarray(targets))
    beliefs = training.beliefs(labels)
    assert beliefs.shape == (len(windows), training.outputs), "beliefs are (windows, outputs)"
    assert torch.allclose(beliefs.sum(dim=1), torch.ones(len(windows)), atol=1e-4), "a belief sums to 1"
    sure, unsure = torch.log(beliefs + 1e-6), torch.zeros(len(windows), training.outputs)
    assert training.loss(sure, labels) < training.loss(unsure, labels), "labels must be learnt best by themselves"
    estimate, spread = (found.double().numpy() for found in training.estimate(sure))
    error = training.error(estimate, targets, windows.subject)
    assert error <= training.error(training.estimate(unsure)[0].double().numpy(), targets, windows.subject)
    score = task.score(targets, windows.subject, 0)(task.window_figures(estimate, targets))
    assert np.isclose(score.error, error, atol=1e-3), "search and training must mean the same error"
    _check_head(task, settings, spread)
    answers = Estimates(estimate, spread, np.ones(len(windows), bool), sure.softmax(dim=1).double().numpy())
    _check_figures(task, settings, answers, task.figures(answers, windows, settings).to_dict())


def _check_head(task: TaskKind, settings: TaskSettings, spread: np.ndarray) -> None:
    limited = task.with_limit(task.head_settings(settings), float(np.quantile(spread, 0.95)))
    assert task.with_limit(limited, 0.0) == limited, "a limit that is set must stay"
    rows = np.zeros((2, 3), np.int32)
    estimate, deviation = limited.decoded(rows)
    assert estimate.shape == deviation.shape == (2,), "a head's rows decode to estimates and spreads"


def _check_figures(task: TaskKind, settings: TaskSettings, answers: Estimates, figures: dict[str, object]) -> None:
    json.dumps(figures, allow_nan=False)
    main = figures[task.figure[0]]
    assert isinstance(main, dict) and "value" in main, f"{task.figure[0]} must be an interval"
    rows, titles = task.table({"somebody": {"somewhere": figures}})
    assert len(rows) == 1 and set(rows[0]) <= set(titles), "one row per estimator and set, every cell with a title"
    assert task.subject_errors(figures), "subjects must have errors"
    assert task.error_name and task.subject_error_name and task.metric
