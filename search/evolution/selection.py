"""Who survives and who mates: elitist survival by rank and crowding, and the tournament."""

from __future__ import annotations

import numpy as np

from search.pareto.fronts import Floats, Integers, crowding, ranks


def survive(objectives: Floats, violations: Floats, count: int) -> Integers:
    """Indices of the `count` best of n rows, best first: by constrained rank, then crowding distance.

    `objectives` (n, m), `violations` (n,) with 0 for feasible; ties by position.
    Source: Deb et al. 2002 (NSGA-II).
    """
    rank = ranks(objectives, violations, enough=count)
    return np.lexsort((-crowding(objectives, rank), rank))[:count]


def tournament(population: int, count: int, rng: np.random.Generator, contestants: int = 6) -> Integers:
    """Positions of `count` parents in a population that stands best first: each the best of some at random.

    Six instead of NSGA-II's two: with most of a population on the first front, crowding decides, and
    more pressure towards its sparse parts gave larger hypervolumes at equal evaluations.
    """
    return rng.integers(0, population, (contestants, count)).min(axis=0)
