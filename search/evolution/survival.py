"""Survival: which of a population and its newcomers form the next population."""

from __future__ import annotations

import numpy as np

from search.evolution.niches import reference_directions, survive_in_niches
from search.pareto.fronts import Floats, Integers, crowding, ranks


def best_first(objectives: Floats, violations: Floats, count: int, rng: np.random.Generator | None = None) -> Integers:
    """Indices of the `count` best of n rows, best first: by constrained rank, then crowding distance.

    `objectives` (n, m), `violations` (n,) with 0 for feasible; ties by position.
    Source: Deb et al. 2002 (NSGA-II).
    """
    rank = ranks(objectives, violations, enough=count)
    return np.lexsort((-crowding(objectives, rank), rank))[:count]


def spread_over_niches(objectives: Floats, violations: Floats, count: int, rng: np.random.Generator) -> Integers:
    """Indices of `count` of n rows, those whose directions few others stand for (NSGA-III).

    There are as many reference directions as `count` can hold.
    """
    directions = reference_directions(objectives.shape[1], count)
    return survive_in_niches(objectives, violations, count, directions, rng)


def youngest(objectives: Floats, violations: Floats, count: int, rng: np.random.Generator) -> Integers:
    """Indices of the last `count` of n rows, whatever their objectives; the population stands oldest first."""
    return np.arange(max(0, len(objectives) - count), len(objectives))
