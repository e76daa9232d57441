"""A population that is asked and told: distinct screened proposals, the merge of results, saving, restoring.

Algorithms differ only in the strategies they are composed of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from search.evolution.algorithm import Problem, Sampler, Screen, State
from search.evolution.ledger import Ledger
from search.pareto.fronts import Floats, Integers
from supernet.space.search_space import Genes, SearchSpace

_BATCHES = 12
_LARGEST_BATCH = 8192


@dataclass(frozen=True, eq=False)
class Population:
    """Members with what is known of them: genes (n, genes), objectives (n, m), violations (n,)."""

    genes: Genes
    objectives: Floats
    violations: Floats

    def __len__(self) -> int:
        return len(self.genes)


class Survival(Protocol):
    """Who forms the next population."""

    def __call__(self, objectives: Floats, violations: Floats, count: int, rng: np.random.Generator, /) -> Integers:
        """Indices of at most `count` survivors of the old population followed by the newcomers."""


class Selection(Protocol):
    """Who becomes a parent."""

    def __call__(self, population: Population, count: int, rng: np.random.Generator, /) -> Integers:
        """Positions of `count` parents in the population."""


class Crossover(Protocol):
    """How the genes of two parents are mixed."""

    def __call__(self, first: Genes, second: Genes, rng: np.random.Generator, /) -> Genes:
        """Mixtures (n, genes) of paired parents, each (n, genes); need not be canonical."""


class Mutation(Protocol):
    """How genes change by chance."""

    def __call__(self, space: SearchSpace, genes: Genes, rng: np.random.Generator, /) -> Genes:
        """Mutated rows (n, genes), canonical."""


class Breeding(Protocol):
    """How new candidates come about."""

    def __call__(self, problem: Problem, population: Population, count: int, rng: np.random.Generator, /) -> Genes:
        """Candidates (count, genes), canonical; duplicates are sorted out afterwards."""


def propose(
    draw: Sampler,
    ledger: Ledger,
    count: int,
    rng: np.random.Generator,
    screen: Screen | None,
    kept_share: float = 0.8,
) -> tuple[Genes, float]:
    """Up to `count` new admitted rows from `draw`, and the share to expect of the next batches.

    Batches are sized by the share kept so far, at first by `kept_share`. Gives fewer rows when many
    batches in a row bring nothing new: the space around is spent.
    """
    batches: list[Genes] = []
    missing, drawn_rows = count, 0
    for number in range(_BATCHES):
        batch = int(min(_LARGEST_BATCH, 1.1 * missing / max(kept_share, 1e-3) + 8))
        drawn = draw(batch, rng)
        taken = ledger.take(drawn, screen(drawn) if screen else None, missing)
        batches.append(taken)
        missing -= len(taken)
        drawn_rows += batch
        if missing <= 0 and number == 0:
            # More might have been kept: the next batch may be somewhat smaller.
            return taken, min(1.0, 1.03 * kept_share)
        kept_share = max(count - missing, 0.25) / drawn_rows
        if missing <= 0:
            break
    return np.concatenate(batches), kept_share


class PopulationSearch:
    """A search that keeps a population: `survival` says whom it keeps, `breeding` how new candidates come about."""

    def __init__(self, problem: Problem, *, survival: Survival, breeding: Breeding) -> None:
        self._problem, self._survival, self._breeding = problem, survival, breeding
        space = problem.space
        self._rng = np.random.default_rng(problem.seed)
        self._ledger = Ledger(space)
        self._members = Population(space.lows[None][:0], np.zeros((0, 0)), np.zeros(0))
        self._has_started = False
        self._kept_share = 0.8

    def exclude(self, genes: Genes) -> None:
        """Never propose these canonical genes (n, genes)."""
        self._ledger.take(genes)

    @property
    def genes(self) -> Genes:
        """The population, (n, genes)."""
        return self._members.genes

    @property
    def objectives(self) -> Floats:
        """Objectives of the population, (n, m)."""
        return self._members.objectives

    @property
    def violations(self) -> Floats:
        """Violations of the population, (n,)."""
        return self._members.violations

    def ask(self, count: int | None = None) -> Genes:
        """Up to `count` (else a population of) new candidates; empty once the admitted space is spent."""
        count = self._problem.population if count is None else count
        if self._has_started:
            proposed = self._bred(count)
            if len(proposed) == count:
                return proposed
        else:
            proposed = self._first(count)
        return np.concatenate([proposed, self._proposed(self._problem.draw, count - len(proposed), 0.8)[0]])

    def _first(self, count: int) -> Genes:
        """What the problem begins with, as far as it is admitted."""
        initial, screen = self._problem.first, self._problem.screen
        return self._ledger.take(initial, screen(initial) if screen else None, count)

    def _bred(self, count: int) -> Genes:
        def breed(wanted: int, rng: np.random.Generator) -> Genes:
            return self._breeding(self._problem, self._members, wanted, rng)

        children, self._kept_share = self._proposed(breed, count, self._kept_share)
        return children

    def _proposed(self, draw: Sampler, count: int, kept_share: float) -> tuple[Genes, float]:
        return propose(draw, self._ledger, count, self._rng, self._problem.screen, kept_share)

    def tell(self, genes: Genes, objectives: Floats, violations: Floats | None = None) -> None:
        """Merge evaluated candidates and keep the best; they are not proposed again, wherever they came from.

        Raises ValueError when the lengths differ.
        """
        objectives = np.asarray(objectives, np.float64)
        outside = np.zeros(len(genes)) if violations is None else np.asarray(violations, np.float64)
        if not len(genes) == len(objectives) == len(outside) or objectives.ndim != 2:
            raise ValueError(
                f"tell: {len(genes)} candidates, objectives of shape {objectives.shape}, {len(outside)} violations"
            )
        self._ledger.take(genes)
        if self._has_started:
            genes = np.concatenate([self.genes, genes])
            objectives = np.concatenate([self.objectives, objectives])
            outside = np.concatenate([self.violations, outside])
        if len(genes) == 0:
            return
        kept = self._survival(objectives, outside, self._problem.population, self._rng)
        self._members = Population(genes[kept], objectives[kept], outside[kept])
        self._has_started = True

    def state(self) -> State:
        """Population, ledger and random state, as JSON-ready values."""
        return {
            "genes": self.genes.tolist(),
            "objectives": self.objectives.tolist(),
            "violations": self.violations.tolist(),
            "ledger": self._ledger.state(),
            "random": self._rng.bit_generator.state,
            "has_started": self._has_started,
            "kept_share": self._kept_share,
        }

    def restore(self, state: State) -> None:
        """Continue from `state()` of an instance made for the same problem."""
        space = self._problem.space
        self._ledger = Ledger(space, state["ledger"])
        self._rng.bit_generator.state = state["random"]
        self._has_started = bool(state["has_started"])
        self._kept_share = float(state["kept_share"])
        genes = np.array(state["genes"], np.int16).reshape(-1, space.gene_count)
        objectives = np.array(state["objectives"], np.float64)
        objectives = objectives.reshape(len(genes), objectives.shape[-1])
        self._members = Population(genes, objectives, np.array(state["violations"], np.float64))


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """A population search composed of its parts; call it with a problem to begin.

    With `uses_predictor` the accuracy predictor may choose candidates, by the same algorithm on predicted errors.
    """

    breeding: Breeding
    survival: Survival
    uses_predictor: bool = False

    def __call__(self, problem: Problem) -> PopulationSearch:
        """The search at its beginning."""
        return PopulationSearch(problem, survival=self.survival, breeding=self.breeding)
