"""What population searches share: distinct screened proposals, the merge of results, saving, restoring.

NSGA-II and the reference algorithms differ only in whom they keep and how they breed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from search.evolution.algorithm import Sampler, Screen, State
from search.evolution.ledger import Ledger
from search.evolution.variation import Variation
from search.pareto.fronts import Floats, Integers
from supernet.space.search_space import Genes, SearchSpace

_BATCHES = 12
_LARGEST_BATCH = 8192


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
    found: list[Genes] = []
    missing, drawn_rows = count, 0
    for number in range(_BATCHES):
        batch = int(min(_LARGEST_BATCH, 1.1 * missing / max(kept_share, 1e-3) + 8))
        drawn = draw(batch, rng)
        taken = ledger.take(drawn, screen(drawn) if screen else None, missing)
        found.append(taken)
        missing -= len(taken)
        drawn_rows += batch
        if missing <= 0 and number == 0:
            # More might have been kept: the next batch may be somewhat smaller.
            return taken, min(1.0, 1.03 * kept_share)
        kept_share = max(count - missing, 0.25) / drawn_rows
        if missing <= 0:
            break
    return np.concatenate(found), kept_share


class PopulationSearch(ABC):
    """A search that keeps a population, by ask and tell.

    `screen` admits candidates before they are ever returned (a cheap feasibility check); `sample`
    draws fresh ones for the first population and when variation finds nothing new; `initial` rows
    stand in the first population if admitted. Raises ValueError for a population below 2.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population: int = 100,
        seed: int | Sequence[int] = 0,
        screen: Screen | None = None,
        sample: Sampler | None = None,
        initial: Genes | None = None,
        variation: Variation | None = None,
    ) -> None:
        if population < 2:
            raise ValueError(f"population must be at least 2, got {population}")
        self._space = space
        self._population = population
        self._rng = np.random.default_rng(seed)
        self._screen = screen
        self._sample = sample or space.sample
        self._initial = space.lows[None][:0] if initial is None else space.canonical(initial)
        self._variation = variation or Variation()
        self._ledger = Ledger(space)
        self._genes = space.lows[None][:0]
        self._objectives: Floats = np.zeros((0, 0))
        self._violations: Floats = np.zeros(0)
        self._has_started = False
        self._kept_share = 0.8

    def exclude(self, genes: Genes) -> None:
        """Never propose these canonical genes (n, genes)."""
        self._ledger.take(genes)

    @property
    def genes(self) -> Genes:
        """The population, (n, genes)."""
        return self._genes

    @property
    def objectives(self) -> Floats:
        """Objectives of the population, (n, m)."""
        return self._objectives

    @property
    def violations(self) -> Floats:
        """Violations of the population, (n,)."""
        return self._violations

    @property
    def proposed(self) -> int:
        """How many distinct candidates were proposed so far."""
        return len(self._ledger)

    def ask(self, count: int | None = None) -> Genes:
        """Up to `count` (else a population of) new candidates; empty once the admitted space is spent."""
        count = self._population if count is None else count
        if not self._has_started:
            admitted = self._screen(self._initial) if self._screen else None
            first = self._ledger.take(self._initial, admitted, count)
            return np.concatenate([first, self._fresh(count - len(first))])
        children, self._kept_share = propose(
            self._breed, self._ledger, count, self._rng, self._screen, self._kept_share
        )
        if len(children) == count:
            return children
        return np.concatenate([children, self._fresh(count - len(children))])

    def _fresh(self, count: int) -> Genes:
        return propose(self._sample, self._ledger, count, self._rng, self._screen)[0]

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
            genes = np.concatenate([self._genes, genes])
            objectives = np.concatenate([self._objectives, objectives])
            outside = np.concatenate([self._violations, outside])
        if len(genes) == 0:
            return
        self._keep(genes, objectives, outside)

    def _keep(self, genes: Genes, objectives: Floats, violations: Floats) -> None:
        kept = self._select(objectives, violations)
        self._genes, self._objectives = genes[kept], objectives[kept]
        self._violations = violations[kept]
        self._has_started = True

    @abstractmethod
    def _select(self, objectives: Floats, violations: Floats) -> Integers:
        """Indices of those that form the next population, of the old one followed by the newcomers."""

    @abstractmethod
    def _breed(self, count: int, rng: np.random.Generator) -> Genes:
        """Children of the population (count, genes), canonical; duplicates are sorted out afterwards."""

    def state(self) -> State:
        """Population, ledger and random state, as JSON-ready values."""
        return {
            "genes": self._genes.tolist(),
            "objectives": self._objectives.tolist(),
            "violations": self._violations.tolist(),
            "ledger": self._ledger.state(),
            "random": self._rng.bit_generator.state,
            "has_started": self._has_started,
            "kept_share": self._kept_share,
        }

    def restore(self, state: State) -> None:
        """Continue from `state()` of an instance built with the same arguments."""
        self._ledger = Ledger(self._space, state["ledger"])
        self._rng.bit_generator.state = state["random"]
        self._has_started = bool(state["has_started"])
        self._kept_share = float(state["kept_share"])
        self._genes = np.array(state["genes"], np.int16).reshape(-1, self._space.gene_count)
        objectives = np.array(state["objectives"], np.float64)
        self._objectives = objectives.reshape(len(self._genes), objectives.shape[-1])
        self._violations = np.array(state["violations"], np.float64)
