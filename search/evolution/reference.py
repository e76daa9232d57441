"""Reference algorithms behind the same ask/tell: random search and regularised evolution."""

from __future__ import annotations

import numpy as np

from search.evolution.population import PopulationSearch
from search.evolution.selection import survive
from search.pareto.fronts import Floats, Integers
from supernet.space.search_space import Genes

_CONTESTANTS = 10


class RandomSearch(PopulationSearch):
    """Fresh samples only. Keeps the best it was told, best first, but never builds on them."""

    def _select(self, objectives: Floats, violations: Floats) -> Integers:
        return survive(objectives, violations, self._population)

    def _breed(self, count: int, rng: np.random.Generator) -> Genes:
        return self._sample(count, rng)


class RegularisedEvolution(PopulationSearch):
    """Aging evolution (Real et al. 2019): the oldest die; the best of ten drawn at random mutates.

    The best of several objectives is the first by constrained rank, then crowding. The population
    stands oldest first.
    """

    def _select(self, objectives: Floats, violations: Floats) -> Integers:
        return np.arange(max(0, len(objectives) - self._population), len(objectives))

    def _breed(self, count: int, rng: np.random.Generator) -> Genes:
        size = len(self._genes)
        place = np.empty(size, np.intp)
        place[survive(self._objectives, self._violations, size)] = np.arange(size)
        drawn = rng.integers(0, size, (count, _CONTESTANTS))
        parents = drawn[np.arange(count), place[drawn].argmin(axis=1)]
        return self._space.mutate(self._genes[parents], rng, self._variation.mutation_rate(self._space))
