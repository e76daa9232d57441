"""The search: feasible architectures only, evaluated on validation data, every result in the archive.

A killed search is replayed from its seed; what the archive knows is not measured again, so it ends
with the same rows as an undisturbed one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from hwmodels.errors import InputError
from search.archive import Archive, Row, make_row
from search.budgets import Budgets
from search.cost_plan import COST_NAMES, CostPlan
from search.evaluator import Evaluator
from search.evolution import NSGA2, Variation
from search.feasibility import Feasibility, FeasibleSampler, check, spread_over_costs
from search.pareto import Floats, non_dominated
from supernet.arch import Arch
from supernet.space import Genes, SearchSpace

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, note)."""


class SearchSettingsError(InputError):
    """A setting of the search that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the search runs. `evaluations` counts distinct architectures, remembered ones included.

    After the first population, `batch` candidates are bred, evaluated and sorted in at a time: small
    batches learn sooner, and a batch is the most that workers can share. None is a quarter of the population.

    `objectives` are minimised: "error" and any cost names. Half of the first population spreads evenly
    over the costs of feasible samples.
    """

    evaluations: int = 240
    population: int = 40
    batch: int | None = None
    seed: int = 0
    objectives: tuple[str, ...] = ("error", "latency_ms", "flash_bytes", "peak_ram_bytes")
    variation: Variation = field(default_factory=Variation)

    def __post_init__(self) -> None:
        known = ("error", *COST_NAMES)
        for name in self.objectives:
            if name not in known:
                raise SearchSettingsError(
                    f"search objectives: unknown {name!r}, known are {', '.join(known)}"
                )
        if len(set(self.objectives)) != len(self.objectives) or not self.objectives:
            raise SearchSettingsError("search objectives: at least one, each stated once")
        if self.batch is not None and self.batch < 1:
            raise SearchSettingsError(f"search batch: must be 1 or more, got {self.batch}")
        if self.population < 2 or self.evaluations < 1 or self.seed < 0:
            raise SearchSettingsError(
                f"search: population must be 2 or more, evaluations 1 or more and seed 0 or more, got "
                f"{self.population}, {self.evaluations}, {self.seed}"
            )

    @property
    def batch_size(self) -> int:
        """Candidates a generation after the first."""
        return max(1, self.population // 4) if self.batch is None else self.batch


@dataclass(frozen=True)
class SearchResult:
    """What a search found: its front and all its rows, best knowledge of feasibility, generations run."""

    front: tuple[Row, ...]
    rows: tuple[Row, ...]
    feasibility: Feasibility
    generations: int


def run_search(
    space: SearchSpace,
    plan: CostPlan,
    evaluator: Evaluator,
    budgets: Budgets,
    settings: SearchSettings,
    archive: Archive,
    *,
    device: str,
    students: Sequence[Arch] = (),
    progress: Progress | None = None,
) -> SearchResult:
    """Search `space` within `budgets` on the device that `plan` costs, and write every evaluation.

    `students` are architectures to try first where they fit; the front of earlier searches with the
    same weights is tried next. Raises InfeasibleBudget before anything is evaluated.
    """
    feasibility = check(plan, budgets, settings.seed)
    sampler = FeasibleSampler(plan, budgets, feasibility)
    inherited = _inherited(space, plan, evaluator, budgets, settings, archive, device)
    fresh = _first_candidates(space, plan, sampler, feasibility, settings)
    algorithm = NSGA2(
        space,
        population=settings.population,
        seed=settings.seed,
        screen=sampler.admits,
        sample=sampler,
        initial=np.concatenate([space.encode(list(students)), inherited, fresh]),
        variation=settings.variation,
    )
    rows: list[Row] = []
    generation = 0
    while len(rows) < settings.evaluations:
        wanted = settings.batch_size if rows else settings.population
        genes = algorithm.ask(min(wanted, settings.evaluations - len(rows)))
        if len(genes) == 0:
            break
        archs, costs = space.decode(genes), plan.costs(genes)
        known = archive.metrics(genes, space.name, evaluator.provenance)
        errors = []
        for index, metrics in enumerate(evaluator(archs, known)):
            row = make_row(
                archs[index], genes[index], space.name, device, costs.row(index), metrics,
                evaluator.provenance, settings.seed, generation,
            )  # fmt: skip
            archive.append([row])
            rows.append(row)
            errors.append(metrics.error)
            if progress:
                best = min(row.error for row in rows)
                progress(len(rows), settings.evaluations, f"generation {generation}, best {best:.3g}")
        algorithm.tell(genes, _objectives(rows[-len(genes) :], settings.objectives))
        generation += 1
    front = non_dominated(_objectives(rows, settings.objectives))
    best_first = sorted((row for row, is_kept in zip(rows, front, strict=True) if is_kept), key=_by_error)
    return SearchResult(tuple(best_first), tuple(rows), feasibility, generation)


def _by_error(row: Row) -> tuple[float, float, str]:
    return row.error, row.latency_ms, row.arch


def _objectives(rows: Sequence[Row], names: tuple[str, ...]) -> Floats:
    return np.array([[getattr(row, name) for name in names] for row in rows], np.float64)


def _inherited(
    space: SearchSpace,
    plan: CostPlan,
    evaluator: Evaluator,
    budgets: Budgets,
    settings: SearchSettings,
    archive: Archive,
    device: str,
) -> Genes:
    """The front of what earlier searches measured with the same weights, as costed here; nothing at first."""
    origin = evaluator.provenance
    description = {
        "space": space.name, "device": device, "budgets": budgets.limits, "weights": origin.weights,
        "fold": origin.fold, "protocol": origin.protocol, "seed": settings.seed,
        "population": settings.population, "batch": settings.batch_size, "objectives": settings.objectives,
        "variation": asdict(settings.variation),
    }  # fmt: skip
    last = archive.begin_search(json.dumps(description, sort_keys=True))
    rows = archive.rows(
        "id <= ? AND space = ? AND weights = ? AND fold = ? AND protocol = ?",
        (last, space.name, origin.weights, origin.fold, origin.protocol),
    )
    errors = {row.genes: row.error for row in rows}
    genes = np.array(list(errors), np.int16).reshape(-1, space.gene_count)
    costs = plan.costs(genes)
    columns = [costs.column(name) for name in settings.objectives if name != "error"]
    points = np.stack([np.array(list(errors.values())), *columns], axis=1)
    inside = np.flatnonzero(budgets.admits(costs))
    front = inside[non_dominated(points[inside])]
    best = front[np.argsort(points[front, 0], kind="stable")]
    picked = np.linspace(0, len(best) - 1, min(len(best), settings.population // 2)).round().astype(int)
    return genes[best[picked]]


def _first_candidates(
    space: SearchSpace,
    plan: CostPlan,
    sampler: FeasibleSampler,
    feasibility: Feasibility,
    settings: SearchSettings,
) -> Genes:
    """The cheapest members, and feasible samples spread from the cheapest to the dearest."""
    rng = np.random.default_rng([settings.seed, 5])
    drawn = sampler(40 * settings.population, rng)
    held = np.concatenate([drawn[sampler.admits(drawn)], feasibility.starts[: settings.population]])
    spread = spread_over_costs(plan, held, max(1, settings.population // 2))
    cheapest = space.encode([feasibility.smallest[name].arch for name in ("cycles", "flash_bytes")])
    return np.concatenate([cheapest, spread])
