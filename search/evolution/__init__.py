"""Evolutionary algorithms: small operators, composed; ask/tell over genes."""

from search.evolution.algorithm import Algorithm, Sampler, Screen
from search.evolution.ledger import Ledger
from search.evolution.nsga2 import NSGA2
from search.evolution.population import PopulationSearch
from search.evolution.reference import RandomSearch, RegularisedEvolution
from search.evolution.selection import survive, tournament
from search.evolution.variation import Variation

__all__ = [
    "NSGA2",
    "Algorithm",
    "Ledger",
    "PopulationSearch",
    "RandomSearch",
    "RegularisedEvolution",
    "Sampler",
    "Screen",
    "Variation",
    "survive",
    "tournament",
]
