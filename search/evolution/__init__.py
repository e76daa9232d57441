"""Search algorithms: small strategies, composed, behind ask and tell over genes; and the registry of them by name."""

from search.evolution.algorithm import Algorithm, AlgorithmKind, Problem, Resumable, Sampler, Screen
from search.evolution.algorithms.nsga2 import NSGA2
from search.evolution.algorithms.nsga3 import NSGA3
from search.evolution.ledger import Ledger
from search.evolution.population import Evolution, PopulationSearch, propose
from search.evolution.registry import ALGORITHMS
from search.evolution.stopping import Stopping
from search.evolution.variation import GeneMutation, Mating, UniformCrossover

__all__ = [
    "ALGORITHMS",
    "NSGA2",
    "NSGA3",
    "Algorithm",
    "AlgorithmKind",
    "Evolution",
    "GeneMutation",
    "Ledger",
    "Mating",
    "PopulationSearch",
    "Problem",
    "Resumable",
    "Sampler",
    "Screen",
    "Stopping",
    "UniformCrossover",
    "propose",
]
