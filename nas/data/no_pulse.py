"""Stretches of a recording without any pulse: sensor noise alone, as of a watch that lies off the wrist.

After Recording; `ppg-nas data check` and prediction read it. The firmware has no such verdict.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import detrend, spectrogram

from nas.data.preprocess import resample
from nas.data.recording import Recording

STRETCH_S = 32.0
"""Judged at once: thirteen windows of 8 s, one every 2 s."""
_WINDOW_S, _STEP_S = 8, 2
_WINDOWS = 13
_BLOCK = 2048
_RATE_HZ = 32
_FITTED_HZ = (0.6, 8.0)
_PULSE_HZ = (0.65, 3.75)
_USED_BAND = 0.4
_FLOOR = 0.1
_LEAST_CLARITY = 1.5
"""Noise of any colour from white to a random walk stays below in 98 to 99 % of windows; of windows that a
network reads to within 10 BPM on IEEE SPC, BAMI-1, PPG-DaLiA and Wrist PPG During Exercise 0.4 % do."""


def stretches_without_pulse(recording: Recording) -> list[tuple[float, float]]:
    """Start and end in seconds of every stretch, 32 s or longer, in which no rhythm stands out of the noise.

    Where one begins or ends is known to within some 30 s. None is named in recordings shorter than that, nor
    in independent segments.
    """
    clear = clarity(recording)
    stretches: list[tuple[float, float]] = []
    for index in np.flatnonzero(clear < _LEAST_CLARITY).tolist():
        start = float(index * _STEP_S)
        if stretches and start <= stretches[-1][1]:
            start = stretches.pop()[0]
        stretches.append((start, index * _STEP_S + STRETCH_S))
    return stretches


def total_length_s(stretches: list[tuple[float, float]]) -> float:
    """Seconds of all stretches together."""
    return sum(end - start for start, end in stretches)


def clarity(recording: Recording) -> NDArray[np.float64]:
    """How far spectra rise above noise at any heart rate: a value every 2 s, for the 32 s that follow (n,).

    Noise has a power that falls smoothly with frequency, a line in double logarithms (1/f^a); a pulse, or a
    rhythm of motion, stands out of it. The windows' spectra, each of power 1 so that a loud moment counts no
    more than a quiet one, are averaged over a stretch and over channels (Welch), and their logarithm
    less that line gives, in nepers of power, its highest point from 39 to 225 BPM over its lowest tenth.
    """
    if recording.segment_s is not None or recording.duration_s < STRETCH_S:
        return np.zeros(0)
    light = np.asarray(recording.ppg, np.float64)
    light = resample(light - np.median(light, axis=1, keepdims=True), recording.ppg_hz, _RATE_HZ)
    length, step = _WINDOW_S * _RATE_HZ, _STEP_S * _RATE_HZ
    count = (light.shape[1] - length) // step + 1 - (_WINDOWS - 1)
    top = min(_FITTED_HZ[1], _USED_BAND * recording.ppg_hz)
    blocks = [np.zeros(0)]
    for first in range(0, count, _BLOCK):
        end = (min(first + _BLOCK, count) + _WINDOWS - 2) * step + length
        blocks.append(_clarity_of(light[:, first * step : end], top))
    return np.concatenate(blocks)


def _clarity_of(light: NDArray[np.float64], top_hz: float) -> NDArray[np.float64]:
    """The same of samples (channels, T) at _RATE_HZ, of frequencies up to `top_hz`."""
    length, step = _WINDOW_S * _RATE_HZ, _STEP_S * _RATE_HZ
    frequency, _, power = spectrogram(light, _RATE_HZ, "hann", length, length - step, 4 * length, detrend=detrend)
    fitted = (frequency >= _FITTED_HZ[0]) & (frequency <= top_hz)
    frequency, power = frequency[fitted], power[:, fitted]
    power = (power / np.maximum(power.sum(axis=1, keepdims=True), np.finfo(float).tiny)).mean(axis=0)
    sums = sliding_window_view(power, _WINDOWS, axis=1).sum(axis=2)
    level = np.log(np.maximum(sums, 1e-12))
    line = np.stack([np.ones_like(frequency), np.log(frequency)], axis=1)
    rest = level - line @ np.linalg.lstsq(line, level, rcond=None)[0]
    is_pulse = (frequency >= _PULSE_HZ[0]) & (frequency <= _PULSE_HZ[1])
    clear: NDArray[np.float64] = rest[is_pulse].max(axis=0) - np.quantile(rest, _FLOOR, axis=0)
    return clear
