"""Golden vectors: windows with which every implementation of a bundle's network must agree.

A network with context reads them as successive steps from a start, with a restart in the middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.interpreter import IntegerModel, run


def golden_vectors(model: IntegerModel, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """`windows` int8 (n, T, C) and three adversarial ones: all lowest, all highest, alternating."""
    low, high = np.full_like(windows[:1], -128), np.full_like(windows[:1], 127)
    alternating = np.where(np.arange(low[0].size).reshape(low.shape) % 2, low, high)
    return np.concatenate([windows, low, high, alternating])


def golden_past(model: IntegerModel, count: int) -> NDArray[np.int64]:
    """Steps directly before each of `count` golden vectors (count,): none, but in a network with context."""
    rows = np.arange(count)
    return np.where(rows < count // 2, rows, rows - count // 2) if model.graph.spans_windows else np.zeros_like(rows)


def golden_tensors(model: IntegerModel, inputs: NDArray[np.int8]) -> dict[str, NDArray]:
    """Every op's output for all golden vectors, as hwmodels.network.interpreter.run has them."""
    past = golden_past(model, len(inputs)) if model.graph.spans_windows else None
    return run(model, inputs, past=past)
