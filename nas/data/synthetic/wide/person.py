"""A person of the wide population: the heart's range and pace, the pulse's shape, how motion reaches the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic.pulse import wave
from nas.data.synthetic.subject import Morphology
from nas.data.synthetic.wide.chance import SIMULATION_HZ, direction, log_uniform

COUPLINGS = ("linear", "tilt", "bent", "harmonics", "aperiodic")
"""Ways of motion into the PPG: acceleration filtered; slow shifts of blood and strap; squares, products and
saturation of acceleration; multiples of the cadence that acceleration need not hold; what follows no sensor."""
_TAPS = 48
STRONGEST_SECOND = 1.6
"""Amplitude of the second harmonic over the first at rest, at most: above, a beat is two for any reader."""


@dataclass(frozen=True, eq=False)
class Person:
    """Traits of one person.

    vagal_share of what the heart rate moves follows with the time constant vagal_s, the rest with rise_s or recovery_s.
    stretch_power: the pulse's waves lengthen with the beat interval to this power. coupling: FIR (2, 3, taps) from
    acceleration to the two traces that the PPG is moved by. coupling_shares: (len(COUPLINGS),) of the artifact's
    power. harmonics: (6,) complex weights of the multiples of the stride. squeeze: how far motion modulates the
    pulse's size. pressed_depth, pressed_share: how far, in exponents of e, and how often it fades for some seconds.
    swing_axis, step_axis: (3,) directions of the arm's swing and of the step. wander, wander_s: size of the baseline's
    drift in units of the pulse, and its time constant.
    """

    resting_bpm: float
    top_bpm: float
    vagal_share: float
    vagal_s: float
    rise_s: float
    recovery_s: float
    restlessness: float
    variability: float
    breathing_hz: float
    breathing_baseline: float
    breathing_amplitude: float
    has_ectopics: bool
    morphology: Morphology
    stretch_power: float
    coupling: NDArray[np.float64]
    coupling_shares: NDArray[np.float64]
    coupling_gain: float
    harmonics: NDArray[np.complex128]
    squeeze: float
    pressed_depth: float
    pressed_share: float
    swing_axis: NDArray[np.float64]
    step_axis: NDArray[np.float64]
    wander: float
    wander_s: float
    episodes_per_min: float


def draw_person(rng: np.random.Generator) -> Person:
    """A new person."""
    resting_bpm = log_uniform((35.0, 92.0), rng)  # 35: trained, asleep; 92: untrained, ill
    # 190 +- 13 at the ages of most; the rest randomized: old, medicated, maximal.
    top_bpm = rng.normal(190.0, 13.0) if rng.random() < 0.7 else rng.uniform(105.0, 225.0)
    stretch_power = rng.uniform(0.3, 1.0)
    morphology = draw_morphology(rng)
    while harmonic_ratio(morphology, stretch_power, resting_bpm) > STRONGEST_SECOND:
        morphology = draw_morphology(rng)
    return Person(
        resting_bpm=resting_bpm,
        top_bpm=max(resting_bpm + 25.0, top_bpm),
        vagal_share=rng.uniform(0.0, 0.5),  # randomized
        vagal_s=log_uniform((3.0, 10.0), rng),
        rise_s=log_uniform((12.0, 45.0), rng),
        recovery_s=log_uniform((20.0, 100.0), rng),
        restlessness=rng.uniform(0.01, 0.07),  # randomized: moves of the rate within seconds, as in arm exercise
        variability=rng.uniform(0.3, 3.0),  # up to 9 % of respiratory sinus arrhythmia, as of the young at rest
        breathing_hz=rng.uniform(0.1, 0.5),
        breathing_baseline=log_uniform((0.05, 1.5), rng),  # randomized
        breathing_amplitude=rng.uniform(0.0, 0.3),
        has_ectopics=bool(rng.random() < 0.06),  # randomized
        morphology=morphology,
        stretch_power=stretch_power,  # systole shortens less than the cycle; 0.5 in the plain population
        coupling=_draw_coupling(rng),
        coupling_shares=0.02 + 0.9 * rng.dirichlet(np.array([1.2, 0.6, 0.7, 0.9, 0.35])),  # randomized
        coupling_gain=float(np.exp(rng.normal(0.0, 0.4))),
        harmonics=_draw_harmonics(rng),
        squeeze=rng.uniform(0.0, 0.5),  # randomized: pressure of the strap
        pressed_depth=rng.uniform(0.0, 2.0),  # randomized: up to a seventh of the pulse is left
        pressed_share=rng.uniform(0.02, 0.3),
        swing_axis=direction(rng),
        step_axis=direction(rng),
        wander=log_uniform((0.1, 2.0), rng),  # randomized: baseline, in units of the pulse
        wander_s=log_uniform((0.3, 4.0), rng),
        episodes_per_min=log_uniform((0.05, 3.0), rng),
    )


def draw_morphology(rng: np.random.Generator) -> Morphology:
    """A pulse of any type: from a single wave to a dicrotic one as high as the first (randomized).

    At slow rates the late waves lie half a beat after the first and carry the second harmonic above the first one.
    """
    return Morphology(
        rise_s=rng.uniform(0.10, 0.24),
        rise_spread=rng.uniform(0.3, 0.65),
        reflected_weight=rng.uniform(0.0, 1.1),
        reflected_s=rng.uniform(0.28, 0.46),
        reflected_width_s=rng.uniform(0.05, 0.13),
        dicrotic_weight=rng.uniform(0.0, 1.1) ** 1.3,
        dicrotic_s=rng.uniform(0.46, 0.70),
        dicrotic_width_s=rng.uniform(0.05, 0.12),
    )


def harmonic_ratio(morphology: Morphology, stretch_power: float, bpm: float) -> float:
    """Amplitude of the second harmonic over that of the first of a steady pulse."""
    period_s = 60.0 / bpm
    after_s = np.arange(64) / 64 * period_s
    cycle = sum(wave((after_s + lap * period_s) / period_s**stretch_power, morphology) for lap in range(4))
    spectrum = np.abs(np.fft.rfft(cycle))
    return float(spectrum[2] / spectrum[1])


def _draw_coupling(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two smooth, decaying FIRs per axis, of unit energy: (2, 3, taps)."""
    width = int(rng.integers(3, 15))
    kernel = np.hanning(width + 2)
    rough = rng.standard_normal((2, 3, _TAPS + kernel.size - 1))
    smooth = np.apply_along_axis(np.convolve, -1, rough, kernel, "valid")
    decay_s = log_uniform((0.04, 0.5), rng)
    smooth *= np.exp(-np.arange(_TAPS) / (SIMULATION_HZ * decay_s)) * rng.uniform(0.1, 1.0, size=(2, 3, 1))
    return np.asarray(smooth / np.sqrt(np.square(smooth).sum(axis=(1, 2), keepdims=True)))


def _draw_harmonics(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Weights of the first to sixth multiple of the stride, any one of which may lead: (6,)."""
    sizes = np.exp(rng.normal(0.0, 1.0, size=6)) * np.array([1.0, 1.0, 0.8, 0.7, 0.3, 0.2])
    weights = sizes * np.exp(2j * np.pi * rng.random(6))
    return np.asarray(weights / np.sqrt(np.square(sizes).sum()))
