"""Accuracy of architectures with its uncertainty: a measuring callable, a score over subjects, any executor.

What measures (shared weights, batch-norm re-estimation, windows) is supplied by the application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from search.archive.rows import Metrics, Provenance
from search.loop.prefix_tree import Work, even_work, split
from supernet.space.arch import Arch

Array = npt.NDArray[Any]
Evaluate = Callable[[Arch], Array]
"""Architecture -> one figure per validation window, (windows,). Must depend on its argument only, and
must re-estimate batch-norm statistics; with a process executor it is sent along with each task, so it should
be small."""


class Score(Protocol):
    """Turns the figures of all windows into an error with its interval over subjects."""

    def __call__(self, figures: Array) -> Metrics:
        """Metrics of figures (windows,)."""


class _Subjects:
    """Which subject each window belongs to, and how often each bootstrap resample draws each subject.

    The draws depend on the subjects and the seed only, so errors of two architectures are paired.
    """

    def __init__(self, subjects: Array, resamples: int, seed: int) -> None:
        names, self.index = np.unique(np.asarray(subjects).astype(np.str_), return_inverse=True)
        self.names: list[str] = names.tolist()
        self.counts = np.bincount(self.index, minlength=len(names)).astype(np.float64)
        rng = np.random.default_rng([seed, 23])
        self.draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)

    def means(self, values: Array) -> npt.NDArray[np.float64]:
        """Mean of per-window values within each subject, (subjects,)."""
        return np.bincount(self.index, values, minlength=len(self.names)) / self.counts

    def metrics(self, error: float, resampled: Array, subject_errors: npt.NDArray[np.float64]) -> Metrics:
        low, high = np.quantile(resampled, [0.025, 0.975])
        by_name = dict(zip(self.names, subject_errors.tolist(), strict=True))
        return Metrics(float(error), float(low), float(high), by_name, len(self.index))


@dataclass(frozen=True)
class MeanOfSubjects:
    """Figures are errors of single windows; the error is the mean over subjects of each one's mean.

    Interval: 95 % bootstrap over subjects (percentiles).
    """

    subjects: Array
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def _subjects(self) -> _Subjects:
        return _Subjects(self.subjects, self.resamples, self.seed)

    def __call__(self, figures: Array) -> Metrics:
        """Metrics of window errors (windows,). Raises ValueError when one is missing or not finite."""
        _require_figures(figures, len(self.subjects))
        means = self._subjects.means(np.asarray(figures, np.float64))
        resampled = self._subjects.draws @ means / len(means)
        return self._subjects.metrics(means.mean(), resampled, means)


@dataclass(frozen=True)
class MacroF1Error:
    """Figures are estimated class indices; the error is 1 minus the macro-averaged F1 over all windows.

    Classes count where they occur in the labels `targets` (windows,). Interval: 95 % bootstrap over
    subjects. The error of one subject is its share of wrong windows.
    """

    targets: Array
    subjects: Array
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def _subjects(self) -> _Subjects:
        return _Subjects(self.subjects, self.resamples, self.seed)

    def __call__(self, figures: Array) -> Metrics:
        """Metrics of class indices (windows,). Raises ValueError when one is missing or not finite."""
        _require_figures(figures, len(self.subjects))
        subjects = self._subjects
        draws = np.concatenate([np.ones((1, len(subjects.names))), subjects.draws])
        scores = []
        for label in np.unique(self.targets):
            estimated, real = figures == label, self.targets == label
            hits = draws @ np.bincount(subjects.index, estimated & real, minlength=len(subjects.names))
            total = draws @ np.bincount(subjects.index, 1.0 * estimated + real, minlength=len(subjects.names))
            occurs = draws @ np.bincount(subjects.index, real, minlength=len(subjects.names)) > 0
            scores.append(np.where(occurs, 2 * hits / np.maximum(total, 1), np.nan))
        errors = 1.0 - np.nanmean(scores, axis=0)
        return subjects.metrics(errors[0], errors[1:], subjects.means(1.0 * (figures != self.targets)))


def _require_figures(figures: Array, count: int) -> None:
    if np.shape(figures) != (count,):
        raise ValueError(f"expected one figure for each of {count} windows, got shape {np.shape(figures)}")
    if not np.isfinite(figures).all():
        raise ValueError("a window's figure is not finite")


class Measurements:
    """Figures of one generation on their way; iterate for the metrics, in order and as they come."""

    def __init__(self, results: Iterator[Metrics], tasks: Sequence[Future[list[Array]]] = ()) -> None:
        self._results, self._tasks = results, tasks

    def __iter__(self) -> Iterator[Metrics]:
        return self._results

    def cancel(self) -> None:
        """Take back what no worker has begun with."""
        for task in self._tasks:
            task.cancel()


@dataclass(frozen=True)
class Evaluator:
    """Measures architectures and scores them, in order, whatever the number of workers.

    `executor` None works in this process; any concurrent.futures.Executor gives the same figures. A
    generation becomes `tasks` tasks of architectures that have much in common (see search/loop/prefix_tree.py, as
    `work` says), or one for each architecture when None.
    """

    evaluate: Evaluate
    score: Score
    provenance: Provenance
    executor: Executor | None = None
    tasks: int | None = None
    work: Work = even_work

    def __call__(self, archs: Sequence[Arch], known: Sequence[Metrics | None] | None = None) -> Measurements:
        """Begin to measure those that are not `known`; gives the metrics of each, in their order."""
        metrics_or_none = [None] * len(archs) if known is None else list(known)
        missing = [arch for arch, metrics in zip(archs, metrics_or_none, strict=True) if metrics is None]
        if self.executor is None:
            return Measurements(self._scored(map(self.evaluate, missing), metrics_or_none))
        runs = split(missing, len(missing) if self.tasks is None else self.tasks, self.work)
        tasks = [self.executor.submit(_figures, self.evaluate, missing[run]) for run in runs]
        figures = (one for task in tasks for one in task.result())
        return Measurements(self._scored(figures, metrics_or_none), tasks)

    def _scored(self, figures: Iterator[Array], known: Sequence[Metrics | None]) -> Iterator[Metrics]:
        for metrics in known:
            yield self.score(next(figures)) if metrics is None else metrics


def _figures(evaluate: Evaluate, archs: Sequence[Arch]) -> list[Array]:
    """What a worker does in one task."""
    return [evaluate(arch) for arch in archs]
