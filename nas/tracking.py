"""Fitting the causal tracker to a network: moves from training subjects' labels, the rest on validation.

After the integer network is finished; evaluation and export read the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hwmodels.errors import InputError
from hwmodels.integer import HeartRateSettings, IntegerModel
from hwmodels.tracker import Tracker, track
from nas.data.windows import WindowSet
from nas.estimates import Estimates, integer_logits

_REACH = 16
_LONGEST_GAP_S = 10.0
_BLURS_BINS = (1.8, 3.0, 4.5, 6.0)
_SHARPNESSES = (0.3, 0.6, 1.0)
_FLOORS = (1, 16)
_SHARE_VALID = 0.95
_LEAST_BPM = 0.1
_Q8 = 256.0


def in_order(windows: WindowSet) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Windows by recording and time: their indices (n,), and where the tracker starts anew (n,)."""
    order = np.lexsort((windows.start_s, windows.recording))
    gap = np.diff(windows.start_s[order], prepend=-np.inf)
    other = np.diff(windows.recording[order], prepend=-1) != 0
    return order, other | (gap > _LONGEST_GAP_S)


def moves_of(windows: WindowSet, step_bpm: float) -> NDArray[np.float64]:
    """How often labels move by -16 .. +16 bins from window to window, symmetric, (33,).

    Raises InputError when no window follows another.
    """
    order, starts = in_order(windows)
    follows = ~starts[1:] & windows.trusted[order][1:] & windows.trusted[order][:-1]
    moved = np.rint(np.diff(windows.heart_rate_bpm[order])[follows] / step_bpm)
    counts = np.histogram(np.clip(moved, -_REACH, _REACH), np.arange(-_REACH - 0.5, _REACH + 1))[0]
    if counts.sum() == 0:
        raise InputError("no labelled window follows another: a tracker cannot learn how heart rates move")
    return (counts + counts[::-1]) / (2.0 * counts.sum())


Read = Callable[[IntegerModel, WindowSet], NDArray[np.int8]]
"""How a network's logits of windows are made: one by one, or in streaming steps."""


def fit_tracker(
    model: IntegerModel, training: WindowSet, validation: WindowSet, read: Read = integer_logits
) -> Tracker:
    """The tracker that serves the validation subjects best, over few widths and exponents.

    Training windows give the moves; their blur stands for what the network's successive errors share. Best is
    the least geometric mean of the subjects' errors: the arithmetic one would be decided by the worst subject
    alone, and pay for it with a lag on all others.
    """
    head = model.head
    assert isinstance(head, HeartRateSettings)
    step_bpm = (head.last_bpm - head.first_bpm) / (model.graph.output.channels_in - 1)
    moves = moves_of(training, step_bpm)
    logits = read(model, validation)
    order, starts = in_order(validation)
    labels, subjects = validation.heart_rate_bpm[order], validation.subject[order]

    def tracked(tracker: Tracker) -> NDArray[np.int32]:
        return track(tracker, model, logits[order], starts)

    def error(tracker: Tracker) -> float:
        errors = np.abs(tracked(tracker)[:, 0] / _Q8 - labels)
        means = [max(errors[subjects == subject].mean(), _LEAST_BPM) for subject in np.unique(subjects)]
        return float(np.log(means).mean())

    best = min(
        (
            Tracker(_quantized(_blurred(moves, blur)), floor, sharpness, 1000.0)
            for blur, sharpness, floor in product(_BLURS_BINS, _SHARPNESSES, _FLOORS)
        ),
        key=error,
    )
    spread = float(np.quantile(tracked(best)[:, 1] / _Q8, _SHARE_VALID))
    return replace(best, max_spread_bpm=round(spread, 2))


def tracked_estimates(
    model: IntegerModel, tracker: Tracker, windows: WindowSet, read: Read = integer_logits
) -> Estimates:
    """What the integer network with the tracker behind it says of recordings' windows, in their order."""
    order, starts = in_order(windows)
    rows = np.empty((len(windows), 3), np.int32)
    rows[order] = track(tracker, model, read(model, windows)[order], starts)
    return Estimates(rows[:, 0] / _Q8, rows[:, 1] / _Q8, rows[:, 2] > 0)


def _blurred(moves: NDArray[np.float64], blur_bins: float) -> NDArray[np.float64]:
    kernel = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / blur_bins) ** 2)
    found = np.convolve(moves, kernel / kernel.sum(), "same")
    return found / found.sum()


def _quantized(moves: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(value) for value in np.floor(moves * 32768))
