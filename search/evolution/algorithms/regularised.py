"""Regularised evolution: the oldest die, and the best of ten drawn at random mutates (Real et al. 2019)."""

from __future__ import annotations

from search.evolution.population import Evolution
from search.evolution.registry import ALGORITHMS
from search.evolution.selection import RankedTournament
from search.evolution.survival import youngest
from search.evolution.variation import GeneMutation, Mating

REGULARISED_EVOLUTION = Evolution(
    breeding=Mating(selection=RankedTournament(), mutation=GeneMutation()), survival=youngest
)
"""A reference, which the predictor leaves alone. Its population stands oldest first."""

ALGORITHMS.add("regularised", REGULARISED_EVOLUTION)
