"""Heart rate: a belief over bins, judged by its error in beats per minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.interpreter import HeadSettings, HeartRateSettings
from nas.data.windows import WindowSet
from nas.evaluation.baselines import spectral_argmax, spectral_tracker
from nas.evaluation.estimates import Estimates
from nas.evaluation.metrics import HeartRateMetrics, heart_rate_metrics
from nas.evaluation.task_kind import Results, TaskKind, interval_cell
from nas.evaluation.task_settings import TaskSettings
from search.loop.evaluator import MeanOfSubjects, Score
from supernet.tasks.task import HeartRateTask

_COLUMNS = {
    "estimator": "estimator",
    "source": "set",
    "subjects": "subjects",
    "mae": "MAE, mean of subjects",
    "pooled": "MAE, pooled",
    "median": "median",
    "p90": "p90",
    "within_5": "within 5 BPM",
    "within_10": "within 10 BPM",
    "valid": "called valid",
    "mae_valid": "MAE of valid",
}
_BPM = {"mae": "mae_bpm", "pooled": "mae_pooled_bpm", "median": "median_bpm", "p90": "p90_bpm"}
_SHARES = {"within_5": "share_within_5", "within_10": "share_within_10", "valid": "share_valid"}


class HeartRate(TaskKind):
    """Beats per minute."""

    label_kind = "heart_rate"
    head = "heart_rate_head"
    quantity = "heart rate"
    unit = "BPM"
    error_name = "MAE, BPM"
    subject_error_name = "MAE, BPM"
    metric = "mae_bpm"
    figure = ("mae_bpm", "MAE")
    note = "BPM, with 95 % bootstrap intervals over subjects, on whom nothing was tuned."
    tracks = True

    def training(self, settings: TaskSettings, targets: NDArray[Any] | None = None) -> HeartRateTask:
        """A belief over the bins of the settings."""
        return HeartRateTask(settings.first_bpm, settings.last_bpm, settings.bins, settings.sigma_bpm)

    def targets(self, windows: WindowSet) -> NDArray[Any]:
        """Heart rates in BPM."""
        return windows.heart_rate_bpm

    def misfit(self, windows: WindowSet, settings: TaskSettings) -> str:
        """A trusted heart rate beyond the bins."""
        bpm = windows.heart_rate_bpm
        beyond = np.flatnonzero(windows.trusted & ((bpm < settings.first_bpm) | (bpm > settings.last_bpm)))
        if not beyond.size:
            return ""
        first = int(beyond[0])
        more = f" ({beyond.size} such labels)" if beyond.size > 1 else ""
        return (
            f"{windows.recording_names[windows.recording[first]]}: the label at "
            f"{windows.start_s[first] + windows.window_s / 2:g} s is {bpm[first]:.4g} BPM{more}, beyond the bins from "
            f"{settings.first_bpm:g} to {settings.last_bpm:g}; correct it, or widen task.first_bpm and last_bpm"
        )

    def head_settings(self, settings: TaskSettings) -> HeartRateSettings:
        """Bins, and the largest expected error of a valid window."""
        return HeartRateSettings(settings.first_bpm, settings.last_bpm, settings.max_spread_bpm)

    def with_limit(self, head: HeadSettings, spread: float) -> HeadSettings:
        """Windows of a larger expected error in BPM are invalid."""
        assert isinstance(head, HeartRateSettings)
        return replace(head, max_spread_bpm=round(spread, 2)) if head.max_spread_bpm is None else head

    def window_figures(self, estimates: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
        """Absolute errors in BPM."""
        return np.abs(estimates - targets)

    def score(self, targets: NDArray[Any], subjects: NDArray[np.str_], seed: int) -> Score:
        """The mean over subjects of their mean absolute errors."""
        return MeanOfSubjects(subjects, seed=seed)

    def figures(self, estimates: Estimates, windows: WindowSet, settings: TaskSettings) -> HeartRateMetrics:
        """Errors over all windows and by activity; those against confidence where an estimator states one."""
        return heart_rate_metrics(
            estimates.estimate,
            windows.heart_rate_bpm,
            windows.subject,
            spread_bpm=estimates.spread if np.isfinite(estimates.spread).all() else None,
            valid=estimates.valid,
            activity=windows.activity,
        )

    def baselines(self, windows: WindowSet, rate_hz: int) -> dict[str, Estimates]:
        """The plain spectrum, and a tracker over it."""
        nothing, valid = np.full(len(windows), np.nan), np.ones(len(windows), bool)
        return {
            "spectral argmax": Estimates(spectral_argmax(windows, rate_hz), nothing, valid),
            "spectral tracker": Estimates(*spectral_tracker(windows, rate_hz), valid),
        }

    def table(self, results: Results) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Errors in BPM and shares of windows."""
        rows = [
            {
                "estimator": name,
                "source": source,
                "subjects": figures["subjects"],
                **{column: interval_cell(figures[key]) for column, key in _BPM.items()},
                **{column: interval_cell(figures[key], 100, " %") for column, key in _SHARES.items()},
                "mae_valid": interval_cell(figures["mae_valid_bpm"]),
            }
            for name, by_source in results.items()
            for source, figures in by_source.items()
        ]
        return rows, _COLUMNS

    def subject_errors(self, figures: Mapping[str, Any]) -> dict[str, float]:
        """Mean absolute errors in BPM."""
        return dict(figures["mae_by_subject_bpm"])


TASK = HeartRate()
