"""What people of the wide population do: scenes of half a minute to two and a half, one after another.

Every pair of numbers is a range. Strides of 0.6 to 1.15 Hz hold the steps that wrists were measured to make in walking
(1.98 +- 0.15 Hz, two a stride); the rest is randomized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic.wide.chance import SIMULATION_HZ, Range, log_uniform

_NONE: Range = (0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """One way to move.

    often: how often it is drawn. effort: share of the heart-rate reserve. stride_hz: frequency of the whole cycle of
    the limb (two steps), or none. wander: deviation of that frequency, a share of it. swing_g, step_g: size of odd
    and of even multiples of the stride. moves_g, moves_hz, moves_share: size, band and share of time of moves without
    rhythm. artifact: size of the motion artifact relative to the pulse, both as deviations.
    pauses: how often it comes in sets.
    """

    name: str
    often: float
    effort: Range
    artifact: Range
    stride_hz: Range | None = None
    wander: Range = (0.01, 0.04)
    swing_g: Range = _NONE
    step_g: Range = _NONE
    moves_g: Range = (0.005, 0.05)
    moves_hz: Range = (0.3, 4.0)
    moves_share: Range = (0.1, 0.6)
    pauses: float = 0.0


SCENES = (
    Scene("still", 2.2, (0.0, 0.25), (0.02, 0.5), moves_g=(0.001, 0.02), moves_share=(0.02, 0.3)),
    Scene("typing", 0.8, (0.0, 0.25), (0.1, 2.0), moves_g=(0.01, 0.1), moves_hz=(2.0, 8.0), moves_share=(0.3, 0.9)),
    Scene("driving", 0.4, (0.0, 0.3), (0.1, 1.5), moves_g=(0.01, 0.12), moves_hz=(3.0, 14.0), moves_share=(0.7, 1.0)),
    Scene("gestures", 1.2, (0.0, 0.35), (0.4, 4.0), moves_g=(0.05, 0.6), moves_share=(0.3, 0.9)),
    Scene("housework", 0.7, (0.05, 0.5), (0.5, 4.0), moves_g=(0.1, 0.5), moves_hz=(0.3, 6.0), moves_share=(0.6, 1.0)),
    Scene(
        "arm exercise", 2.0, (0.0, 0.45), (0.5, 6.0), (0.25, 1.6), (0.03, 0.15), (0.1, 0.9), (0.03, 0.5),
        moves_g=(0.02, 0.3), moves_share=(0.3, 1.0), pauses=0.6,
    ),
    Scene(
        "boxing", 0.8, (0.1, 0.9), (0.7, 6.0), (0.6, 2.2), (0.08, 0.25), (0.2, 1.2), (0.2, 1.0),
        moves_g=(0.1, 0.8), moves_hz=(0.5, 6.0), moves_share=(0.5, 1.0), pauses=0.6,
    ),
    Scene(
        "resistance exercise", 0.6, (0.05, 0.7), (0.4, 5.0), (0.2, 0.8), (0.04, 0.15), (0.05, 0.5), (0.02, 0.2),
        pauses=0.6,
    ),
    Scene(
        "cycling", 2.6, (0.1, 0.9), (0.3, 8.0), (0.55, 1.9), (0.01, 0.06), (0.002, 0.08), (0.002, 0.08),
        moves_g=(0.001, 0.15), moves_hz=(0.5, 8.0), moves_share=(0.1, 1.0),
    ),
    Scene(
        "walking", 2.4, (0.02, 0.45), (0.5, 12.0), (0.6, 1.15), swing_g=(0.08, 0.6), step_g=(0.08, 0.4),
        moves_g=(0.01, 0.08),
    ),
    Scene(
        "walking, arm held", 0.8, (0.02, 0.45), (0.2, 6.0), (0.6, 1.15), swing_g=(0.01, 0.08), step_g=(0.05, 0.35)
    ),
    Scene(
        "running", 4.0, (0.4, 1.1), (0.4, 12.0), (1.1, 1.7), swing_g=(0.08, 0.8), step_g=(0.25, 1.6),
        moves_g=(0.02, 0.2), moves_hz=(0.5, 8.0),
    ),
    Scene(
        "shaking", 0.6, (0.0, 1.0), (0.4, 6.0), (0.3, 3.2), (0.02, 0.2), (0.03, 0.8), (0.03, 0.8),
    ),
)  # fmt: skip
_CALM = ("still", "typing", "driving", "gestures")
QUIET_SCENES = tuple(replace(scene, often=scene.often * 12) if scene.name in _CALM else scene for scene in SCENES)
"""Days as most of them are: four fifths of the scenes are calm ones."""
_SCENE_S: Range = (20.0, 150.0)
_UNRELATED = 0.15
"""Share of scenes whose effort has nothing to do with what is done: fever, fright, after sports, medication."""


@dataclass(frozen=True, eq=False)
class Bout:
    """One scene in a programme: which samples at SIMULATION_HZ, and the effort it asks for.

    work: (n,) between 0 and 1, what is done of it at each sample: exercise comes in sets with pauses between them.
    """

    scene: Scene
    first: int
    end: int
    effort: float
    work: NDArray[np.float64]

    @property
    def samples(self) -> int:
        """Its length."""
        return self.end - self.first

    @property
    def part(self) -> slice:
        """Its samples."""
        return slice(self.first, self.end)


def draw_programme(minutes: float, rng: np.random.Generator, scenes: Sequence[Scene] = SCENES) -> list[Bout]:
    """Scenes that fill a recording: of all kinds, or of a few between which the person goes to and fro."""
    total = round(minutes * 60.0 * SIMULATION_HZ)
    often = np.array([scene.often for scene in scenes])
    if rng.random() < 0.5:
        kept = rng.choice(len(scenes), size=min(3, len(scenes)), replace=False, p=often / often.sum())
        often = np.where(np.isin(np.arange(len(scenes)), kept), 1.0, 0.0)
    bouts: list[Bout] = []
    first = 0
    while first < total:
        scene = scenes[int(rng.choice(len(scenes), p=often / often.sum()))]
        end = min(total, first + round(SIMULATION_HZ * log_uniform(_SCENE_S, rng)))
        if total - end < SIMULATION_HZ * _SCENE_S[0] / 2:
            end = total
        effort = rng.uniform(*((0.0, 1.0) if rng.random() < _UNRELATED else scene.effort))
        bouts.append(Bout(scene, first, end, effort, _work(scene, end - first, rng)))
        first = end
    return bouts


def _work(scene: Scene, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sets of exercise: (samples,); all ones where there are none."""
    if rng.random() >= scene.pauses:
        return np.ones(samples)
    period_s, duty = log_uniform((8.0, 60.0), rng), rng.uniform(0.3, 0.8)
    phase = (np.arange(samples) / (SIMULATION_HZ * period_s) + rng.random()) % 1.0
    # A second to begin, a second to end.
    return np.clip(np.minimum(phase, duty - phase) * period_s + 0.5, 0.0, 1.0)


def scene_names(programme: Sequence[Bout], at: NDArray[np.int64]) -> NDArray[np.str_]:
    """Names of the scenes at those samples."""
    ends = np.array([bout.end for bout in programme])
    names = np.array([bout.scene.name for bout in programme])
    return np.asarray(names[np.minimum(np.searchsorted(ends, at, side="right"), names.size - 1)])
