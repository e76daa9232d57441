"""NSGA-III: niches along reference directions instead of crowding, for many objectives (Deb and Jain 2014)."""

from __future__ import annotations

from search.evolution.population import Evolution
from search.evolution.registry import ALGORITHMS
from search.evolution.selection import evenly
from search.evolution.survival import spread_over_niches
from search.evolution.variation import GeneMutation, Mating, UniformCrossover

NSGA3 = Evolution(
    breeding=Mating(selection=evenly, crossover=UniformCrossover(), mutation=GeneMutation()),
    survival=spread_over_niches,
    uses_predictor=True,
)
"""Parents are drawn evenly: niches have seen to it that each survivor stands for something."""

ALGORITHMS.add("nsga3", NSGA3)
