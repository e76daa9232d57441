"""The ledger of candidates already proposed, which keeps a search free of duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from search.pareto.fronts import Booleans
from supernet.space.search_space import Genes, SearchSpace


class Ledger:
    """Every candidate taken so far, so that none is proposed twice.

    Canonical genes become one exact integer each: mixed radix where it fits 63 bits, else their bytes.
    """

    def __init__(self, space: SearchSpace, taken: Iterable[int] = ()) -> None:
        spans = [int(high) + 1 for high in space.highs.tolist()]
        fits = prod(spans) < 2**63
        weights = [prod(spans[column + 1 :]) for column in range(len(spans))]
        self._weights = np.array(weights, np.int64) if fits else None
        self._taken = set(taken)

    def __len__(self) -> int:
        return len(self._taken)

    def keys(self, genes: Genes) -> list[int]:
        """One integer a row; equal exactly when the canonical genes are."""
        if self._weights is not None:
            keys: list[int] = (genes.astype(np.int64) @ self._weights).tolist()
            return keys
        rows = np.ascontiguousarray(genes, "<i2")
        return [int.from_bytes(row.tobytes(), "little") for row in rows]

    def take(self, genes: Genes, is_wanted: Booleans | None = None, most: int | None = None) -> Genes:
        """The first `most` wanted rows never taken before; from now on they count as taken."""
        taken, keys = self._taken, self.keys(genes)
        wanted = range(len(genes)) if is_wanted is None else np.flatnonzero(is_wanted).tolist()
        # Backwards, so that of equal rows the first one's index stays.
        first = {keys[index]: index for index in reversed(wanted) if keys[index] not in taken}
        chosen = sorted(first.values())[:most]
        taken.update([keys[index] for index in chosen])
        return genes[chosen]

    def state(self) -> list[int]:
        """The keys taken, sorted; give them to a new ledger to continue."""
        return sorted(self._taken)
