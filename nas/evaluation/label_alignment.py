"""Whether heart-rate labels stand where the signal shows those heart rates: a search over shifts in seconds.

After Recording; `ppg-nas data check` reads it. Labels may have any times, regular or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.data.recording import Recording
from nas.data.windows import make_windows
from nas.evaluation.baselines import power_spectra

REACH_S = 60
"""Shifts up to this many seconds are named; larger ones only as lying at the edge or past it."""
WEAK_PULSE = 0.16
"""Below this mean share of power at the labelled heart rate there is no pulse to fit labels to."""
SMALLEST_SHIFT_S = 4
_GUARD_S = 120
_STEP_S = 2
_RATE_HZ = 32
_NEAR_BPM = 4.0
_NEIGHBOURS_S = 10
_BLOCK_S = 20.0
_FEWEST_BLOCKS = 9
_FEWEST_LABELS = 16
_LEAST_GAIN, _LEAST_RATIO, _LEAST_T = 0.015, 1.07, 2.4
_LEAST_T_MET, _MET = 1.2, 0.6
_DISTINCT, _DISTINCT_RATIO = 0.12, 1.5


@dataclass(frozen=True)
class Alignment:
    """Where labels fit best. shift_s: seconds by which they would have to be moved, 0 where they stand well.

    agreement, agreement_as_is: mean share of a window's PPG power within 4 BPM of its label, after and before
    that shift. reach_s: shifts searched for, to both sides. at_edge: the best lies there, or past it, so that
    the right shift is not known.
    """

    shift_s: int
    reach_s: int
    agreement: float
    agreement_as_is: float
    at_edge: bool = False

    @property
    def is_weak(self) -> bool:
        """Whether the signal does not show the labelled heart rates wherever the labels are put."""
        return self.shift_s == 0 and self.agreement < WEAK_PULSE


def align(recording: Recording) -> Alignment | None:
    """Search for the shift at which labels fit the spectrum; None where there are too few labels to say.

    A shift is named only where it is no accident: it gains at least 0.015 and 7 % over the labels as they
    stand, that gain is large against its own scatter over blocks of 20 s (the less so where the labels then
    meet most of what any rhythm in the windows could reach), and what is reached is a visible pulse.
    """
    fit = _fit(recording)
    if fit is None:
        return None
    as_is = float(np.nanmean(fit.shares[len(fit.shifts) // 2]))
    gains, certainty = _gains(fit.shares, fit.times)
    if not np.isfinite(gains).any():
        return None
    best = _refined(fit, int(np.nanargmax(gains)))
    shift, reach = int(fit.shifts[best]), min(REACH_S, int(fit.shifts[-1]))
    reached = as_is + float(gains[best])
    usual = float(np.nanmedian(as_is + gains))
    is_visible = reached >= WEAK_PULSE or reached >= max(_DISTINCT, _DISTINCT_RATIO * usual)
    least_t = _LEAST_T_MET if reached >= _MET * fit.attainable else _LEAST_T
    is_gain = gains[best] >= _LEAST_GAIN and reached >= _LEAST_RATIO * as_is and certainty[best] >= least_t
    if abs(shift) < SMALLEST_SHIFT_S or not (is_visible and is_gain):
        return Alignment(0, reach, reached, as_is)
    return Alignment(shift, reach, reached, as_is, abs(shift) > reach - SMALLEST_SHIFT_S)


@dataclass(frozen=True, eq=False)
class _Fit:
    """shares: of power at each label under each shift, (shifts, labels), NaN outside of the signal. times: of
    the labels, s. shifts: in seconds, 0 in the middle. attainable: mean share at each window's best rate.
    """

    shares: NDArray[np.float64]
    times: NDArray[np.float64]
    shifts: NDArray[np.int64]
    attainable: float


def _fit(recording: Recording) -> _Fit | None:
    if recording.heart_rate_bpm is None or recording.label_times_s is None or recording.segment_s is not None:
        return None
    window_s, times = recording.label_window_s, np.asarray(recording.label_times_s, np.float64)
    reach = int(min(_GUARD_S, (recording.duration_s - window_s) / 4)) // _STEP_S * _STEP_S
    if times.size < _FEWEST_LABELS or reach < SMALLEST_SHIFT_S:
        return None
    bare = Recording(recording.name, recording.source, recording.subject, recording.ppg, recording.ppg_hz)
    windows = make_windows([bare], rates=(_RATE_HZ,), window_s=window_s, step_s=1.0, margin_s=0.0)
    grid, power = power_spectra(windows.normalized(_RATE_HZ)[:, 0], _RATE_HZ)
    share = power / np.maximum(power.sum(axis=1, keepdims=True), 1e-12)
    below = np.concatenate([np.zeros((len(windows), 1)), np.cumsum(share, axis=1)], axis=1)
    bpm = np.asarray(recording.heart_rate_bpm, np.float64)
    low = np.searchsorted(grid, bpm - _NEAR_BPM)
    high = np.searchsorted(grid, bpm + _NEAR_BPM, side="right")
    width = int(2 * _NEAR_BPM / (grid[1] - grid[0])) + 1
    shifts = np.arange(-reach, reach + 1, _STEP_S)
    rows = np.rint(times - window_s / 2 + shifts[:, None]).astype(np.int64)
    inside = (rows >= 0) & (rows < len(windows))
    rows = np.clip(rows, 0, len(windows) - 1)
    shares = np.where(inside, below[rows, high] - below[rows, low], np.nan)
    return _Fit(shares, times, shifts, float((below[:, width:] - below[:, :-width]).max(axis=1).mean()))


def _refined(fit: _Fit, best: int) -> int:
    """The best of the shifts within 10 s of `best`, compared over the labels that all of them keep inside."""
    near = np.flatnonzero(np.abs(fit.shifts - fit.shifts[best]) <= _NEIGHBOURS_S)
    shared = np.isfinite(fit.shares[near]).all(axis=0)
    if shared.sum() < _FEWEST_LABELS:
        return best
    return int(near[fit.shares[near][:, shared].mean(axis=1).argmax()])


def _gains(shares: NDArray[np.float64], times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean gain of each shift over none, and Student's t of it over blocks of time, (shifts,) each.

    Compared are the labels that lie inside the signal both ways; NaN where those are too few.
    """
    gain = shares - shares[len(shares) // 2]
    block = np.floor((times - times.min()) / _BLOCK_S).astype(np.int64)
    members = np.zeros((times.size, int(block.max()) + 1))
    members[np.arange(times.size), block] = 1.0
    counts = np.isfinite(gain) @ members
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, np.nan_to_num(gain) @ members / counts, np.nan)
        blocks = (counts > 0).sum(axis=1)
        enough = (blocks >= _FEWEST_BLOCKS) & (counts.sum(axis=1) >= _FEWEST_LABELS)
        mean = np.where(enough, np.nansum(means, axis=1) / blocks, np.nan)
        deviation = np.sqrt(np.nansum((means - mean[:, None]) ** 2, axis=1) / (blocks - 1))
        return mean, mean / np.maximum(deviation / np.sqrt(blocks), 1e-9)
