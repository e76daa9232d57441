"""Stage 8: test subjects, read here for the first time: teacher, float and int8 subnet, tracker, spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.assembly.choice import chosen_arch
from nas.assembly.loading import trained_teacher, windows_of
from nas.compress.finish import compared_float, finished_model, finished_tracker
from nas.data.windows import WindowSet
from nas.evaluation.estimates import TRACKED, Estimates, integer_estimates
from nas.evaluation.network_estimates import network_estimates
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
    by_estimator = estimates_of(run, windows)
    results: dict[str, dict[str, Any]] = {}
    for name, estimates in by_estimator.items():
        results[name] = {
            source: _figures(run, estimates, windows, windows.source == source)
            for source in sorted(set(windows.source.tolist()))
        }
    write_json(run.path / "evaluation" / _RESULTS, results)
    arrays = {
        "reference": run.config.task_kind.targets(windows),
        "subject": windows.subject,
        "source": windows.source,
        "start_s": windows.start_s,
        "recording": windows.recording,
        "activity": windows.activity,
    }
    for name, estimates in by_estimator.items():
        arrays |= {f"{name}/{field}": value for field, value in estimates.arrays().items()}
    replace_file(run.path / "evaluation" / _PREDICTIONS, lambda path: np.savez(path, allow_pickle=False, **arrays))
    key, figure = run.config.task_kind.figure
    return {
        f"{name}, {source}, {figure}": round(value[key]["value"], 3)
        for name, by_source in results.items()
        for source, value in by_source.items()
        if value[key]["value"] is not None
    }


def estimates_of(run: RunDirectory, windows: WindowSet) -> dict[str, Estimates]:
    """What every estimator of a run says of the windows."""
    task = run.config.task_kind.training(run.config.task)
    arch = chosen_arch(run)
    teacher = trained_teacher(run)
    by_estimator = {
        "teacher": network_estimates(teacher.network, windows, teacher, task),
        "float subnet": network_estimates(compared_float(run, arch), windows, arch, task),
        "int8 subnet": integer_estimates(finished_model(run, arch), windows),
    }
    if (tracker := finished_tracker(run, arch)) is not None:
        by_estimator[TRACKED] = tracked_estimates(finished_model(run, arch), tracker, windows)
    return by_estimator | run.config.task_kind.baselines(windows, teacher.rate_hz)


def _figures(run: RunDirectory, estimates: Estimates, windows: WindowSet, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """The task's figures over the chosen windows, as they are written."""
    some, where = estimates.subset(chosen), windows.subset(np.flatnonzero(chosen))
    return run.config.task_kind.figures(some, where, run.config.task).to_dict()
