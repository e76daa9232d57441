"""How children come about: crossover and mutation of paired parents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from supernet.space.search_space import Genes, SearchSpace


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Rates of the operators: the share of pairs that cross, and the chance of each gene to mutate.

    `mutation` None means half a gene a child in expectation; a child known already is drawn anew.
    """

    crossover: float = 0.8
    mutation: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("crossover", self.crossover), ("mutation", self.mutation)):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}")

    def __call__(self, space: SearchSpace, first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
        """Children of paired parents, each (n, genes); canonical genes, possibly equal to a parent's."""
        is_crossed = rng.random(len(first)) < self.crossover
        is_second = (rng.random(first.shape) < 0.5) & is_crossed[:, None]
        # Mutation makes the mixture canonical.
        return space.mutate(np.where(is_second, second, first), rng, self.mutation_rate(space))

    def mutation_rate(self, space: SearchSpace) -> float:
        """Chance of each gene of `space` to mutate."""
        return 0.5 / space.gene_count if self.mutation is None else self.mutation
