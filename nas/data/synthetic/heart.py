"""When the simulated heart beats: rate courses under effort, sinus variability, fibrillation, ectopics.

Heart-rate trends follow effort with time constants of tens of seconds; variability lies in the bands
0.04 to 0.15 Hz and at the breathing frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic.noise import band_noise, drift
from nas.data.synthetic.subject import Subject

COURSE_HZ = 4
_AF_MEAN_BPM, _AF_DEVIATION_BPM = 94.7, 19.4


class Breather(Protocol):
    """Whose beats vary: how much, and with which breath."""

    @property
    def variability(self) -> float: ...
    @property
    def breathing_hz(self) -> float: ...


@dataclass(frozen=True, eq=False)
class Beats:
    """Onset times in seconds, and the pulse amplitude of each beat (1 for a normal one)."""

    times_s: NDArray[np.float64]
    amplitudes: NDArray[np.float64]


def rate_course(effort: NDArray[np.float64], subject: Subject, rng: np.random.Generator) -> NDArray[np.float64]:
    """Heart rate in BPM at COURSE_HZ under an effort (share of the reserve) at COURSE_HZ."""
    target = subject.resting_bpm + effort * subject.reserve_bpm
    target = target * (1.0 + 0.04 * drift(target.size, COURSE_HZ, 30.0, rng))
    rate = np.empty_like(target)
    level = float(target[0])
    up, down = (1.0 / (COURSE_HZ * s) for s in (subject.rise_time_s, subject.recovery_time_s))
    for moment, aim in enumerate(target):
        level += (aim - level) * (up if aim > level else down)
        rate[moment] = level
    return np.clip(rate, 40.0, 205.0)


def sinus_beats(course_bpm: NDArray[np.float64], subject: Breather, rng: np.random.Generator) -> Beats:
    """Beats of a sinus rhythm along a rate course; variability shrinks as the rate rises."""
    samples = course_bpm.size
    calm = np.clip((130.0 - course_bpm) / 70.0, 0.1, 1.0) * subject.variability
    breathing = np.sin(breathing_phase(samples, COURSE_HZ, subject, rng))
    slow = band_noise((samples,), COURSE_HZ, (0.04, 0.15), rng)
    rate = course_bpm * (1.0 + calm * (0.03 * breathing + 0.025 * slow))
    phase = np.cumsum(rate) / (60.0 * COURSE_HZ)
    whole = np.arange(1, int(phase[-1]) + 1)
    times_s = np.interp(whole, phase, np.arange(samples) / COURSE_HZ)
    return Beats(times_s, 1.0 + 0.05 * rng.standard_normal(times_s.size))


def breathing_phase(samples: int, hz: float, subject: Breather, rng: np.random.Generator) -> NDArray[np.float64]:
    """Phase of a breath that wanders about the person's own frequency: (samples,) radians."""
    frequency = subject.breathing_hz * (1.0 + 0.1 * drift(samples, hz, 20.0, rng))
    return 2.0 * np.pi * np.cumsum(frequency) / hz


def fibrillation_beats(duration_s: float, rng: np.random.Generator) -> Beats:
    """Irregularly irregular beats; a beat after a short interval fills and pulses less."""
    mean_s = 60.0 / float(np.clip(rng.normal(_AF_MEAN_BPM, _AF_DEVIATION_BPM), 60.0, 150.0))
    count = int(duration_s / mean_s * 2) + 8
    intervals = np.maximum(mean_s * rng.gamma(20.0, 1.0 / 20.0, size=count), 0.28)
    intervals *= mean_s / intervals.mean()
    times_s = np.cumsum(intervals)
    amplitudes = np.clip((intervals / mean_s) ** 1.2, 0.25, 1.6)
    inside = times_s < duration_s
    return Beats(times_s[inside], amplitudes[inside])


def ectopic_beats(sinus: Beats, rng: np.random.Generator) -> Beats:
    """Sinus beats with an early, weak beat in any ten seconds; ventricular ones pause in full."""
    times_s, amplitudes = sinus.times_s.copy(), sinus.amplitudes.copy()
    share = rng.uniform(0.12, 0.35)
    ventricular = rng.random() < 0.5
    position = int(rng.integers(2, 5))
    while position < times_s.size - 1:
        interval_s = times_s[position] - times_s[position - 1]
        early_s = interval_s * rng.uniform(0.25, 0.45)
        times_s[position] -= early_s
        amplitudes[position] *= rng.uniform(0.2, 0.5)
        amplitudes[position + 1] *= rng.uniform(1.05, 1.25)
        if not ventricular:
            # An atrial extrasystole resets the sinus node: everything after it comes earlier.
            times_s[position + 1 :] -= 0.8 * early_s
        position += min(8, 2 + int(rng.geometric(share)))
    return Beats(times_s, amplitudes)


def mean_rate_bpm(times_s: NDArray[np.float64], starts_s: NDArray, window_s: float) -> NDArray[np.float64]:
    """Mean heart rate over windows, from the beats inside each, as an ECG reference has it: (windows,)."""
    first = np.searchsorted(times_s, starts_s)
    last = np.searchsorted(times_s, starts_s + window_s) - 1
    return 60.0 * (last - first) / np.maximum(times_s[last] - times_s[first], 1e-6)
