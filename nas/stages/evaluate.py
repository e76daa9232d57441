"""Stage 8: test subjects, read here for the first time: teacher, float and int8 subnet, tracker, spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.assembly.choice import chosen_arch
from nas.assembly.loading import trained_teacher, windows_of
from nas.assembly.task_setup import targets_of, task_of
from nas.compress.finish import compared_float, finished_model, finished_tracker
from nas.data.windows import WindowSet
from nas.evaluation.baselines import spectral_argmax, spectral_tracker
from nas.evaluation.estimates import TRACKED, Estimates, integer_estimates, network_estimates
from nas.evaluation.metrics import HeartRateMetrics, RhythmMetrics, heart_rate_metrics, rhythm_metrics
from nas.evaluation.tracker_fit import tracked_estimates
from nas.run.run_directory import RunDirectory
from nas.run.run_files import replace_file, write_json

NAME = "evaluate"
_RESULTS = "results.json"
_PREDICTIONS = "predictions.npz"
NEEDS: tuple[str, ...] = ("prepare", "teacher", "finish")


def inputs(run: RunDirectory) -> object:
    """Nothing of its own."""
    return []


def products(run: RunDirectory) -> tuple[Path, ...]:
    """Metrics and predictions."""
    return (run.path / "evaluation" / _RESULTS, run.path / "evaluation" / _PREDICTIONS)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Write evaluation/results.json (metrics by estimator and source) and predictions.npz."""
    windows = windows_of(run, "test")
    found = estimates_of(run, windows)
    results: dict[str, dict[str, Any]] = {}
    for name, estimates in found.items():
        results[name] = {
            source: metrics(run, estimates, windows, windows.source == source).to_dict()
            for source in sorted(set(windows.source.tolist()))
        }
    write_json(run.path / "evaluation" / _RESULTS, results)
    arrays = {
        "reference": targets_of(windows),
        "subject": windows.subject,
        "source": windows.source,
        "start_s": windows.start_s,
        "recording": windows.recording,
        "activity": windows.activity,
    }
    for name, estimates in found.items():
        arrays |= {f"{name}/{field}": value for field, value in estimates.arrays().items()}
    replace_file(run.path / "evaluation" / _PREDICTIONS, lambda path: np.savez(path, allow_pickle=False, **arrays))
    key, figure = ("mae_bpm", "MAE") if run.config.task.kind == "heart_rate" else ("macro_f1", "macro-F1")
    return {
        f"{name}, {source}, {figure}": round(value[key]["value"], 3)
        for name, by_source in results.items()
        for source, value in by_source.items()
        if value[key]["value"] is not None
    }


def estimates_of(run: RunDirectory, windows: WindowSet) -> dict[str, Estimates]:
    """What every estimator of a run says of the windows."""
    task = task_of(run.config)
    arch = chosen_arch(run)
    teacher = trained_teacher(run)
    found = {
        "teacher": network_estimates(teacher.network, windows, teacher, task),
        "float subnet": network_estimates(compared_float(run, arch), windows, arch, task),
        "int8 subnet": integer_estimates(finished_model(run, arch), windows),
    }
    if (tracker := finished_tracker(run, arch)) is not None:
        found[TRACKED] = tracked_estimates(finished_model(run, arch), tracker, windows)
    if run.config.task.kind == "heart_rate":
        estimate = spectral_argmax(windows, teacher.rate_hz)
        nothing = np.full(len(windows), np.nan)
        found["spectral argmax"] = Estimates(estimate, nothing, np.ones(len(windows), bool))
        found["spectral tracker"] = Estimates(*spectral_tracker(windows, teacher.rate_hz), np.ones(len(windows), bool))
    return found


def metrics(
    run: RunDirectory, estimates: Estimates, windows: WindowSet, chosen: np.ndarray
) -> HeartRateMetrics | RhythmMetrics:
    """The task's metrics over the chosen windows, with intervals over subjects."""
    labels, subjects = targets_of(windows)[chosen], windows.subject[chosen]
    if run.config.task.kind == "rhythm":
        assert estimates.probabilities is not None
        return rhythm_metrics(estimates.probabilities[chosen], labels, subjects, run.config.task.classes)
    has_spread = np.isfinite(estimates.spread).all()
    return heart_rate_metrics(
        estimates.estimate[chosen],
        labels,
        subjects,
        spread_bpm=estimates.spread[chosen] if has_spread else None,
        valid=estimates.valid[chosen],
        activity=windows.activity[chosen],
    )
