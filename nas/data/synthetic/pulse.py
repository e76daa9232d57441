"""The clean pulse wave of a series of beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.data.synthetic.heart import Beats
from nas.data.synthetic.subject import Morphology

_OVERLAPPING_BEATS = 3


def wave(after_s: NDArray[np.float64], shape: Morphology) -> NDArray[np.float64]:
    """Height of a pulse at times after its onset, for a beat interval of one second."""
    positive = np.maximum(after_s, 1e-4)
    first = np.exp(-0.5 * np.square(np.log(positive / shape.rise_s) / shape.rise_spread))

    def bump(weight: float, centre_s: float, width_s: float) -> NDArray[np.float64]:
        return weight * np.exp(-0.5 * np.square((after_s - centre_s) / width_s))

    return np.where(
        after_s > 0,
        first
        + bump(shape.reflected_weight, shape.reflected_s, shape.reflected_width_s)
        + bump(shape.dicrotic_weight, shape.dicrotic_s, shape.dicrotic_width_s),
        0.0,
    )


def render(beats: Beats, times_s: NDArray[np.float64], shape: Morphology) -> NDArray[np.float64]:
    """The pulse wave at times_s (n,), mean 0 and deviation 1 over the whole.

    Each beat's wave is stretched with the square root of the interval before it (the heart's systole
    shortens less than its cycle) and the tails of earlier beats add up.
    """
    intervals = np.diff(beats.times_s, prepend=beats.times_s[0] - 0.8)
    stretch = np.sqrt(np.clip(intervals, 0.25, 2.0))
    current = np.searchsorted(beats.times_s, times_s, side="right") - 1
    total = np.zeros(times_s.size)
    for back in range(_OVERLAPPING_BEATS):
        beat = current - back
        held = np.maximum(beat, 0)
        height = beats.amplitudes[held] * wave((times_s - beats.times_s[held]) / stretch[held], shape)
        total += np.where(beat >= 0, height, 0.0)
    total -= total.mean()
    return total / max(float(total.std()), 1e-9)
