"""Two fronts against each other: what each dominates of the other, and the volumes both cover.

Works on plain arrays of objectives, all minimised; `ppg-nas pareto RUN --against RUN2` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.pareto.fronts import Floats, hypervolume, is_at_most

_BEYOND = 1.05


@dataclass(frozen=True)
class Comparison:
    """Hypervolumes are shares of the box from the best to 5 % beyond the worst value of both fronts together.

    `first_dominated` and `second_dominated` are shares of each front's members that some member of the
    other is at least as good as everywhere and better somewhere.
    """

    first_members: int
    second_members: int
    first_hypervolume: float
    second_hypervolume: float
    first_dominated: float
    second_dominated: float


def compare_fronts(first: Floats, second: Floats) -> Comparison:
    """Compare fronts (n, objectives) and (m, objectives). Raises ValueError when one is empty."""
    if not len(first) or not len(second):
        raise ValueError("a front without members cannot be compared")
    both = np.concatenate([first, second])
    low, high = both.min(axis=0), both.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    one, other = (first - low) / span, (second - low) / span
    reference = np.full(both.shape[1], _BEYOND)
    box = float(np.prod(reference))
    return Comparison(
        len(first),
        len(second),
        hypervolume(one, reference) / box,
        hypervolume(other, reference) / box,
        _dominated(one, other),
        _dominated(other, one),
    )


def _dominated(front: Floats, by: Floats) -> float:
    beaten = is_at_most(by, front) & ~is_at_most(front, by).T
    return float(beaten.any(axis=0).mean())
