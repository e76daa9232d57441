"""What a search algorithm is given, and what the search asks of it: candidates, and to take in their objectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from search.pareto.fronts import Booleans, Floats
from supernet.space.search_space import Genes, SearchSpace

Screen = Callable[[Genes], Booleans]
Sampler = Callable[[int, np.random.Generator], Genes]
State = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Problem:
    """What an algorithm searches.

    `screen` admits candidates before they are ever returned (a cheap feasibility check); `sample` draws
    fresh ones, by default from the whole space; `initial` rows (n, genes) are asked first if admitted.
    Raises ValueError for a population below 2.
    """

    space: SearchSpace
    population: int = 100
    seed: int | Sequence[int] = 0
    screen: Screen | None = None
    sample: Sampler | None = None
    initial: Genes | None = None

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ValueError(f"population must be at least 2, got {self.population}")

    @property
    def first(self) -> Genes:
        """The initial rows, canonical; none where none are given."""
        return self.space.lows[None][:0] if self.initial is None else self.space.canonical(self.initial)

    def draw(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` fresh candidates; duplicates possible."""
        return self.space.sample(count, rng) if self.sample is None else self.sample(count, rng)


class Algorithm(Protocol):
    """A search under way. Seeded: equal calls give equal answers, bit for bit; no candidate is asked twice."""

    @property
    def genes(self) -> Genes:
        """The population that it builds on, (n, genes)."""

    @property
    def objectives(self) -> Floats:
        """Objectives of the population, (n, m)."""

    def ask(self, count: int | None = None) -> Genes:
        """Up to `count` (else a population of) new candidates (n, genes); none once the admitted space is spent."""

    def tell(self, genes: Genes, objectives: Floats, violations: Floats | None = None) -> None:
        """Take in results: objectives (n, m) to minimise, violations (n,) with 0 for feasible.

        The candidates need not be its own; it does not ask for them afterwards.
        """

    def exclude(self, genes: Genes) -> None:
        """Never ask for these canonical genes (n, genes)."""


@runtime_checkable
class Resumable(Protocol):
    """An algorithm whose progress can be saved. The search itself replays its archive and does not need it."""

    def state(self) -> State:
        """Everything needed to continue, as JSON-ready values."""

    def restore(self, state: State) -> None:
        """Continue from `state()` of an instance made for the same problem."""


@runtime_checkable
class AlgorithmKind(Protocol):
    """What is registered under a name: it makes an algorithm for a problem."""

    @property
    def uses_predictor(self) -> bool:
        """Whether the accuracy predictor may choose candidates in its place, by this algorithm on predicted errors."""

    def __call__(self, problem: Problem) -> Algorithm:
        """The algorithm at its beginning."""
