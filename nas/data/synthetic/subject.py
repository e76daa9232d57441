"""A simulated person: heart, pulse shape, and how this wrist's motion reaches this sensor.

Drawn once per person; everything else of a recording follows from it and from chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUPLING_TAPS = 32
"""Half a second of motion history, at the simulator's 64 Hz, shapes the artifact."""


@dataclass(frozen=True, eq=False)
class Morphology:
    """A pulse as one log-normal and two Gaussian waves in seconds, for a beat interval of one second.

    After Solosenko et al., Computers in Biology and Medicine 81, 2017. Weights relate to the first wave.
    """

    rise_s: float
    rise_spread: float
    reflected_weight: float
    reflected_s: float
    reflected_width_s: float
    dicrotic_weight: float
    dicrotic_s: float
    dicrotic_width_s: float


@dataclass(frozen=True, eq=False)
class Subject:
    """Traits of one simulated person; `coupling` is the FIR (3, taps) from acceleration to PPG."""

    resting_bpm: float
    reserve_bpm: float
    rise_time_s: float
    recovery_time_s: float
    variability: float
    breathing_hz: float
    breathing_baseline: float
    breathing_amplitude: float
    morphology: Morphology
    coupling: NDArray[np.float64]
    coupling_gain: float
    coupling_square: float
    hidden_share: float
    cadence_offset: float
    swing_axis: NDArray[np.float64]
    step_axis: NDArray[np.float64]
    sensor_noise: float
    sensor_range: float
    counts_per_unit: float


_PULSE_TYPES = ((0.15, 0.0), (0.35, 0.10), (0.60, 0.25), (0.90, 0.10))
"""Weights of the reflected and the dicrotic wave, from a flat to a late-peaking pulse."""


def draw_morphology(rng: np.random.Generator) -> Morphology:
    """One of four pulse types, varied."""
    reflected, dicrotic = _PULSE_TYPES[int(rng.integers(len(_PULSE_TYPES)))]
    return Morphology(
        rise_s=rng.uniform(0.13, 0.22),
        rise_spread=rng.uniform(0.35, 0.55),
        reflected_weight=reflected * rng.uniform(0.7, 1.3),
        reflected_s=rng.uniform(0.32, 0.44),
        reflected_width_s=rng.uniform(0.06, 0.11),
        dicrotic_weight=dicrotic * rng.uniform(0.5, 1.5),
        dicrotic_s=rng.uniform(0.50, 0.66),
        dicrotic_width_s=rng.uniform(0.05, 0.09),
    )


def draw_coupling(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random smooth, decaying FIR per axis, unit energy in all: (3, COUPLING_TAPS)."""
    taps = np.arange(COUPLING_TAPS)
    kernel = np.hanning(9)
    rough = rng.standard_normal((3, COUPLING_TAPS + kernel.size - 1))
    smooth = np.stack([np.convolve(row, kernel, mode="valid") for row in rough])
    smooth *= np.exp(-taps / rng.uniform(5.0, 14.0)) * rng.uniform(0.2, 1.0, size=(3, 1))
    return smooth / np.sqrt(np.square(smooth).sum())


def draw_subject(rng: np.random.Generator) -> Subject:
    """A new person."""

    def direction() -> NDArray[np.float64]:
        vector = rng.standard_normal(3)
        return vector / np.linalg.norm(vector)

    resting_bpm = float(np.clip(rng.normal(69.0, 9.0), 48.0, 95.0))
    return Subject(
        resting_bpm=resting_bpm,
        reserve_bpm=float(np.clip(rng.normal(188.0, 10.0), 160.0, 210.0)) - resting_bpm,
        rise_time_s=rng.uniform(15.0, 35.0),
        recovery_time_s=rng.uniform(25.0, 60.0),
        variability=rng.uniform(0.5, 1.5),
        breathing_hz=rng.uniform(0.2, 0.33),
        breathing_baseline=rng.uniform(0.1, 0.6),
        breathing_amplitude=rng.uniform(0.05, 0.2),
        morphology=draw_morphology(rng),
        coupling=draw_coupling(rng),
        coupling_gain=float(np.exp(rng.normal(0.0, 0.35))),
        coupling_square=rng.uniform(0.0, 0.4),
        hidden_share=rng.uniform(0.03, 0.15),
        cadence_offset=float(rng.standard_normal()),
        swing_axis=direction(),
        step_axis=direction(),
        sensor_noise=rng.uniform(0.05, 0.25),
        sensor_range=rng.uniform(7.0, 14.0),
        counts_per_unit=rng.uniform(15.0, 120.0),
    )
