"""How motion spoils the pulse of the wide population: linearly, bent, at multiples of the cadence, or as it likes.

A canceller that is linear in acceleration explains the first two of COUPLINGS alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from nas.data.synthetic.noise import band_noise, drift
from nas.data.synthetic.wide.chance import SIMULATION_HZ, log_uniform, unit
from nas.data.synthetic.wide.motion import Motion
from nas.data.synthetic.wide.person import Person
from nas.data.synthetic.wide.scenes import Bout

_FADE_S = 0.7


@dataclass(frozen=True, eq=False)
class Episodes:
    """added: (n,) artifact in units of the pulse's deviation. contact: (n,) share of light left. shaken: (3, n) g."""

    added: NDArray[np.float64]
    contact: NDArray[np.float64]
    shaken: NDArray[np.float64]


def motion_artifact(
    programme: Sequence[Bout], motion: Motion, person: Person, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The artifact that motion makes, in units of the pulse's deviation: (n,)."""
    samples = programme[-1].end
    moved = [_filtered(filters, motion.dynamic) for filters in person.coupling]
    keep = float(np.exp(-1.0 / (SIMULATION_HZ * log_uniform((0.15, 1.0), rng))))
    tilt = lfilter([1.0], [1.0, -keep], moved[1] - np.mean(moved[1]))
    artifact = np.zeros(samples)
    for bout in programme:
        parts = _parts([trace[bout.part] for trace in moved], tilt[bout.part], bout, motion, person, rng)
        # A person's coupling, turned somewhat by how the arm is held this time.
        shares = person.coupling_shares * np.exp(0.5 * rng.standard_normal(person.coupling_shares.size))
        trace = unit(np.sqrt(shares) @ np.stack([unit(part) for part in parts]))
        gain = np.exp(
            0.4 * drift(bout.samples, SIMULATION_HZ, 20.0, rng) + 0.2 * drift(bout.samples, SIMULATION_HZ, 4.0, rng)
        )
        fade = np.minimum(
            1.0, np.minimum(np.arange(bout.samples), np.arange(bout.samples)[::-1]) / (_FADE_S * SIMULATION_HZ)
        )
        artifact[bout.part] = person.coupling_gain * log_uniform(bout.scene.artifact, rng) * fade * gain * trace
    return artifact


def _filtered(filters: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the axes (3, n), each through its FIR of (3, taps): (n,)."""
    total = np.zeros(axes.shape[1])
    for taps, axis in zip(filters, axes, strict=True):
        total += lfilter(taps, [1.0], axis)
    return total


def _parts(
    moved: list[NDArray[np.float64]],
    tilt: NDArray[np.float64],
    bout: Bout,
    motion: Motion,
    person: Person,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], ...]:
    """One trace for each of COUPLINGS, all (n,)."""
    first, second = unit(moved[0]), unit(moved[1])
    bends = np.stack(
        [
            np.square(first),
            first * second,
            np.abs(first) ** 3 * np.sign(first),
            np.square(np.maximum(second, 0.0)),
            np.tanh(3.0 * first),
        ]
    )
    bent = rng.standard_normal(len(bends)) @ np.stack([unit(np.clip(bend, -10.0, 10.0)) for bend in bends])
    low_hz = log_uniform((0.3, 1.0), rng)
    band = (low_hz, low_hz + log_uniform((0.7, 6.0), rng))
    aperiodic = band_noise((bout.samples,), SIMULATION_HZ, band, rng) * motion.envelope[bout.part]
    return moved[0], tilt, bent, _harmonics(bout, motion, person, rng), aperiodic


def _harmonics(bout: Bout, motion: Motion, person: Person, rng: np.random.Generator) -> NDArray[np.float64]:
    """Multiples of the stride with sizes and phases that drift: (n,); zero without a rhythm."""
    total = np.zeros(bout.samples)
    if bout.scene.stride_hz is None:
        return total
    weights = person.harmonics * np.exp(0.4 * rng.standard_normal(6) + 0.5j * rng.standard_normal(6))
    for multiple, weight in enumerate(weights, start=1):
        sway = 0.4 * drift(bout.samples, SIMULATION_HZ, 10.0, rng)
        total += np.abs(weight) * np.cos(multiple * motion.phase[bout.part] + np.angle(weight) + sway)
    return total * motion.vigour[bout.part]


def draw_episodes(samples: int, person: Person, rng: np.random.Generator) -> Episodes:
    """Knocks, grips and lost contact, at the person's own rate."""
    episodes = Episodes(np.zeros(samples), np.ones(samples), np.zeros((3, samples)))
    position = 0
    while True:
        position += round(SIMULATION_HZ * 60.0 / person.episodes_per_min * rng.exponential())
        if position >= samples - SIMULATION_HZ:
            return episodes
        part = slice(position, min(samples, position + round(SIMULATION_HZ * log_uniform((0.5, 12.0), rng))))
        size = part.stop - part.start
        fade = np.hanning(size + 2)[1:-1] ** 0.3
        kind = rng.integers(3)
        if kind == 0:
            decay = np.exp(-np.arange(size) / (SIMULATION_HZ * log_uniform((0.1, 2.0), rng)))
            episodes.added[part] += rng.choice([-1.0, 1.0]) * log_uniform((1.0, 20.0), rng) * decay
            episodes.shaken[:, part] += rng.uniform(0.0, 0.4) * rng.standard_normal((3, 1)) * decay
        elif kind == 1:
            seen = band_noise((3, size), SIMULATION_HZ, (0.5, 5.0), rng)
            hidden = band_noise((size,), SIMULATION_HZ, (0.4, 4.0), rng)
            strength = log_uniform((0.5, 6.0), rng)
            episodes.added[part] += strength * fade * (0.5 * seen[0] + 0.85 * hidden)
            episodes.shaken[:, part] += rng.uniform(0.0, 0.2) * fade * seen
        else:
            episodes.contact[part] = 1.0 - fade * rng.uniform(0.5, 1.0)
        position = part.stop
