"""When an estimate is valid: the largest expected error at which, on people whom the network does not know, hardly a
valid window is far off, and hardly one of noise is valid.

Validation people wear the sensors and do the sports of those trained on; so they are asked together with simulated
strangers of the wide population, who do neither; these by what they do, as those who rest would make up for those whose
stride is taken for a pulse. The strictest decides. What is fitted is the one limit that the integer head, and so the
firmware, applies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from nas.data.recording import Recording
from nas.data.synthetic import simulate
from nas.data.windows import WindowSet, make_windows

FAR_BPM = 10.0
"""An estimate that is further off misleads its wearer."""
MOST_FAR = 0.02
"""Of valid windows, so many may be far off; of windows of noise, as many may be valid."""
_STRANGERS, _MINUTES, _SEED = 32, 4.0, 0x57A6
_COMMON = 0.1
"""Of strangers' windows: of fewer of one kind, two in a hundred say nothing."""
_NOISES, _NOISE_S, _NOISE_HZ = 12, 120, 64


@dataclass(frozen=True, eq=False)
class Judged:
    """Windows (n,): how far off their estimates are in BPM, and the errors that the network expects."""

    error_bpm: NDArray[np.float64]
    spread_bpm: NDArray[np.float64]


def fitted_limit(parts: Sequence[Judged], noise_spread_bpm: NDArray[np.float64]) -> float:
    """The largest expected error in BPM that keeps to MOST_FAR for each of `parts` and for windows of noise (n,).

    Where none does, that of the surest windows of a twentieth of all.
    """
    every = np.sort(np.concatenate([part.spread_bpm for part in parts]))
    limit = float(every[-1])
    for part in parts:
        limit = min(limit, _limit_of(part))
    if len(noise_spread_bpm):
        limit = min(limit, float(np.quantile(noise_spread_bpm, MOST_FAR)))
    return max(limit, float(every[len(every) // 20]))


def _limit_of(part: Judged) -> float:
    """Of one part: the largest of its spreads up to which hardly a window is far off."""
    order = np.argsort(part.spread_bpm, kind="stable")
    far = np.cumsum(part.error_bpm[order] > FAR_BPM) / np.arange(1, len(order) + 1)
    kept = np.flatnonzero(far <= MOST_FAR)
    return float(part.spread_bpm[order][kept[-1]]) if len(kept) else 0.0


Spread = Callable[[WindowSet], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Estimates and expected errors in BPM, (n,) each, of windows of whole recordings."""


def limit_of(read: Spread, validation: WindowSet, rate_hz: int) -> float:
    """The limit for what `read` says, from validation people, strangers and noise."""
    people, noise = strangers(rate_hz, round(validation.window_s))
    parts = []
    for windows, groups in ((validation, [np.ones(len(validation), bool)]), (people, _by_activity(people))):
        estimate, spread = read(windows)
        known = np.isfinite(windows.heart_rate_bpm) & windows.trusted
        errors = np.abs(estimate - windows.heart_rate_bpm)
        parts += [Judged(errors[known & group], spread[known & group]) for group in groups]
    return fitted_limit(parts, read(noise)[1])


def _by_activity(windows: WindowSet) -> list[NDArray[np.bool_]]:
    """Which windows (n,) are of each activity that a tenth of them or more are of, and which of all others."""
    names, counts = np.unique(windows.activity, return_counts=True)
    common = names[counts >= _COMMON * len(windows)]
    return [windows.activity == name for name in common] + [~np.isin(windows.activity, common)]


@lru_cache(maxsize=2)
def strangers(rate_hz: int, window_s: int) -> tuple[WindowSet, WindowSet]:
    """Windows of simulated people whom no training draws, and of sensors that nobody wears."""
    people = simulate(_STRANGERS, _SEED, minutes=_MINUTES, population="wide")
    noise = [noise_recording(number) for number in range(_NOISES)]
    cut = partial(make_windows, rates=(rate_hz,), window_s=window_s, step_s=2.0, margin_s=0.0)
    return cut(people), cut(noise)


def noise_recording(number: int) -> Recording:
    """Two minutes of sensor noise, from white to a random walk and of a single count, over a still accelerometer."""
    rng = np.random.default_rng([_SEED, number])
    white = rng.standard_normal(_NOISE_S * _NOISE_HZ)
    power = -(number % 4) / 3.0
    frequencies = np.maximum(np.fft.rfftfreq(white.size, 1 / _NOISE_HZ), 1 / _NOISE_S)
    ppg = np.fft.irfft(np.fft.rfft(white) * frequencies**power, white.size)
    ppg = np.rint(20000 + ppg / ppg.std() * (0.5 if number % 3 == 2 else 20.0))
    acc = np.array([[0.0], [0.0], [1.0]]) + 0.003 * rng.standard_normal((3, white.size))
    return Recording(
        name=f"noise-{number}",
        source="noise",
        subject=f"noise/{number}",
        ppg=ppg[None].astype(np.float32),
        ppg_hz=_NOISE_HZ,
        acc=acc.astype(np.float32),
        acc_hz=_NOISE_HZ,
    )
