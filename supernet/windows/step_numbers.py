"""Which windows follow each other, from where they start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STEP_S = 2.0
"""From one window to the next."""
_APART = 1 << 24


def step_numbers(recording: npt.NDArray[np.integer], start_s: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """A number for each window, from recordings (n,) by index and starts (n,) in s: one more for the next step.

    A window that does not start a whole number of steps (0.1 s off at most) after the one before follows none.
    """
    elapsed = np.diff(start_s, prepend=start_s[:1]) / STEP_S
    whole = np.rint(elapsed)
    follows = (np.abs(elapsed - whole) <= 0.1 / STEP_S) & (whole > 0) & (np.diff(recording, prepend=-1) == 0)
    return np.cumsum(np.where(follows, whole, _APART)).astype(np.int64)


def past_rows(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many rows before each (n,) are the steps directly before it, from `step_numbers`."""
    rows = np.arange(len(numbers))
    starts = np.maximum.accumulate(np.where(np.diff(numbers, prepend=numbers[:1] - 2) == 1, 0, rows))
    return rows - starts
