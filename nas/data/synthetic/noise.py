"""Shared small random processes of the simulator: slow drifts, band-limited noise, gates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt


def drift(samples: int, hz: float, time_constant_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A stationary Ornstein-Uhlenbeck process of mean 0 and deviation 1: (samples,)."""
    keep = float(np.exp(-1.0 / (hz * time_constant_s)))
    shocks = rng.standard_normal(samples) * np.sqrt(1.0 - keep * keep)
    state = np.array([keep * rng.standard_normal()])
    return np.asarray(lfilter([1.0], [1.0, -keep], shocks, zi=state)[0])


def band_noise(
    shape: tuple[int, ...], hz: float, band_hz: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian noise of that band and deviation 1 along the last axis; its onset is cut off."""
    warm = round(4.0 * hz / band_hz[0])
    sections = butter(2, band_hz, btype="bandpass", fs=hz, output="sos")
    noise = sosfilt(sections, rng.standard_normal((*shape[:-1], shape[-1] + warm)), axis=-1)[..., warm:]
    return noise / np.maximum(noise.std(axis=-1, keepdims=True), 1e-9)


def gate(samples: int, hz: float, share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth envelope between 0 and 1 that is open for about `share` of the time: (samples,)."""
    if share >= 1.0:
        return np.ones(samples)
    level = drift(samples, hz, 1.5, rng)
    threshold = np.quantile(level, 1.0 - share)
    return np.clip(0.5 + 3.0 * (level - threshold), 0.0, 1.0)
