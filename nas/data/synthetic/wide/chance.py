"""How the wide population draws: ranges on a linear or a logarithmic scale, and traces scaled to deviation 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
SIMULATION_HZ = 64
"""Rate of everything before the sensors; pulse and motion that matter end below 16 Hz."""


def log_uniform(bounds: Range, rng: np.random.Generator) -> float:
    """A positive number that is uniform on a logarithmic scale; 0 where the range is (0, 0)."""
    low, high = bounds
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) if high > 0 else 0.0


def unit(trace: NDArray[np.float64]) -> NDArray[np.float64]:
    """The trace less its mean, of deviation 1; a constant becomes zero."""
    centred = trace - trace.mean()
    return centred / max(float(centred.std()), 1e-9)


def direction(rng: np.random.Generator) -> NDArray[np.float64]:
    """A unit vector in space: (3,)."""
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))
