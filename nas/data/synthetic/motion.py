"""What the wrist does: acceleration in g along a course of activities, and motion that no sensor sees."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic.activities import ACTIVITIES, Activity
from nas.data.synthetic.noise import band_noise, drift, gate
from nas.data.synthetic.subject import Subject

_STEP_HARMONICS = (1.0, 0.55, 0.3)


@dataclass(frozen=True, eq=False)
class Motion:
    """dynamic: (3, n) acceleration without gravity in g. gravity: (3, n) in g.

    hidden: (n,) motion of skin and fingers that moves the PPG but not the accelerometer, deviation 1.
    """

    dynamic: NDArray[np.float64]
    gravity: NDArray[np.float64]
    hidden: NDArray[np.float64]


def blocks(course: NDArray[np.int64]) -> list[tuple[slice, int]]:
    """Runs of one activity in a course of activity codes: their samples, and the code."""
    bounds = [0, *(np.flatnonzero(np.diff(course)) + 1).tolist(), course.size]
    return [(slice(first, last), int(course[first])) for first, last in pairwise(bounds)]


def move(course: NDArray[np.int64], hz: int, subject: Subject, rng: np.random.Generator) -> Motion:
    """Motion along a course (n,) of activity codes at hz."""
    dynamic, hidden = np.zeros((3, course.size)), np.zeros(course.size)
    gravity = np.zeros((3, course.size))
    for part, code in blocks(course):
        samples = part.stop - part.start
        dynamic[:, part], hidden[part] = _move_once(ACTIVITIES[code], samples, hz, subject, rng)
        posture = rng.standard_normal(3)
        wander = np.stack([drift(samples, hz, 20.0, rng) for _ in range(3)])
        tilted = posture[:, None] / np.linalg.norm(posture) + 0.1 * wander
        gravity[:, part] = tilted / np.linalg.norm(tilted, axis=0)
    return Motion(dynamic, gravity, hidden)


def _move_once(
    activity: Activity, samples: int, hz: int, subject: Subject, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shape = (3, samples)
    gesture = band_noise(shape, hz, activity.gesture_band_hz, rng) * gate(samples, hz, activity.gesture_share, rng)
    dynamic = activity.gesture_g * rng.uniform(0.7, 1.4) * gesture
    hidden = band_noise((samples,), hz, activity.gesture_band_hz, rng) * gate(samples, hz, activity.gesture_share, rng)
    if activity.cadence_hz is None:
        return dynamic, hidden / max(float(hidden.std()), 1e-9)
    mean_hz, deviation_hz = activity.cadence_hz
    # Most of a cadence is the person's own, the rest is of the day.
    own_hz = mean_hz + deviation_hz * (0.8 * subject.cadence_offset + 0.6 * rng.standard_normal())
    cadence_hz = np.clip(own_hz, 0.7, 3.2) * (1.0 + 0.02 * drift(samples, hz, 8.0, rng))
    phase = 2.0 * np.pi * np.cumsum(cadence_hz) / hz + rng.uniform(0.0, 2.0 * np.pi)
    step = np.zeros(samples)
    for harmonic, weight in enumerate(_STEP_HARMONICS, start=1):
        step += weight * rng.uniform(0.6, 1.4) * np.sin(harmonic * phase + rng.uniform(0.0, 2.0 * np.pi))
    vigour = 1.0 + 0.15 * drift(samples, hz, 3.0, rng)
    swing = np.sin(phase / 2.0 + rng.uniform(0.0, 2.0 * np.pi))
    axes = [subject.step_axis, subject.swing_axis]
    turned = [axis + 0.3 * rng.standard_normal(3) for axis in axes]
    dynamic = dynamic + np.sqrt(2.0) * vigour * (
        activity.step_g * turned[0][:, None] * step + activity.swing_g * turned[1][:, None] * swing
    )
    band = (0.6 * float(cadence_hz.mean()), 1.5 * float(cadence_hz.mean()))
    hidden = 0.5 * hidden + band_noise((samples,), hz, band, rng)
    return dynamic, hidden / max(float(hidden.std()), 1e-9)
