"""Noise as light sensors give it without a wrist: white, coarse, coloured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

NOISES = ("white", "three counts", "one count", "1/f", "random walk", "first order")


def noise(kind: str, seconds: float, rate_hz: float, seed: int) -> NDArray[np.float64]:
    """One trace (n,) of that kind about 20000 counts."""
    rng, count = np.random.default_rng(seed), round(seconds * rate_hz)
    white = rng.standard_normal(count)
    if kind == "white":
        trace = 20 * white
    elif kind == "three counts":
        trace = rng.integers(-3, 4, count).astype(float)
    elif kind == "one count":
        trace = rng.integers(0, 2, count).astype(float)
    elif kind == "1/f":
        frequency = np.fft.rfftfreq(count)
        spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(frequency, frequency[1]))
        trace = 20 * np.fft.irfft(spectrum, count)
    elif kind == "random walk":
        trace = np.cumsum(white)
    else:
        trace = 20 * lfilter([1.0], [1.0, -0.9], white)
    return 20000 + trace
