"""Search algorithms by name: what a configuration may call a search (docs/how-to/add-a-search-algorithm.md)."""

from __future__ import annotations

from hwmodels.basics.registry import Registry
from search.evolution.algorithm import AlgorithmKind

ALGORITHMS: Registry[AlgorithmKind] = Registry(
    "search algorithm", "ppg_nas.search_algorithms", AlgorithmKind, package="search.evolution.algorithms"
)
