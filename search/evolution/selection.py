"""Who survives and who mates: elitist survival by rank and crowding, and the binary tournament."""

from __future__ import annotations

import numpy as np

from search.pareto import Floats, Integers, crowding, ranks


def survive(objectives: Floats, violations: Floats, count: int) -> Integers:
    """Indices of the `count` best of n rows, best first: by constrained rank, then crowding distance.

    `objectives` (n, m), `violations` (n,) with 0 for feasible; ties by position.
    Source: Deb et al. 2002 (NSGA-II).
    """
    rank = ranks(objectives, violations, enough=count)
    return np.lexsort((-crowding(objectives, rank), rank))[:count]


def tournament(population: int, count: int, rng: np.random.Generator) -> Integers:
    """Positions of `count` parents in a population that stands best first: the better of two at random."""
    return rng.integers(0, population, (2, count)).min(axis=0)
