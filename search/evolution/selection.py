"""Selection: which members of a population become parents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.evolution.population import Population
from search.evolution.survival import best_first
from search.pareto.fronts import Integers


@dataclass(frozen=True, kw_only=True)
class Tournament:
    """Each parent is the first of `contestants` drawn at random from a population that stands best first.

    Six instead of NSGA-II's two: with most of a population on the first front, crowding decides, and
    more pressure towards its sparse parts gave larger hypervolumes at equal evaluations.
    """

    contestants: int = 6

    def __call__(self, population: Population, count: int, rng: np.random.Generator) -> Integers:
        """Positions of `count` parents."""
        return rng.integers(0, len(population), (self.contestants, count)).min(axis=0)


@dataclass(frozen=True, kw_only=True)
class RankedTournament:
    """Each parent is the best of `contestants` by constrained rank, then crowding, in whatever order they stand."""

    contestants: int = 10

    def __call__(self, population: Population, count: int, rng: np.random.Generator) -> Integers:
        """Positions of `count` parents."""
        size = len(population)
        place = np.empty(size, np.intp)
        place[best_first(population.objectives, population.violations, size, rng)] = np.arange(size)
        drawn = rng.integers(0, size, (count, self.contestants))
        return drawn[np.arange(count), place[drawn].argmin(axis=1)]


def evenly(population: Population, count: int, rng: np.random.Generator) -> Integers:
    """Positions of `count` parents, every member as likely as any other."""
    return rng.integers(0, len(population), count)
