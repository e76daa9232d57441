"""What networks said of people they were not trained on, window by window: one file a training, and figures of many."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.fold_results import from_steps, packed, to_steps, unpacked
from benchmarks.support.trials import TrialError
from nas.data.windows import WindowSet
from nas.evaluation.estimates import TRACKED, Estimates
from nas.evaluation.metrics import BAND_EDGES_BPM, Interval, paired_difference, pooled_mean
from nas.run.run_files import write_text

FORMAT = 1
INT8 = "int8 subnet"
JUDGED = (INT8, TRACKED)
BASELINES = ("spectral argmax", "spectral tracker")
FAR_BPM, FARTHER_BPM = 10.0, 20.0
STILL_G = 0.05
"""Below this deviation of acceleration, over the axes together, a wrist counts as still."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """Arrays are per window (n,); estimates, spreads (BPM) and verdicts by estimator, the latter two of networks alone.

    facts: split, trained_on, seed, settings, arch and what made it. noise: kind -> estimator -> share called valid.
    """

    facts: Mapping[str, Any]
    subject: NDArray[np.str_]
    part: NDArray[np.str_]
    activity: NDArray[np.str_]
    reference_bpm: NDArray[np.float64]
    motion_g: NDArray[np.float64]
    estimate_bpm: Mapping[str, NDArray[np.float64]]
    spread_bpm: Mapping[str, NDArray[np.float64]]
    valid: Mapping[str, NDArray[np.bool_]]
    noise: Mapping[str, Mapping[str, float]]

    def subset(self, chosen: NDArray[np.bool_]) -> Judgement:
        """Some of the windows."""
        return _mapped([self], lambda held: held[0][chosen])


OTHER_SETS = "the other sets"
"""What is trained on where a set is left out: such rows come first."""
_ARRAYS = ("subject", "part", "activity", "reference_bpm", "motion_g")
_BY_ESTIMATOR = ("estimate_bpm", "spread_bpm", "valid")


def judgement(
    facts: Mapping[str, Any],
    windows: WindowSet,
    part: NDArray[np.str_],
    estimates: Mapping[str, Estimates],
    noise: Mapping[str, Mapping[str, float]],
) -> Judgement:
    """What estimators said of tested windows."""
    return Judgement(
        facts=facts,
        subject=windows.subject,
        part=part,
        activity=windows.activity,
        reference_bpm=windows.heart_rate_bpm.astype(np.float64),
        motion_g=np.sqrt(windows.motion(windows.rates[-1]).var(axis=(1, 2), dtype=np.float64)),
        estimate_bpm={name: held.estimate for name, held in estimates.items()},
        spread_bpm={name: estimates[name].spread for name in JUDGED},
        valid={name: estimates[name].valid for name in JUDGED},
        noise=noise,
    )


def save_judgement(told: Judgement, path: Path) -> None:
    """Write it: figures to 1/16 BPM, acceleration to a thousandth of g."""
    owners = ["\t".join(row) for row in zip(told.subject, told.part, told.activity, strict=True)]
    names, owner = np.unique(np.array(owners), return_inverse=True)
    content = {
        "format": FORMAT,
        **told.facts,
        "owners": [name.split("\t") for name in names.tolist()],
        "owner": packed(owner),
        "reference": packed(to_steps(told.reference_bpm)),
        "motion_mg": packed(np.rint(1000 * told.motion_g).astype(np.int64)),
        "estimate": {name: packed(to_steps(held)) for name, held in told.estimate_bpm.items()},
        "spread": {name: packed(to_steps(held)) for name, held in told.spread_bpm.items()},
        "valid": {name: packed(held.astype(np.int64)) for name, held in told.valid.items()},
        "noise": told.noise,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")


def load_judgement(path: Path) -> Judgement:
    """Read one file. Raises TrialError naming it when it is damaged or foreign."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        owners = np.array(content.pop("owners"), np.str_).reshape(-1, 3)[unpacked(content.pop("owner"))]
        return Judgement(
            subject=owners[:, 0],
            part=owners[:, 1],
            activity=owners[:, 2],
            reference_bpm=from_steps(content.pop("reference")),
            motion_g=unpacked(content.pop("motion_mg")) / 1000.0,
            estimate_bpm={name: from_steps(held) for name, held in content.pop("estimate").items()},
            spread_bpm={name: from_steps(held) for name, held in content.pop("spread").items()},
            valid={name: unpacked(held) > 0 for name, held in content.pop("valid").items()},
            noise=content.pop("noise"),
            facts={key: content[key] for key in sorted(content) if key != "format"},
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error) as error:
        raise TrialError(f"{path}: not a file of this benchmark ({type(error).__name__}); delete it") from None


def load_judgements(folder: Path) -> list[Judgement]:
    """All files of a folder. Raises TrialError when there is none or they were made with different settings."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise TrialError(f"{folder}: no training yet; give --train all")
    found = [load_judgement(file) for file in files]
    for file, told in zip(files, found, strict=True):
        if told.facts["settings"] != found[0].facts["settings"]:
            raise TrialError(f"{file}: made with other settings than {files[0].name}; delete one of them")
    return found


def rows_of(told: Sequence[Judgement]) -> list[tuple[str, str, Judgement]]:
    """(tested part, what was trained on, its windows), sets that were left out first; trainings and seeds together."""
    by_row: dict[tuple[str, str], list[Judgement]] = {}
    for one in told:
        for part in sorted(set(one.part.tolist())):
            by_row.setdefault((str(one.facts["trained_on"]), part), []).append(one.subset(one.part == part))
    order = sorted(by_row, key=lambda row: (row[0].startswith("simulated"), row[0] != OTHER_SETS, *row))
    return [(part, trained_on, _joined(by_row[trained_on, part])) for trained_on, part in order]


def groups_of(told: Judgement) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """(kind, name, mask) of all windows, and of those of each heart-rate band, activity and motion that is there."""
    every = np.ones(told.subject.size, bool)
    yield "all", "all", every
    for low, high in pairwise(BAND_EDGES_BPM):
        yield "band", f"{low:.0f} to {high:.0f} BPM", (told.reference_bpm >= low) & (told.reference_bpm < high)
    for name in sorted({name for name in told.activity.tolist() if name}):
        yield "activity", name, told.activity == name
    yield "motion", "still", told.motion_g < STILL_G
    yield "motion", "moving", told.motion_g >= STILL_G


def figures(told: Judgement, estimator: str) -> dict[str, Any]:
    """Figures of an estimator's windows, each with its interval over people; shares are of all windows together.

    mae_bpm is the mean over people; valid and valid_beyond_10 (of valid windows) are None of spectral baselines.
    """
    off = told.estimate_bpm[estimator] - told.reference_bpm
    far = np.abs(off) > FAR_BPM
    found = {
        "mae_bpm": paired_difference(np.abs(off), np.zeros(off.size), told.subject),
        "bias_bpm": pooled_mean(off, told.subject),
        "beyond_10": pooled_mean(far, told.subject),
        "beyond_20": pooled_mean(np.abs(off) > FARTHER_BPM, told.subject),
    }
    if (valid := told.valid.get(estimator)) is not None:
        found["valid"] = pooled_mean(valid, told.subject)
        found["valid_beyond_10"] = pooled_mean(far, told.subject, valid)
    return {
        "windows": int(off.size),
        "people": len(set(told.subject.tolist())),
        **{name: _plain(value) for name, value in found.items()},
    }


def risk_curve(told: Judgement, estimator: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of windows kept, surest first (n,), and the share of these that are off by more than 10 BPM (n,)."""
    far = np.abs(told.estimate_bpm[estimator] - told.reference_bpm) > FAR_BPM
    order = np.argsort(told.spread_bpm[estimator], kind="stable")
    kept = np.arange(1, far.size + 1)
    return kept / far.size, np.cumsum(far[order]) / kept


def _plain(interval: Interval) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in asdict(interval).items()}


def _joined(told: Sequence[Judgement]) -> Judgement:
    return _mapped(told, np.concatenate)


def _mapped(told: Sequence[Judgement], make: Callable[[list[NDArray[Any]]], NDArray[Any]]) -> Judgement:
    """The first of them with each array as it is made of all of theirs."""
    first = told[0]
    arrays: dict[str, Any] = {name: make([getattr(one, name) for one in told]) for name in _ARRAYS}
    for name in _BY_ESTIMATOR:
        arrays[name] = {key: make([getattr(one, name)[key] for one in told]) for key in getattr(first, name)}
    return replace(first, **arrays)
