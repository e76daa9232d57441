"""What every search algorithm offers: ask for candidates, tell their objectives, save, restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from search.pareto.fronts import Booleans, Floats
from supernet.space.search_space import Genes

Screen = Callable[[Genes], Booleans]
Sampler = Callable[[int, np.random.Generator], Genes]
State = dict[str, Any]


class Algorithm(Protocol):
    """Ask/tell, seeded, free of duplicates; equal calls with one seed give equal answers, bit for bit."""

    def ask(self, count: int | None = None) -> Genes:
        """Up to `count` new candidates (n, genes) that the screen admits; none once the space is spent."""

    def tell(self, genes: Genes, objectives: Floats, violations: Floats | None = None) -> None:
        """Take in results: objectives (n, m) to minimise, violations (n,) with 0 for feasible."""

    def state(self) -> State:
        """Everything needed to continue, as JSON-ready values."""

    def restore(self, state: State) -> None:
        """Continue from `state()` of an instance built with the same arguments."""
