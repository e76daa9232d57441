"""NSGA-II: constrained domination, crowding, tournaments, crossover and mutation (Deb et al. 2002)."""

from __future__ import annotations

import numpy as np

from search.evolution.population import PopulationSearch
from search.evolution.selection import survive, tournament
from search.pareto.fronts import Floats, Integers
from supernet.space.search_space import Genes


class NSGA2(PopulationSearch):
    """NSGA-II over a search space; its population stands best first. Arguments: see PopulationSearch."""

    def _select(self, objectives: Floats, violations: Floats) -> Integers:
        return survive(objectives, violations, self._population)

    def _breed(self, count: int, rng: np.random.Generator) -> Genes:
        parents = self._genes[tournament(len(self._genes), 2 * count, rng)]
        return self._variation(self._space, parents[:count], parents[count:], rng)
