"""Rhythm: one of several classes per window, judged by F1 and AUROC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.interpreter import ClassSettings, HeadSettings
from nas.data.windows import WindowSet
from nas.evaluation.estimates import Estimates
from nas.evaluation.metrics import RhythmMetrics, rhythm_metrics
from nas.evaluation.task_kind import Results, TaskKind, interval_cell
from nas.evaluation.task_settings import TaskSettings
from search.loop.evaluator import MacroF1Error, Score
from supernet.tasks.task import RhythmTask

_TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_auroc": "macro AUROC",
    "micro_auroc": "micro AUROC",
}


class Rhythm(TaskKind):
    """Classes of rhythm."""

    label_kind = "rhythm"
    head = "class_head"
    quantity = "rhythm"
    error_name = "1 - macro-F1"
    subject_error_name = "share of windows misclassified"
    metric = "macro_f1_error"
    figure = ("macro_f1", "macro-F1")

    def training(self, settings: TaskSettings, targets: NDArray[Any] | None = None) -> RhythmTask:
        """Classes, weighted by the root of their rarity in training where its labels are given."""
        if targets is None:
            return RhythmTask(settings.classes)
        counts = np.bincount(targets.astype(np.int64), minlength=len(settings.classes))
        weights = np.sqrt(counts.sum() / np.maximum(counts, 1) / len(settings.classes))
        return RhythmTask(settings.classes, weights=tuple(float(weight) for weight in weights))

    def targets(self, windows: WindowSet) -> NDArray[Any]:
        """Class indices."""
        return windows.rhythm

    def head_settings(self, settings: TaskSettings) -> ClassSettings:
        """Class names, and the least probability of a valid window."""
        return ClassSettings(settings.classes, settings.min_probability)

    def with_limit(self, head: HeadSettings, spread: float) -> HeadSettings:
        """Windows more probably of another class than `spread` are invalid."""
        assert isinstance(head, ClassSettings)
        return replace(head, min_probability=round(1.0 - spread, 3)) if head.min_probability is None else head

    def window_figures(self, estimates: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
        """The estimated classes themselves."""
        return estimates

    def score(self, targets: NDArray[Any], subjects: NDArray[np.str_], seed: int) -> Score:
        """One minus the macro-averaged F1."""
        return MacroF1Error(targets, subjects, seed=seed)

    def figures(self, estimates: Estimates, windows: WindowSet, settings: TaskSettings) -> RhythmMetrics:
        """F1 and AUROC of every class."""
        assert estimates.probabilities is not None
        return rhythm_metrics(estimates.probabilities, windows.rhythm, windows.subject, settings.classes)

    def table(self, results: Results) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Averages over classes, then the AUROC of each."""
        columns = {"estimator": "estimator", "source": "set", "subjects": "patients", "windows": "windows", **_TITLES}
        rows = []
        for name, by_source in results.items():
            for source, figures in by_source.items():
                row = {
                    "estimator": name,
                    "source": source,
                    "subjects": figures["subjects"],
                    "windows": figures["windows"],
                }
                row |= {key: interval_cell(figures[key]) for key in _TITLES}
                columns |= {f"auroc {label}": f"AUROC {label}" for label in figures["auroc"]}
                row |= {f"auroc {label}": interval_cell(interval) for label, interval in figures["auroc"].items()}
                rows.append(row)
        return rows, columns

    def subject_errors(self, figures: Mapping[str, Any]) -> dict[str, float]:
        """Shares of windows misclassified."""
        return {subject: 1 - accuracy for subject, accuracy in figures["accuracy_by_subject"].items()}


TASK = Rhythm()
