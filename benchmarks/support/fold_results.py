"""One fold's outcome as a small file, and figures over folds from such files alone.

`python -m benchmarks accuracy` writes one per fold when that fold's run has ended, on any day and machine, and
assembles tables and plots from what lies in the folder. Estimates are kept window by window, so that every
figure can be computed again.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.evaluation.metrics import HeartRateMetrics, Interval, heart_rate_metrics, paired_difference
from nas.report.closing import closing_summary
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest, write_text

FORMAT = 1
_STEP_BPM = 1 / 16
_KEPT = (
    "chosen",
    "arch",
    "device",
    "predicted",
    "verified",
    "golden_vectors",
    "mismatches",
    "validation",
    "seed",
    "version",
    "hardware",
    "seconds_by_stage",
    "seconds",
)


class FoldResultError(InputError):
    """A fold's file that cannot be read, or files that do not belong together; names the file."""


@dataclass(frozen=True, eq=False)
class FoldResult:
    """The test side of one fold. Arrays are per window (n,); estimates and spreads in BPM by estimator.

    `facts` holds what the run was: chosen subnet, verified cost, seed, version, hardware, seconds.
    `settings` is a digest of what the folds of one experiment have in common.
    """

    name: str
    fold: int
    folds: int
    settings: str
    facts: Mapping[str, Any]
    subject: NDArray[np.str_]
    source: NDArray[np.str_]
    activity: NDArray[np.str_]
    reference_bpm: NDArray[np.float64]
    estimate_bpm: Mapping[str, NDArray[np.float64]]
    spread_bpm: Mapping[str, NDArray[np.float64] | None]


def fold_result(run: RunDirectory) -> FoldResult:
    """The outcome of a finished run. Raises FoldResultError for a task other than heart rate."""
    if run.config.task.kind != "heart_rate":
        raise FoldResultError(f"{run.path}: a rhythm run; the accuracy benchmark is for heart rates")
    arrays = run.arrays("evaluation", "predictions.npz")
    estimators = sorted(key.removesuffix("/estimate") for key in arrays if key.endswith("/estimate"))
    spreads = {name: arrays[f"{name}/spread"].astype(np.float64) for name in estimators}
    return FoldResult(
        name=run.config.name,
        fold=run.config.data.fold,
        folds=run.config.data.folds,
        settings=digest(run.config.shared_by_folds()),
        facts={key: value for key, value in closing_summary(run).items() if key in _KEPT},
        subject=arrays["subject"],
        source=arrays["source"],
        activity=arrays["activity"] if "activity" in arrays else np.full(len(arrays["subject"]), ""),
        reference_bpm=arrays["reference"].astype(np.float64),
        estimate_bpm={name: arrays[f"{name}/estimate"].astype(np.float64) for name in estimators},
        spread_bpm={name: held if np.isfinite(held).all() else None for name, held in spreads.items()},
    )


def save_fold_result(result: FoldResult, folder: Path) -> Path:
    """Write NAME-foldK.json into `folder`: figures to 1/16 BPM, about 30 KB; returns the path."""
    owners = np.array(["\t".join(row) for row in zip(result.subject, result.source, result.activity, strict=True)])
    names, owner = np.unique(owners, return_inverse=True)
    content = {
        "format": FORMAT,
        "name": result.name,
        "fold": result.fold,
        "folds": result.folds,
        "settings": result.settings,
        **result.facts,
        "owners": [name.split("\t") for name in names.tolist()],
        "owner": packed(owner),
        "reference": packed(to_steps(result.reference_bpm)),
        "estimators": {
            name: {
                "estimate": packed(to_steps(estimate)),
                "spread": None if (spread := result.spread_bpm[name]) is None else packed(to_steps(spread)),
            }
            for name, estimate in result.estimate_bpm.items()
        },
    }
    path = folder / f"{result.name}-fold{result.fold}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def load_fold_result(path: Path) -> FoldResult:
    """Read one file. Raises FoldResultError naming it when it is damaged or foreign."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        owners = np.array(content["owners"], np.str_).reshape(-1, 3)[unpacked(content["owner"])]
        estimators = content["estimators"].items()
        return FoldResult(
            name=str(content["name"]),
            fold=int(content["fold"]),
            folds=int(content["folds"]),
            settings=str(content["settings"]),
            facts={key: content[key] for key in _KEPT},
            subject=owners[:, 0],
            source=owners[:, 1],
            activity=owners[:, 2],
            reference_bpm=from_steps(content["reference"]),
            estimate_bpm={name: from_steps(held["estimate"]) for name, held in estimators},
            spread_bpm={
                name: None if held["spread"] is None else from_steps(held["spread"]) for name, held in estimators
            },
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error) as error:
        raise FoldResultError(
            f"{path}: not a fold's result ({type(error).__name__}); delete it and run that fold"
        ) from None


def assemble(results: Sequence[FoldResult]) -> FoldResult:
    """All folds' test windows as one.

    Raises FoldResultError when they do not belong together: other settings, seeds or estimators, or a
    subject in two folds.
    """
    first = results[0]
    seen: dict[str, int] = {}
    for result in results:
        own = (result.name, result.folds, result.settings, result.facts["seed"])
        if own != (first.name, first.folds, first.settings, first.facts["seed"]):
            raise FoldResultError(
                f"{result.name}-fold{result.fold}.json: made with other settings than fold {first.fold}; "
                "give that fold again"
            )
        if set(result.estimate_bpm) != set(first.estimate_bpm):
            raise FoldResultError(f"{result.name}-fold{result.fold}.json: other estimators than fold {first.fold}")
        for subject in np.unique(result.subject).tolist():
            if subject in seen:
                raise FoldResultError(f"subject {subject} is tested in folds {seen[subject]} and {result.fold}")
            seen[subject] = result.fold

    def joined(field: str) -> NDArray[Any]:
        return np.concatenate([getattr(result, field) for result in results])

    def spread(name: str) -> NDArray[np.float64] | None:
        held = [result.spread_bpm[name] for result in results]
        return None if any(one is None for one in held) else np.concatenate([one for one in held if one is not None])

    return FoldResult(
        first.name,
        first.fold,
        first.folds,
        first.settings,
        first.facts,
        joined("subject"),
        joined("source"),
        joined("activity"),
        joined("reference_bpm"),
        {name: np.concatenate([r.estimate_bpm[name] for r in results]) for name in first.estimate_bpm},
        {name: spread(name) for name in first.estimate_bpm},
    )


def metrics_of(result: FoldResult, estimator: str, source: str) -> HeartRateMetrics:
    """All metrics of one estimator on one source's windows, intervals over subjects."""
    here = result.source == source
    held = result.spread_bpm[estimator]
    return heart_rate_metrics(
        result.estimate_bpm[estimator][here],
        result.reference_bpm[here],
        result.subject[here],
        spread_bpm=None if held is None else held[here],
        activity=result.activity[here],
    )


def mae_difference(result: FoldResult, first: str, second: str, source: str) -> Interval:
    """MAE of one estimator minus another's on one source, BPM, each window paired with itself.

    Mean over subjects with its bootstrap interval.
    """
    here = result.source == source
    reference = result.reference_bpm[here]
    errors = [np.abs(result.estimate_bpm[name][here] - reference) for name in (first, second)]
    return paired_difference(errors[0], errors[1], result.subject[here])


def to_steps(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(values / _STEP_BPM).astype(np.int64)


def packed(values: NDArray[np.integer]) -> str:
    """Whole numbers as text: 16 bits each, compressed."""
    return base64.b64encode(zlib.compress(values.astype("<i2").tobytes(), 9)).decode("ascii")


def unpacked(text: str) -> NDArray[np.int64]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), "<i2").astype(np.int64)


def from_steps(text: str) -> NDArray[np.float64]:
    return unpacked(text).astype(np.float64) * _STEP_BPM
