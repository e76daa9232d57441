"""Candidates on their way: given to workers, costed, scored, archived one by one, so that none is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from search.archive.archive import Archive
from search.archive.rows import Origin, Provenance, Row, make_row
from search.costs.cost_plan import CostPlan
from search.loop.evaluator import Evaluator, Measurements
from supernet.space.arch import Arch
from supernet.space.search_space import Genes

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, note)."""


@dataclass(frozen=True)
class Flight:
    """Candidates that are being measured."""

    provenance: Provenance
    genes: Genes
    archs: Sequence[Arch]
    measurements: Measurements
    generation: int


@dataclass
class Recorder:
    """Measures, costs and archives candidates, in the order in which they were begun; a context manager.

    `rows` holds all that was archived. Leaving takes back what workers have not begun with.
    """

    plan: CostPlan
    archive: Archive
    device: str
    seed: int
    progress: Progress | None
    total: int
    rows: list[Row] = field(default_factory=list)
    under_way: deque[Flight] = field(default_factory=deque)

    def begin(self, evaluator: Evaluator, genes: Genes, generation: int) -> None:
        """Give candidates (n, genes) to the workers, if there are any, but for those the archive knows."""
        space = self.plan.space
        archs = space.decode(genes)
        known = self.archive.metrics(genes, space.name, evaluator.provenance)
        measurements = evaluator(archs, known)
        self.under_way.append(Flight(evaluator.provenance, genes, archs, measurements, generation))

    def finish(self) -> tuple[Genes, list[Row]]:
        """Wait for those begun first; archives each as it comes. Gives their genes and rows."""
        flight = self.under_way[0]
        costs = self.plan.costs(flight.genes)
        origin = Origin(self.plan.space.name, self.device, flight.provenance)
        for index, metrics in enumerate(flight.measurements):
            arch, genes = flight.archs[index], flight.genes[index]
            row = make_row(arch, genes, costs.row(index), metrics, origin, self.seed, flight.generation)
            self.archive.append([row])
            self.rows.append(row)
            if self.progress:
                best = min(row.error for row in self.rows)
                self.progress(len(self.rows), self.total, f"generation {flight.generation}, best {best:.3g}")
        self.under_way.popleft()
        return flight.genes, self.rows[len(self.rows) - len(flight.genes) :]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        for flight in self.under_way:
            flight.measurements.cancel()
