"""Classical heart-rate estimators without any training: the floor every network must beat.

The plain argmax of the spectrum, and a causal tracker that discounts what the accelerometer explains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from nas.data.windows import WindowSet

FIRST_BPM = 40.0
LAST_BPM = 220.0
_STEP_BPM = 1.0
_FLOOR = 0.1
_BROAD_BINS = 41


def power_spectra(signals: NDArray[np.floating], rate_hz: int) -> tuple[NDArray, NDArray]:
    """Hann-windowed power at 40 to 220 BPM in steps of 1: grid (bins,) and power (..., bins).

    signals: (..., samples), their means already removed.
    """
    grid = np.arange(FIRST_BPM, LAST_BPM + _STEP_BPM / 2, _STEP_BPM)
    time_s = np.arange(signals.shape[-1]) / rate_hz
    turns = np.exp(-2j * np.pi * time_s[:, None] * grid / 60.0)
    spectrum = (np.asarray(signals, dtype=np.float64) * np.hanning(time_s.size)) @ turns
    return grid, np.square(np.abs(spectrum))


def spectral_argmax(windows: WindowSet, rate_hz: int = 32) -> NDArray[np.float64]:
    """The frequency of most PPG power in each window, in BPM: (n,). Knows neither motion nor history."""
    grid, power = power_spectra(windows.normalized(rate_hz)[:, 0], rate_hz)
    return grid[power.argmax(axis=1)]


def spectral_tracker(
    windows: WindowSet,
    rate_hz: int = 32,
    *,
    use_accelerometer: bool = True,
    step_bpm: float = 4.0,
    sharpness: float = 2.0,
    motion_discount: float = 10.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A causal forward filter over a motion-cleaned spectrum: heart rate and its spread in BPM, (n,) each.

    The spectrum is Wiener-filtered by the accelerometer's, after Temko (IEEE TBME 64(9), 2017). The belief
    follows a random walk of step_bpm per window and is multiplied by the cleaned amplitude to `sharpness`.
    The settings were chosen once on the IEEE SPC and BAMI-1 recordings, and serve every set.
    Windows are taken in the order of their start within each recording.
    """
    grid, pulse = power_spectra(windows.normalized(rate_hz)[:, 0], rate_hz)
    # Breathing and vessel tone put power below the pulse, falling with frequency.
    pulse *= np.sqrt(grid / LAST_BPM)
    pulse /= np.maximum(pulse.max(axis=1, keepdims=True), 1e-12)
    cleaned = pulse
    if use_accelerometer:
        axes = windows.motion(rate_hz)
        _, motion = power_spectra(axes, rate_hz)
        motion = (motion / np.maximum(motion.max(axis=2, keepdims=True), 1e-12)).max(axis=1)
        # Only what stands out of its surroundings is a rhythm that could be taken for the heart's.
        motion = np.maximum(motion - uniform_filter1d(motion, _BROAD_BINS, axis=1), 0.0)
        motion /= np.maximum(motion.max(axis=1, keepdims=True), 1e-12)
        # A wrist at rest explains nothing: the discount fades in with the size of the motion.
        moved = np.clip(np.sqrt(axes.var(axis=(1, 2)))[:, None] / 0.18, 0.0, 1.0)
        cleaned = pulse * pulse / (pulse + motion_discount * moved * motion + 1e-6)
        cleaned /= np.maximum(cleaned.max(axis=1, keepdims=True), 1e-12)
    likelihood = np.power(cleaned, sharpness / 2) + _FLOOR
    distance = grid[:, None] - grid[None, :]
    walk = np.exp(-0.5 * np.square(distance / step_bpm)) + 1e-5
    walk /= walk.sum(axis=0, keepdims=True)
    estimate, spread = np.empty(len(windows)), np.empty(len(windows))
    for recording in np.unique(windows.recording):
        members = np.flatnonzero(windows.recording == recording)
        members = members[np.argsort(windows.start_s[members], kind="stable")]
        belief = np.full(grid.size, 1.0 / grid.size)
        for window in members:
            belief = (walk @ belief) * likelihood[window]
            belief /= belief.sum()
            median = grid[np.searchsorted(np.cumsum(belief), 0.5)]
            estimate[window] = median
            spread[window] = belief @ np.abs(grid - median)
    return estimate, spread
