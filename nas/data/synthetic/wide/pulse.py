"""Heart and pulse of the wide population: a rate that follows the programme, beats, and the wave of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic import heart
from nas.data.synthetic.heart import COURSE_HZ, Beats
from nas.data.synthetic.noise import drift
from nas.data.synthetic.pulse import wave
from nas.data.synthetic.wide.chance import SIMULATION_HZ, unit
from nas.data.synthetic.wide.person import Person
from nas.data.synthetic.wide.scenes import Bout

SLOWEST_BPM, FASTEST_BPM = 35.0, 220.0
_OVERLAPPING_BEATS = 4


def draw_beats(programme: Sequence[Bout], person: Person, rng: np.random.Generator) -> Beats:
    """Beats along a programme, with a few more behind its end."""
    effort = np.concatenate([bout.effort * (0.3 + 0.7 * bout.work) for bout in programme])
    effort = effort[:: SIMULATION_HZ // COURSE_HZ]
    # Extrasystoles that reset the sinus node bring all later beats forward, by less than a seventh.
    spare = COURSE_HZ * 8 + (effort.size // 7 if person.has_ectopics else 0)
    effort = np.concatenate([effort, np.full(spare, effort[-1])])
    rate = rate_course(effort, person, rng)
    beats = heart.sinus_beats(rate, person, rng)
    return heart.ectopic_beats(beats, rng) if person.has_ectopics else beats


def rate_course(effort: NDArray[np.float64], person: Person, rng: np.random.Generator) -> NDArray[np.float64]:
    """Heart rate in BPM at COURSE_HZ under an effort (share of the reserve) at COURSE_HZ.

    A part follows within seconds (the vagus lets go), the rest within a minute, as at the onset and end of exercise.
    """
    target = person.resting_bpm + effort * (person.top_bpm - person.resting_bpm)
    target = target * (1.0 + 0.05 * drift(target.size, COURSE_HZ, 30.0, rng))
    rate = person.vagal_share * _follow(target, person.vagal_s, person.vagal_s)
    rate += (1.0 - person.vagal_share) * _follow(target, person.rise_s, person.recovery_s)
    # What moves a heart within seconds (posture, held breath, strain) moves a slow one more.
    calm = np.clip((150.0 - rate) / 80.0, 0.15, 1.0)
    rate *= 1.0 + person.restlessness * calm * drift(rate.size, COURSE_HZ, 6.0, rng)
    return np.clip(rate, SLOWEST_BPM, FASTEST_BPM)


def _follow(target: NDArray[np.float64], rise_s: float, recovery_s: float) -> NDArray[np.float64]:
    """A target at COURSE_HZ approached with one time constant upwards and another downwards."""
    reached = np.empty_like(target)
    level = float(target[0])
    up, down = (1.0 / (COURSE_HZ * seconds) for seconds in (rise_s, recovery_s))
    for moment, aim in enumerate(target):
        level += (aim - level) * (up if aim > level else down)
        reached[moment] = level
    return reached


def render(beats: Beats, times_s: NDArray[np.float64], person: Person) -> NDArray[np.float64]:
    """The pulse wave at times_s (n,), mean 0 and deviation 1 over the whole; tails of earlier beats add up."""
    intervals = np.diff(beats.times_s, prepend=beats.times_s[0] - 0.8)
    stretch = np.clip(intervals, 0.25, 2.0) ** person.stretch_power
    current = np.searchsorted(beats.times_s, times_s, side="right") - 1
    total = np.zeros(times_s.size)
    for back in range(_OVERLAPPING_BEATS):
        beat = current - back
        kept = np.maximum(beat, 0)
        height = beats.amplitudes[kept] * wave((times_s - beats.times_s[kept]) / stretch[kept], person.morphology)
        total += np.where(beat >= 0, height, 0.0)
    return unit(total)
