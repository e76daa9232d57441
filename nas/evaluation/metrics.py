"""Figures of merit of estimates against references, each with a bootstrap interval over subjects.

Last stage of the data flow: reports, benches and the archive read them. Nothing here knows a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwmodels.basics.errors import InputError

BAND_EDGES_BPM = (30.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 220.0)
COVERAGES = tuple(round(0.05 * step, 2) for step in range(2, 21))
_CHUNK = 64
_LIMITS_OF_AGREEMENT = 1.96


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval over subjects; nan where it is undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Group:
    """Errors within one heart-rate band, activity or source."""

    windows: int
    subjects: int
    mae_bpm: Interval
    bias_bpm: Interval


@dataclass(frozen=True)
class BlandAltman:
    """Mean difference (estimate minus reference) and its 95 % limits of agreement, pooled over windows."""

    bias_bpm: float
    deviation_bpm: float
    lower_limit_bpm: float
    upper_limit_bpm: float


@dataclass(frozen=True)
class RiskCoverage:
    """MAE among the share of windows (coverage) that the network is surest of; area is its mean."""

    coverage: tuple[float, ...]
    mae_bpm: tuple[float, ...]
    area_bpm: float


@dataclass(frozen=True)
class HeartRateMetrics:
    """Errors of heart-rate estimates in BPM. `mae_bpm` is the mean over subjects of each one's MAE."""

    windows: int
    subjects: int
    mae_bpm: Interval
    mae_pooled_bpm: Interval
    median_bpm: Interval
    p90_bpm: Interval
    share_within_5: Interval
    share_within_10: Interval
    bland_altman: BlandAltman
    by_band: Mapping[str, Group]
    by_activity: Mapping[str, Group]
    mae_by_subject_bpm: Mapping[str, float]
    share_valid: Interval
    mae_valid_bpm: Interval
    risk_coverage: RiskCoverage | None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain containers for JSON; nan becomes None."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class RhythmMetrics:
    """Figures of a rhythm classifier. AUROC is one against the rest; macro averages skip absent classes."""

    windows: int
    subjects: int
    classes: tuple[str, ...]
    accuracy: Interval
    macro_f1: Interval
    f1: Mapping[str, Interval]
    macro_auroc: Interval
    micro_auroc: Interval
    auroc: Mapping[str, Interval]
    confusion: tuple[tuple[int, ...], ...]
    accuracy_by_subject: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain containers for JSON; nan becomes None."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


@dataclass(frozen=True)
class _Bootstrap:
    """Subjects as indices, and how often each resample drew each subject: weights (resamples + 1, subjects).

    Row 0 is the sample itself, so that one vectorised formula gives the figure and its resamples.
    """

    names: NDArray[np.str_]
    index: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def over(cls, subject: ArrayLike, seed: int, resamples: int) -> _Bootstrap:
        names, index = np.unique(np.asarray(subject).astype(np.str_), return_inverse=True)
        rng = np.random.default_rng(seed)
        draws = rng.integers(names.size, size=(resamples, names.size))
        weights = np.zeros((resamples + 1, names.size))
        weights[0] = 1.0
        np.add.at(weights, (np.arange(1, resamples + 1)[:, None], draws), 1.0)
        return cls(names, index.ravel(), weights)

    def sums(self, values: ArrayLike) -> NDArray[np.float64]:
        """Sum of per-window values within each subject: (subjects,)."""
        totals = np.zeros(self.names.size)
        np.add.at(totals, self.index, np.asarray(values, dtype=np.float64))
        return totals

    def ratio(self, numerator: ArrayLike, denominator: ArrayLike) -> Interval:
        """Interval of a pooled ratio of per-window values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return interval((self.weights @ self.sums(numerator)) / (self.weights @ self.sums(denominator)))

    def mean_over_subjects(self, values: ArrayLike, chosen: ArrayLike) -> Interval:
        """Interval of the mean over subjects of each one's mean over its chosen windows."""
        mask = np.asarray(chosen, dtype=np.float64)
        counts = self.sums(mask)
        has = counts > 0
        means = np.divide(self.sums(np.asarray(values) * mask), counts, out=np.zeros_like(counts), where=has)
        with np.errstate(invalid="ignore", divide="ignore"):
            return interval((self.weights @ means) / (self.weights @ has.astype(np.float64)))

    def quantile(self, values: NDArray[np.float64], share: float) -> Interval:
        """Interval of a pooled quantile of per-window values."""
        order = np.argsort(values, kind="stable")
        ordered, owner = values[order], self.index[order]
        found = np.empty(self.weights.shape[0])
        for first in range(0, found.size, _CHUNK):
            cumulative = np.cumsum(self.weights[first : first + _CHUNK, owner], axis=1)
            reached = cumulative >= share * cumulative[:, -1:]
            found[first : first + _CHUNK] = ordered[reached.argmax(axis=1)]
        found[0] = np.quantile(values, share)
        return interval(found)


def interval(resampled: NDArray[np.float64]) -> Interval:
    """Row 0 as the figure, the 2.5 % and 97.5 % points of the rest as its interval."""
    rest = resampled[1:][np.isfinite(resampled[1:])]
    if rest.size == 0:
        return Interval(float(resampled[0]), math.nan, math.nan)
    low, high = np.quantile(rest, [0.025, 0.975])
    return Interval(float(resampled[0]), float(low), float(high))


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise InputError(f"metrics: {what}")


def heart_rate_metrics(  # noqa: PLR0913 - columns of windows, by name
    estimate_bpm: ArrayLike,
    reference_bpm: ArrayLike,
    subject: ArrayLike,
    *,
    spread_bpm: ArrayLike | None = None,
    valid: ArrayLike | None = None,
    activity: ArrayLike | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> HeartRateMetrics:
    """All heart-rate figures of (n,) estimates against (n,) references of (n,) subjects.

    Every figure counts all windows, also those that the network called invalid, except share_valid and
    mae_valid_bpm. spread_bpm (n,) is the network's own expected error, for risk against coverage.
    Raises InputError for empty, unequal or non-finite input.
    """
    estimate = np.asarray(estimate_bpm, dtype=np.float64)
    reference = np.asarray(reference_bpm, dtype=np.float64)
    subjects = np.asarray(subject).astype(np.str_)
    _require(estimate.ndim == 1 and estimate.size > 0, "no windows to score; check the fold")
    _require(estimate.shape == reference.shape == subjects.shape, "estimates, references and subjects differ")
    _require(bool(np.isfinite(estimate).all()), "estimates hold NaN; the network has diverged")
    _require(bool(np.isfinite(reference).all()), "references hold NaN; leave unlabelled windows out")
    bootstrap = _Bootstrap.over(subjects, seed, resamples)
    difference = estimate - reference
    error = np.abs(difference)
    every = np.ones(error.size)
    accepted = every if valid is None else np.asarray(valid, dtype=bool).astype(np.float64)
    deviation = float(difference.std(ddof=1)) if difference.size > 1 else 0.0
    bias = float(difference.mean())
    bands = {
        f"{low:.0f} to {high:.0f}": (reference >= low) & (reference < high) for low, high in pairwise(BAND_EDGES_BPM)
    }
    activities = np.full(error.size, "") if activity is None else np.asarray(activity).astype(np.str_)
    named = {name: activities == name for name in np.unique(activities).tolist() if name}
    per_subject = bootstrap.sums(error) / bootstrap.sums(every)
    return HeartRateMetrics(
        windows=int(error.size),
        subjects=int(bootstrap.names.size),
        mae_bpm=bootstrap.mean_over_subjects(error, every),
        mae_pooled_bpm=bootstrap.ratio(error, every),
        median_bpm=bootstrap.quantile(error, 0.5),
        p90_bpm=bootstrap.quantile(error, 0.9),
        share_within_5=bootstrap.ratio(error <= 5.0, every),
        share_within_10=bootstrap.ratio(error <= 10.0, every),
        bland_altman=BlandAltman(
            bias, deviation, bias - _LIMITS_OF_AGREEMENT * deviation, bias + _LIMITS_OF_AGREEMENT * deviation
        ),
        by_band=_groups(bands, difference, bootstrap),
        by_activity=_groups(named, difference, bootstrap),
        mae_by_subject_bpm=dict(zip(bootstrap.names.tolist(), per_subject.tolist(), strict=True)),
        share_valid=bootstrap.ratio(accepted, every),
        mae_valid_bpm=bootstrap.mean_over_subjects(error, accepted),
        risk_coverage=None if spread_bpm is None else risk_coverage(error, np.asarray(spread_bpm)),
    )


def paired_difference(
    first: ArrayLike, second: ArrayLike, subject: ArrayLike, seed: int = 0, resamples: int = 1000
) -> Interval:
    """First minus second, values of the same windows (n,), as mean over subjects with its interval."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return _Bootstrap.over(subject, seed, resamples).mean_over_subjects(difference, np.ones(difference.size))


def pooled_mean(
    values: ArrayLike, subject: ArrayLike, among: ArrayLike | None = None, seed: int = 0, resamples: int = 1000
) -> Interval:
    """Mean of values (n,) of all windows, or of those that `among` (n,) chooses; its interval is over subjects."""
    found = np.asarray(values, np.float64)
    chosen = np.ones(found.size) if among is None else np.asarray(among, np.float64)
    return _Bootstrap.over(subject, seed, resamples).ratio(found * chosen, chosen)


def _groups(
    members: Mapping[str, NDArray[np.bool_]], difference: NDArray[np.float64], bootstrap: _Bootstrap
) -> dict[str, Group]:
    """Errors within each group that has windows."""
    return {
        name: Group(
            windows=int(chosen.sum()),
            subjects=int(np.unique(bootstrap.index[chosen]).size),
            mae_bpm=bootstrap.ratio(np.abs(difference) * chosen, chosen),
            bias_bpm=bootstrap.ratio(difference * chosen, chosen),
        )
        for name, chosen in members.items()
        if chosen.any()
    }


def risk_coverage(error_bpm: NDArray[np.floating], spread_bpm: NDArray[np.floating]) -> RiskCoverage:
    """MAE among the windows of least spread, for each coverage; ties are kept in their order."""
    _require(error_bpm.shape == spread_bpm.shape, "errors and spreads differ in number")
    ordered = error_bpm[np.argsort(spread_bpm, kind="stable")]
    running = np.cumsum(ordered) / np.arange(1, ordered.size + 1)
    counts = [max(1, round(share * ordered.size)) for share in COVERAGES]
    return RiskCoverage(COVERAGES, tuple(float(running[count - 1]) for count in counts), float(running.mean()))


def rhythm_metrics(
    probabilities: ArrayLike,
    label: ArrayLike,
    subject: ArrayLike,
    classes: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> RhythmMetrics:
    """All rhythm figures of (n, classes) scores against (n,) class indices of (n,) subjects.

    The scores may be any monotone measure of belief, comparable between classes. Resamples are of subjects.
    Raises InputError for empty, unequal or non-finite input or a label outside the classes.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(label).astype(np.int64)
    subjects = np.asarray(subject).astype(np.str_)
    count = len(classes)
    _require(truth.ndim == 1 and truth.size > 0, "no windows to score; check the fold")
    _require(scores.shape == (truth.size, count), f"scores have shape {scores.shape}, not (n, {count})")
    _require(subjects.shape == truth.shape, "labels and subjects differ in number")
    _require(bool(np.isfinite(scores).all()), "scores hold NaN; the network has diverged")
    _require(bool(((truth >= 0) & (truth < count)).all()), f"labels outside 0 to {count - 1}")
    bootstrap = _Bootstrap.over(subjects, seed, resamples)
    number = bootstrap.names.size
    chosen = scores.argmax(axis=1)
    cells = (bootstrap.index * count + truth) * count + chosen
    confusion = np.bincount(cells, minlength=number * count * count).reshape(number, count, count)
    drawn = np.tensordot(bootstrap.weights, confusion, axes=1)
    f1 = _f1(drawn)
    auroc = np.stack(
        [_auroc(scores[:, k], truth == k, bootstrap.index, bootstrap.weights) for k in range(count)], axis=1
    )
    micro = _auroc(
        scores.ravel(),
        (truth[:, None] == np.arange(count)).ravel(),
        np.repeat(bootstrap.index, count),
        bootstrap.weights,
    )
    correct = np.trace(confusion, axis1=1, axis2=2) / confusion.sum(axis=(1, 2))
    return RhythmMetrics(
        windows=int(truth.size),
        subjects=number,
        classes=tuple(classes),
        accuracy=bootstrap.ratio(chosen == truth, np.ones(truth.size)),
        macro_f1=interval(_mean_of_defined(f1)),
        f1={name: interval(f1[:, k]) for k, name in enumerate(classes)},
        macro_auroc=interval(_mean_of_defined(auroc)),
        micro_auroc=interval(micro),
        auroc={name: interval(auroc[:, k]) for k, name in enumerate(classes)},
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion.sum(axis=0)),
        accuracy_by_subject=dict(zip(bootstrap.names.tolist(), correct.tolist(), strict=True)),
    )


def _f1(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 per class of (..., truth, chosen) counts; nan for a class that the reference never holds."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    held, called = confusion.sum(axis=-1), confusion.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(held > 0, 2 * hits / (held + called), np.nan)


def _mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean along the last axis over what is not nan; nan where nothing is."""
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(defined, values, 0.0).sum(axis=-1) / defined.sum(axis=-1)


def _auroc(
    score: NDArray[np.float64],
    positive: NDArray[np.bool_],
    owner: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """AUROC of every resample at once: (resamples,).

    The Mann-Whitney statistic is a sum over pairs of subjects (one gives the positive, one the negative),
    so a resample only weighs a matrix (subjects, subjects) that is counted once; ties count half.
    """
    number = weights.shape[1]
    held, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    won = np.zeros((number, number))
    for other in range(number):
        against = np.sort(score[others[owner[others] == other]])
        below = np.searchsorted(against, score[held], side="left")
        up_to = np.searchsorted(against, score[held], side="right")
        won[:, other] = np.bincount(owner[held], 0.5 * (below + up_to), minlength=number)
    pairs = (weights @ np.bincount(owner[held], minlength=number)) * (
        weights @ np.bincount(owner[others], minlength=number)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.einsum("bs,st,bt->b", weights, won, weights, optimize=True) / pairs
