"""What a task is for the whole application: labels, head, decoding, error, verdict, tables, labels of plots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.settings import Settings
from hwmodels.network.interpreter import HeadSettings
from nas.data.windows import WindowSet
from nas.evaluation.estimates import Estimates
from nas.evaluation.task_settings import TaskSettings
from search.loop.evaluator import Score
from supernet.space.search_space import Head
from supernet.tasks.task import Task


class Figures(Protocol):
    """Figures of an estimator on windows; the one named by `TaskKind.figure` is an interval with a "value"."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as results are written."""


Results = Mapping[str, Mapping[str, Any]]
"""Figures, as `Figures.to_dict` gives them, by estimator and data set."""


class TaskKind(ABC):
    """One task. What it has besides the methods stands in attributes:

    label_kind: which labels of recordings it learns from, "heart_rate" or "rhythm". head: the operation that
    ends the deployed network. quantity, unit: what plots write at its axes; unit is "" for classes. error_name:
    the search's error, as plots write it; subject_error_name: that of one subject. metric: its name in archives.
    figure: the key of its main figure in results, and how tables call it. note: what is to be known of its table.
    tracks: whether successive estimates are followed by the causal tracker. options: settings of its own.
    """

    label_kind: ClassVar[str]
    head: ClassVar[Head]
    quantity: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    error_name: ClassVar[str]
    subject_error_name: ClassVar[str]
    metric: ClassVar[str]
    figure: ClassVar[tuple[str, str]]
    note: ClassVar[str] = ""
    tracks: ClassVar[bool] = False
    options: ClassVar[type[Settings]] = Settings

    @abstractmethod
    def training(self, settings: TaskSettings, targets: NDArray[Any] | None = None) -> Task:
        """The task as networks are trained on it; `targets` are the training labels (n,) where they are known."""

    @abstractmethod
    def targets(self, windows: WindowSet) -> NDArray[Any]:
        """The labels (n,) of windows."""

    def misfit(self, windows: WindowSet, settings: TaskSettings) -> str:
        """The first label that the task cannot express, with its recording and the remedy; "" if there is none."""
        return ""

    @abstractmethod
    def head_settings(self, settings: TaskSettings) -> HeadSettings:
        """The deployed head; its limit is None, so that every window passes, unless the settings give one."""

    @abstractmethod
    def with_limit(self, head: HeadSettings, spread: float) -> HeadSettings:
        """The head that calls windows of a larger spread invalid; one that has a limit stays as it is."""

    @abstractmethod
    def window_figures(self, estimates: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
        """What the search keeps of each window (n,), for `score`."""

    @abstractmethod
    def score(self, targets: NDArray[Any], subjects: NDArray[np.str_], seed: int) -> Score:
        """How figures of windows become an error with its interval over subjects."""

    @abstractmethod
    def figures(self, estimates: Estimates, windows: WindowSet, settings: TaskSettings) -> Figures:
        """Figures of estimates of all windows, with intervals over subjects."""

    @abstractmethod
    def table(self, results: Results) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Rows of a report, and the titles of their columns."""

    @abstractmethod
    def subject_errors(self, figures: Mapping[str, Any]) -> dict[str, float]:
        """The error of each subject, from figures as they were written."""

    def baselines(self, windows: WindowSet, rate_hz: int) -> dict[str, Estimates]:
        """Estimators without any training to compare with, by name."""
        return {}


def interval_cell(interval: Mapping[str, Any], factor: float = 1.0, unit: str = "") -> str:
    """An interval as a table's cell."""
    if interval["value"] is None:
        return "-"
    value, low, high = (factor * interval[key] for key in ("value", "low", "high"))
    digits = 0 if unit else 2
    return f"{value:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"
