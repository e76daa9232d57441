"""The search: feasible architectures only, evaluated on validation data, every result in the archive.

A killed search is replayed from its seed; what the archive knows is not measured again, so it ends
with the same rows as an undisturbed one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from search.archive.archive import Archive, Row
from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan
from search.evolution import Stopping
from search.feasibility.budget_check import Feasibility, FeasibleSampler, check, spread_over_costs
from search.loop.evaluator import Evaluator
from search.loop.prefix_tree import depth_first
from search.loop.racing import contenders, most_precise, objectives_of
from search.loop.recorder import Progress, Recorder
from search.loop.screening import Quality, Screening
from search.loop.settings import SearchSettings
from search.pareto.fronts import non_dominated
from supernet.space.arch import Arch
from supernet.space.search_space import Genes, SearchSpace

LONGEST_STEP_MS = 2000.0
Say = Callable[[str], None]
"""Called with one line that the user should read."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found: its front and all its rows, best knowledge of feasibility, generations run.

    `front` and `rows` hold each architecture once, as measured on most windows. `predictor` tells how good
    the accuracy predictor was at the end, `screened` how many candidates it chose; `reevaluated` how many
    were measured again on more windows, and `open_contenders` how many more might have changed the front.
    """

    front: tuple[Row, ...]
    rows: tuple[Row, ...]
    feasibility: Feasibility
    generations: int
    predictor: Quality | None = None
    screened: int = 0
    reevaluated: int = 0
    open_contenders: int = 0


def examine(plan: CostPlan, budgets: Budgets, settings: SearchSettings) -> tuple[Budgets, Feasibility]:
    """The budgets that a search keeps, and what of the space they leave. Raises what `check` does."""
    if settings.wants_steps and budgets.step_latency_ms is None:
        # A step that takes longer than the time to the next is none; so networks that cannot stream stay out.
        budgets = replace(budgets, step_latency_ms=LONGEST_STEP_MS)
    return budgets, check(plan, budgets, settings.seed)


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
    finer: Sequence[Evaluator] = (),
    examined: tuple[Budgets, Feasibility] | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> SearchResult:
    """Search `space` within `budgets` on the device that `plan` costs, and write every evaluation.

    `students` are architectures to try first where they fit; the front of earlier searches with the
    same weights is tried next. `finer` evaluators measure on more and more windows: those who may belong
    to the front go through them. With an objective of steps, networks that cannot stream are left out; `plan`
    must then cost both modes. `examined` is what `examine` gave before, which else is asked here.
    Raises InfeasibleBudget before anything is evaluated.
    """
    budgets, feasibility = examined or examine(plan, budgets, settings)
    sampler = FeasibleSampler(plan, budgets, feasibility)
    inherited = _inherited(space, plan, evaluator, budgets, settings, archive, device)
    fresh = _first_candidates(space, plan, sampler, feasibility, settings)
    shared: dict[str, Any] = {
        "population": settings.population,
        "seed": settings.seed,
        "screen": sampler.admits,
        "sample": sampler,
        "variation": settings.variation,
    }
    initial = np.concatenate([space.encode(list(students)), inherited, fresh])
    kind = settings.algorithm_class
    algorithm = kind(space, initial=initial, **shared)
    screening = Screening(plan, settings.objectives, algorithm=kind, **shared) if settings.uses_predictor else None
    stopping = Stopping(settings.patience)
    most = settings.evaluations + (settings.reevaluation_limit if finer else 0)
    generation, proposed, screened = 0, 0, 0
    was_trusted: bool | None = None
    with Recorder(plan, archive, device, settings.seed, progress, most) as measure:
        while True:
            while len(measure.under_way) <= settings.ahead and proposed < settings.evaluations:
                if stopping.reason is not None:
                    break
                wanted = settings.batch_size if generation else settings.population
                wanted = min(wanted, settings.evaluations - proposed)
                chosen = space.lows[None][:0]
                if screening is not None and screening.is_trusted:
                    chosen = screening.ask(wanted, algorithm.genes, algorithm.objectives)
                    algorithm.exclude(chosen)
                    screened += len(chosen)
                genes = np.concatenate([chosen, algorithm.ask(wanted - len(chosen))])
                if len(genes) == 0:
                    break
                if screening is not None:
                    screening.exclude(genes)
                measure.begin(evaluator, depth_first(genes), generation)
                proposed += len(genes)
                generation += 1
            if not measure.under_way:
                break
            genes, rows = measure.finish()
            points = objectives_of(rows, settings.objectives)
            algorithm.tell(genes, points)
            stopping.tell(points)
            if screening is not None:
                screening.learn(genes, np.array([row.error for row in rows]))
                if screening.quality is not None and screening.is_trusted != was_trusted:
                    was_trusted = screening.is_trusted
                    if say:
                        say(_switched(screening.quality))
        first_look = len(measure.rows)
        if say and stopping.reason is not None:
            say(f"ended after {first_look} evaluations: {stopping.reason}")
        still_open = _race(measure, finer, settings, generation, say) if finer else 0
    rows = most_precise(measure.rows)
    front = non_dominated(objectives_of(rows, settings.objectives))
    best_first = sorted((row for row, is_kept in zip(rows, front, strict=True) if is_kept), key=_by_error)
    return SearchResult(
        tuple(best_first),
        tuple(rows),
        feasibility,
        generation,
        screening.quality if screening is not None else None,
        screened,
        len(measure.rows) - first_look,
        still_open,
    )


def _race(
    measure: Recorder, finer: Sequence[Evaluator], settings: SearchSettings, generation: int, say: Say | None
) -> int:
    """Measure contenders on more windows until the front is stable or the evaluations for it are spent.

    Returns how many contenders are left.
    """
    next_of = {before.provenance.protocol: after for before, after in pairwise(finer)}
    final, left = finer[-1].provenance.protocol, settings.reevaluation_limit
    while True:
        rows = contenders(most_precise(measure.rows), settings.objectives, final, settings.confidence)
        if not rows or left == 0:
            break
        # Only those of one protocol go together: the evaluator is theirs.
        held = [row for row in rows if row.protocol == rows[0].protocol][: min(left, settings.batch_size)]
        genes = depth_first(np.array([row.genes for row in held], np.int16))
        measure.begin(next_of.get(held[0].protocol, finer[0]), genes, generation)
        measure.finish()
        left -= len(held)
        generation += 1
    if say:
        spent = f"{settings.reevaluation_limit - left} re-evaluated on more windows"
        told = f"{len(rows)} contenders left unmeasured" if rows else "the front is stable"
        say(f"{spent}: {told} at {settings.confidence:.0%} confidence")
    return len(rows)


def _switched(quality: Quality) -> str:
    """What the user is told when screening begins or ends."""
    if quality.fault is None:
        return f"accuracy predictor on after {quality.samples} evaluations: {quality}"
    return (
        f"WARNING: accuracy predictor OFF after {quality.samples} evaluations: {quality.fault}; candidates "
        "come from crossover and mutation alone until it is better"
    )


def _by_error(row: Row) -> tuple[float, float, str]:
    return row.error, row.latency_ms, row.arch


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
        "space": space.name,
        "device": device,
        "budgets": budgets.limits,
        "weights": origin.weights,
        "fold": origin.fold,
        "protocol": origin.protocol,
        "seed": settings.seed,
        "population": settings.population,
        "batch": settings.batch_size,
        "ahead": settings.ahead,
        "objectives": settings.objectives,
        "variation": asdict(settings.variation),
        "screened": settings.is_screened,
        "algorithm": settings.algorithm,
    }
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
