"""NSGA-III: niches along reference directions instead of crowding, for many objectives."""

from __future__ import annotations

import numpy as np

from search.evolution.niches import reference_directions, survive_in_niches
from search.evolution.population import PopulationSearch
from search.pareto.fronts import Floats, Integers
from supernet.space.search_space import Genes


class NSGA3(PopulationSearch):
    """NSGA-III over a search space (Deb and Jain 2014), with as many directions as its population can hold.

    Parents are drawn evenly: niches have seen to it that each survivor stands for something. Arguments: see
    PopulationSearch.
    """

    def _select(self, objectives: Floats, violations: Floats) -> Integers:
        directions = reference_directions(objectives.shape[1], self._population)
        return survive_in_niches(objectives, violations, self._population, directions, self._rng)

    def _breed(self, count: int, rng: np.random.Generator) -> Genes:
        parents = self._genes[rng.integers(0, len(self._genes), 2 * count)]
        return self._variation(self._space, parents[:count], parents[count:], rng)
