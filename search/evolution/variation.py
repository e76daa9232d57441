"""How children come about: crossover and mutation of parents, or fresh samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.evolution.algorithm import Problem
from search.evolution.population import Crossover, Mutation, Population, Selection
from supernet.space.search_space import Genes, SearchSpace


@dataclass(frozen=True, kw_only=True)
class UniformCrossover:
    """Each gene is either parent's with equal chance, in this `share` of the pairs; the others stay as the first."""

    share: float = 0.8

    def __post_init__(self) -> None:
        _require_rate("crossover", self.share)

    def __call__(self, first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
        """Mixtures (n, genes) of paired parents, each (n, genes); mutation makes them canonical."""
        is_crossed = rng.random(len(first)) < self.share
        is_second = (rng.random(first.shape) < 0.5) & is_crossed[:, None]
        return np.where(is_second, second, first)


@dataclass(frozen=True, kw_only=True)
class GeneMutation:
    """Each gene is drawn anew with this `chance`; None is half a gene a child in expectation."""

    chance: float | None = None

    def __post_init__(self) -> None:
        _require_rate("mutation", self.chance)

    def __call__(self, space: SearchSpace, genes: Genes, rng: np.random.Generator) -> Genes:
        """Mutated rows (n, genes), canonical; possibly equal to what they were."""
        return space.mutate(genes, rng, 0.5 / space.gene_count if self.chance is None else self.chance)


def _require_rate(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")


@dataclass(frozen=True, kw_only=True)
class Mating:
    """Children of selected parents: crossed in pairs, then mutated; without `crossover`, of one parent each."""

    selection: Selection
    mutation: Mutation
    crossover: Crossover | None = None

    def __call__(self, problem: Problem, population: Population, count: int, rng: np.random.Generator) -> Genes:
        """Children (count, genes), canonical; duplicates are sorted out afterwards."""
        if self.crossover is None:
            children = population.genes[self.selection(population, count, rng)]
        else:
            parents = population.genes[self.selection(population, 2 * count, rng)]
            children = self.crossover(parents[:count], parents[count:], rng)
        return self.mutation(problem.space, children, rng)


def fresh_samples(problem: Problem, population: Population, count: int, rng: np.random.Generator) -> Genes:
    """Samples of the space (count, genes), whatever the population."""
    return problem.draw(count, rng)
