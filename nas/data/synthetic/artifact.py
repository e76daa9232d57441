"""How motion and loose contact spoil the pulse: coupling of the accelerometer, and aperiodic episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from nas.data.synthetic.activities import ACTIVITIES, EPISODE_STATES
from nas.data.synthetic.motion import Motion, blocks
from nas.data.synthetic.noise import band_noise, drift
from nas.data.synthetic.subject import Subject

_EPISODE_SECONDS = {"displacement": 2.0, "forearm": 4.0, "hand": 4.0, "poor contact": 5.0}
_MEAN_ARTIFACT_RANGE = (0.0, 5.0)


@dataclass(frozen=True, eq=False)
class Episodes:
    """added: (n,) aperiodic artifact in units of the pulse's deviation. contact: (n,) share of light left.

    shaken: (3, n) acceleration in g that came with it. state: (n,) index into EPISODE_STATES.
    """

    added: NDArray[np.float64]
    contact: NDArray[np.float64]
    shaken: NDArray[np.float64]
    state: NDArray[np.int64]


def motion_artifact(
    course: NDArray[np.int64], motion: Motion, hz: int, subject: Subject, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The artifact that motion makes, in units of the pulse's deviation: (n,).

    The person's FIR of the acceleration, a square and a saturating term, a gain that drifts in seconds and
    minutes, and a part that follows no accelerometer; its size follows the activity.
    """
    linear = np.zeros(course.size)
    for fir, axis in zip(subject.coupling, motion.dynamic, strict=True):
        linear += lfilter(fir, [1.0], axis)
    gain = np.exp(0.3 * drift(course.size, hz, 60.0, rng) + 0.4 * drift(course.size, hz, 8.0, rng))
    artifact = np.zeros(course.size)
    for part, code in blocks(course):
        seen = linear[part] / max(float(linear[part].std()), 1e-9)
        bent = np.tanh(seen / 2.0) * 2.0 + subject.coupling_square * (np.square(seen) - 1.0)
        both = np.sqrt(1.0 - subject.hidden_share) * bent + np.sqrt(subject.hidden_share) * motion.hidden[part]
        size = ACTIVITIES[code].artifact * subject.coupling_gain * float(np.exp(0.25 * rng.standard_normal()))
        artifact[part] = np.clip(size, *_MEAN_ARTIFACT_RANGE) * both / max(float(both.std()), 1e-9)
    return gain * artifact


def episodes(course: NDArray[np.int64], hz: int, rng: np.random.Generator) -> Episodes:
    """Aperiodic artifacts as a Markov chain over EPISODE_STATES whose rate follows the activity."""
    samples = course.size
    added, contact = np.zeros(samples), np.ones(samples)
    shaken, state = np.zeros((3, samples)), np.zeros(samples, dtype=np.int64)
    position = 0
    while True:
        per_min = ACTIVITIES[int(course[min(position, samples - 1)])].episodes_per_min
        position += round(hz * 60.0 / per_min * rng.exponential())
        if position >= samples - hz:
            return Episodes(added, contact, shaken, state)
        kind = int(rng.integers(1, len(EPISODE_STATES)))
        name = EPISODE_STATES[kind]
        length_s = _EPISODE_SECONDS[name] * rng.uniform(0.5, 2.0)
        part = slice(position, min(samples, position + round(hz * length_s)))
        size = part.stop - part.start
        fade = np.hanning(size + 2)[1:-1] ** 0.3
        state[part] = kind
        if name == "displacement":
            decay = np.exp(-np.arange(size) / (hz * rng.uniform(0.3, 1.0)))
            added[part] += rng.choice([-1.0, 1.0]) * rng.uniform(2.0, 8.0) * decay
            shaken[:, part] += 0.2 * rng.standard_normal((3, 1)) * decay
        elif name == "poor contact":
            contact[part] = 1.0 - fade * rng.uniform(0.6, 1.0)
        else:
            band_hz = (0.5, 3.0) if name == "forearm" else (2.0, 6.0)
            seen = band_noise((3, size), hz, band_hz, rng)
            unseen = band_noise((size,), hz, band_hz, rng)
            strength = rng.uniform(0.8, 3.0)
            added[part] += strength * fade * (0.7 * seen[0] + 0.7 * unseen)
            shaken[:, part] += 0.12 * strength * fade * seen
        position = part.stop
