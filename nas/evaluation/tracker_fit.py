"""Fitting the causal tracker to a network, on training and validation subjects.

After the integer network is finished; evaluation and export read the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.firmware.tracker import Tracker, led, track
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel
from nas.data.windows import WindowSet
from nas.evaluation.estimates import Estimates, integer_logits
from nas.evaluation.verdict import limit_of

_REACH = 16
_LONGEST_GAP_S = 10.0
_BLURS_BINS = (1.8, 3.0, 4.5)
_SHARPNESSES = (0.3, 0.45, 0.6, 0.8, 1.0)
_FLOOR = 1
_LEADS = (0.0, 0.25, 0.5, 0.75)


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
    """The tracker that serves training and validation subjects best, over few widths, exponents and leads.

    Training windows give the moves; their blur stands for what the network's successive errors share. Best is
    the least mean of the subjects' errors, either side weighing half: validation subjects alone are few, on
    training subjects the network is surer than it will be.
    """
    head = model.head
    assert isinstance(head, HeartRateSettings)
    step_bpm = (head.last_bpm - head.first_bpm) / (model.graph.output.channels_in - 1)
    moves = moves_of(training, step_bpm)
    parts = [_Part.of(windows, read(model, windows)) for windows in (training, validation)]
    best, least = None, np.inf
    for blur, sharpness in product(_BLURS_BINS, _SHARPNESSES):
        tracker = Tracker(_quantized(_blurred(moves, blur)), _FLOOR, sharpness, None)
        filtered = [track(tracker, model, part.logits, part.starts) for part in parts]
        for lead in _LEADS:
            error = sum(
                part.error(head.decoded(led(rows, part.starts, lead, model))[0])
                for part, rows in zip(parts, filtered, strict=True)
            )
            if error < least:
                best, least = replace(tracker, lead=lead), error
    assert best is not None

    def estimated(windows: WindowSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = tracked_estimates(model, best, windows, read)
        return found.estimate, found.spread

    return replace(best, max_spread_bpm=round(limit_of(estimated, validation, round(model.input.rate_hz)), 2))


@dataclass(frozen=True, eq=False)
class _Part:
    """Windows of some subjects in order, as a tracker is judged on them."""

    logits: NDArray[np.int8]
    starts: NDArray[np.bool_]
    labels: NDArray[np.float64]
    subjects: NDArray[np.str_]
    trusted: NDArray[np.bool_]

    @classmethod
    def of(cls, windows: WindowSet, logits: NDArray[np.int8]) -> _Part:
        order, starts = in_order(windows)
        labels = windows.heart_rate_bpm[order].astype(np.float64)
        return cls(logits[order], starts, labels, windows.subject[order], windows.trusted[order])

    def error(self, estimates_bpm: NDArray[np.float64]) -> float:
        """Mean over subjects of their mean absolute error, BPM."""
        errors = np.abs(estimates_bpm - self.labels)[self.trusted]
        found = self.subjects[self.trusted]
        return float(np.mean([errors[found == subject].mean() for subject in np.unique(found)]))


def tracked_estimates(
    model: IntegerModel, tracker: Tracker, windows: WindowSet, read: Read = integer_logits
) -> Estimates:
    """What the integer network with the tracker behind it says of recordings' windows, in their order."""
    order, starts = in_order(windows)
    rows = np.empty((len(windows), 3), np.int32)
    rows[order] = track(tracker, model, read(model, windows)[order], starts)
    return Estimates(*model.head.decoded(rows), rows[:, 2] > 0)


def _blurred(moves: NDArray[np.float64], blur_bins: float) -> NDArray[np.float64]:
    kernel = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / blur_bins) ** 2)
    found = np.convolve(moves, kernel / kernel.sum(), "same")
    return found / found.sum()


def _quantized(moves: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(value) for value in np.floor(moves * 32768))
