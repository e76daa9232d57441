"""What the wrist does in each scene of the wide population: acceleration, and the phase of its rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic.noise import band_noise, drift, gate
from nas.data.synthetic.wide.chance import SIMULATION_HZ, Range, direction, log_uniform
from nas.data.synthetic.wide.person import Person
from nas.data.synthetic.wide.scenes import Bout, Scene

_HARMONICS = 6
_LOCKED = 0.35


@dataclass(frozen=True, eq=False)
class Motion:
    """dynamic: (3, n) acceleration without gravity in g. gravity: (3, n) in g.

    phase: (n,) radians of the stride, 0 where there is no rhythm. vigour: (n,) size of the rhythm, 0 where there is
    none. envelope: (n,) size of all motion, mean 1 in each scene.
    """

    dynamic: NDArray[np.float64]
    gravity: NDArray[np.float64]
    phase: NDArray[np.float64]
    vigour: NDArray[np.float64]
    envelope: NDArray[np.float64]


def move(programme: Sequence[Bout], beats_s: NDArray[np.float64], person: Person, rng: np.random.Generator) -> Motion:
    """Motion along a programme of a person whose heart beats at those seconds."""
    samples = programme[-1].end
    motion = Motion(np.zeros((3, samples)), np.zeros((3, samples)), *(np.zeros(samples) for _ in range(3)))
    for bout in programme:
        dynamic = _moves(bout.scene, bout.samples, rng) * (0.1 + 0.9 * bout.work)
        if bout.scene.stride_hz is not None:
            pace_hz = _pace(bout, bout.scene.stride_hz, beats_s, rng)
            phase, vigour = _rhythm(bout.scene, pace_hz, bout.samples, rng)
            vigour = vigour * bout.work
            dynamic += vigour * _limb(bout.scene, phase, person, rng)
            motion.phase[bout.part], motion.vigour[bout.part] = phase, vigour
        motion.dynamic[:, bout.part] = dynamic
        size = np.sqrt(np.square(dynamic).sum(axis=0))
        window = np.hanning(SIMULATION_HZ) / np.hanning(SIMULATION_HZ).sum()
        smooth = np.convolve(size, window, mode="same")
        motion.envelope[bout.part] = smooth / max(float(smooth.mean()), 1e-9)
        posture = direction(rng)
        wander = np.stack([drift(bout.samples, SIMULATION_HZ, 20.0, rng) for _ in range(3)])
        tilted = posture[:, None] + log_uniform((0.005, 0.2), rng) * wander
        motion.gravity[:, bout.part] = tilted / np.linalg.norm(tilted, axis=0)
    return motion


def _moves(scene: Scene, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Moves without rhythm: (3, samples) in g."""
    is_open = gate(samples, SIMULATION_HZ, rng.uniform(*scene.moves_share), rng)
    noise = band_noise((3, samples), SIMULATION_HZ, scene.moves_hz, rng) * rng.uniform(0.3, 1.0, size=(3, 1))
    return log_uniform(scene.moves_g, rng) * is_open * noise


def _pace(bout: Bout, stride_hz: Range, beats_s: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Frequency of the stride; now and then the heart beats once, twice, three or four times in it.

    Heart and steps do lock (Kirby et al., J. Appl. Physiol. 66, 1989); how often is randomized.
    """
    inside = (beats_s * SIMULATION_HZ >= bout.first) & (beats_s * SIMULATION_HZ < bout.end)
    heart_hz = float(inside.sum()) * SIMULATION_HZ / bout.samples
    locked = heart_hz / np.arange(1, 5)
    locked = locked[(locked > stride_hz[0]) & (locked < stride_hz[1])]
    if locked.size and rng.random() < _LOCKED:
        return float(rng.choice(locked) * np.exp(0.02 * rng.standard_normal()))
    return log_uniform(stride_hz, rng)


def _rhythm(
    scene: Scene, pace_hz: float, samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phase of the stride in radians and its vigour about 1, each (samples,)."""
    # A belt is set faster or slower now and then; people on their own feet change pace slowly.
    pace = pace_hz * np.ones(samples)
    if rng.random() < 0.5:
        turns = np.sort(rng.integers(0, samples, size=int(rng.integers(2, 5))))
        pace *= np.interp(np.arange(samples), turns, np.exp(0.08 * rng.standard_normal(turns.size)))
    wander = log_uniform(scene.wander, rng)
    pace *= np.exp(
        wander * (0.7 * drift(samples, SIMULATION_HZ, 8.0, rng) + 0.7 * drift(samples, SIMULATION_HZ, 1.5, rng))
    )
    phase = 2.0 * np.pi * (np.cumsum(pace) / SIMULATION_HZ + rng.random())
    vigour = np.exp(0.2 * drift(samples, SIMULATION_HZ, 3.0, rng))
    if scene.pauses and rng.random() < 0.3:
        vigour *= gate(samples, SIMULATION_HZ, rng.uniform(0.4, 0.9), rng)
    return phase, vigour


def _limb(scene: Scene, phase: NDArray[np.float64], person: Person, rng: np.random.Generator) -> NDArray[np.float64]:
    """Acceleration of a limb at that phase: odd multiples along the swing, even ones along the step: (3, n) in g."""
    swing_g, step_g = log_uniform(scene.swing_g, rng), log_uniform(scene.step_g, rng)
    fall = rng.uniform(0.15, 0.7)
    total = np.zeros((3, phase.size))
    for multiple in range(1, _HARMONICS + 1):
        is_swing = multiple % 2 == 1
        size = (swing_g if is_swing else step_g) * fall ** ((multiple - 1) // 2) * np.exp(0.4 * rng.standard_normal())
        axis = (person.swing_axis if is_swing else person.step_axis) + 0.4 * rng.standard_normal(3)
        # Axes lag behind each other: a wrist goes round, not to and fro.
        lags = rng.uniform(0.0, 2.0 * np.pi) + 0.7 * rng.standard_normal(3)
        total += np.sqrt(2.0) * size * axis[:, None] * np.sin(multiple * phase + lags[:, None])
    return total
