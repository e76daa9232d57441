"""NSGA-II: constrained domination, crowding, tournaments, crossover and mutation (Deb et al. 2002)."""

from __future__ import annotations

from search.evolution.population import Evolution
from search.evolution.registry import ALGORITHMS
from search.evolution.selection import Tournament
from search.evolution.survival import best_first
from search.evolution.variation import GeneMutation, Mating, UniformCrossover

NSGA2 = Evolution(
    breeding=Mating(selection=Tournament(), crossover=UniformCrossover(), mutation=GeneMutation()),
    survival=best_first,
    uses_predictor=True,
)
"""Its population stands best first."""

ALGORITHMS.add("nsga2", NSGA2)
