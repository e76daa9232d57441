"""Evolutionary algorithms: small operators, composed; ask/tell over genes."""

from search.evolution.algorithm import Algorithm, Sampler, Screen
from search.evolution.ledger import Ledger
from search.evolution.niches import reference_directions, survive_in_niches
from search.evolution.nsga2 import NSGA2
from search.evolution.nsga3 import NSGA3
from search.evolution.population import PopulationSearch
from search.evolution.reference import RandomSearch, RegularisedEvolution
from search.evolution.selection import survive, tournament
from search.evolution.stopping import Stopping
from search.evolution.variation import Variation

ALGORITHMS: dict[str, type[PopulationSearch]] = {
    "nsga2": NSGA2,
    "nsga3": NSGA3,
    "regularised": RegularisedEvolution,
    "random": RandomSearch,
}
"""What a configuration may call a search."""

__all__ = [
    "ALGORITHMS",
    "NSGA2",
    "NSGA3",
    "Algorithm",
    "Ledger",
    "PopulationSearch",
    "RandomSearch",
    "RegularisedEvolution",
    "Sampler",
    "Screen",
    "Stopping",
    "Variation",
    "reference_directions",
    "survive",
    "survive_in_niches",
    "tournament",
]
