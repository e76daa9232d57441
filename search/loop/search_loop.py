"""The search: feasible architectures only, evaluated on validation data, every result in the archive.

A killed search is replayed from its seed; what the archive knows is not measured again, so it ends
with the same rows as an undisturbed one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.archive.archive import Archive
from search.archive.rows import Row
from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan
from search.evolution import GeneMutation, Problem, UniformCrossover
from search.feasibility.budget_check import Feasibility, FeasibleSampler, check, spread_over_costs
from search.loop.evaluator import Evaluator
from search.loop.generations import Generations, Say
from search.loop.racing import most_precise, objectives_of, race
from search.loop.recorder import Progress, Recorder
from search.loop.screening import Quality
from search.loop.settings import SearchSettings
from search.pareto.fronts import non_dominated
from supernet.space.arch import Arch
from supernet.space.search_space import Genes

LONGEST_STEP_MS = 2000.0


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is searched: the space that `plan` costs on `device`, within `budgets`.

    The first of the `evaluators` measures every candidate; further ones, each on more windows than the one
    before, measure again who may belong to the front. `students` are architectures to try first where they fit.
    """

    plan: CostPlan
    budgets: Budgets
    evaluators: Sequence[Evaluator]
    device: str
    seed: int = 0
    students: Sequence[Arch] = ()


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


def examine(plan: CostPlan, budgets: Budgets, settings: SearchSettings, seed: int = 0) -> tuple[Budgets, Feasibility]:
    """The budgets that a search keeps, and what of the space they leave. Raises what `check` does."""
    if settings.wants_steps and budgets.step_latency_ms is None:
        # A step that takes longer than the time to the next is none; so networks that cannot stream stay out.
        budgets = replace(budgets, step_latency_ms=LONGEST_STEP_MS)
    return budgets, check(plan, budgets, seed)


def run_search(
    study: Study,
    settings: SearchSettings,
    archive: Archive,
    *,
    examined: tuple[Budgets, Feasibility] | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> SearchResult:
    """Search as `settings` say, and write every evaluation.

    After the students, the front of earlier searches with the same weights is tried. With an objective of steps,
    networks that cannot stream are left out; the plan must then cost both modes. `examined` is what `examine` gave
    before, which else is asked here. Raises InfeasibleBudget before anything is evaluated.
    """
    budgets, feasibility = examined or examine(study.plan, study.budgets, settings, study.seed)
    problem = _problem(replace(study, budgets=budgets), settings, archive, feasibility)
    first, *finer = study.evaluators
    most = settings.evaluations + (settings.reevaluation_limit if finer else 0)
    with Recorder(study.plan, archive, study.device, study.seed, progress, most) as recorder:
        generations = Generations(settings, problem, recorder, say)
        generations.run(first)
        first_look = len(recorder.rows)
        still_open = race(recorder, finer, settings, generations.count, say) if finer else 0
    rows = most_precise(recorder.rows)
    is_on_front = non_dominated(objectives_of(rows, settings.objectives))
    front = [row for row, is_kept in zip(rows, is_on_front, strict=True) if is_kept]
    return SearchResult(
        tuple(sorted(front, key=lambda row: (row.error, row.latency_ms, row.arch))),
        tuple(rows),
        feasibility,
        generations.count,
        generations.predictor_quality,
        generations.screened,
        len(recorder.rows) - first_look,
        still_open,
    )


def _problem(study: Study, settings: SearchSettings, archive: Archive, feasibility: Feasibility) -> Problem:
    """What the algorithm is given: only what fits the budgets, first what is likely to be good."""
    sampler = FeasibleSampler(study.plan, study.budgets, feasibility)
    inherited = _inherited(study, settings, archive)
    fresh = _first_candidates(study, settings, sampler, feasibility)
    return Problem(
        study.plan.space,
        population=settings.population,
        seed=study.seed,
        screen=sampler.admits,
        sample=sampler,
        initial=np.concatenate([study.plan.space.encode(list(study.students)), inherited, fresh]),
    )


def _inherited(study: Study, settings: SearchSettings, archive: Archive) -> Genes:
    """The front of what earlier searches measured with the same weights, as costed here; nothing at first."""
    plan, space = study.plan, study.plan.space
    origin = study.evaluators[0].provenance
    last = archive.begin_search(_description(study, settings))
    rows = archive.rows(
        "id <= ? AND space = ? AND weights = ? AND fold = ? AND protocol = ?",
        (last, space.name, origin.weights, origin.fold, origin.protocol),
    )
    errors = {row.genes: row.error for row in rows}
    genes = np.array(list(errors), np.int16).reshape(-1, space.gene_count)
    costs = plan.costs(genes)
    columns = [costs.column(name) for name in settings.objectives if name != "error"]
    points = np.stack([np.array(list(errors.values())), *columns], axis=1)
    inside = np.flatnonzero(study.budgets.admits(costs))
    front = inside[non_dominated(points[inside])]
    best = front[np.argsort(points[front, 0], kind="stable")]
    picked = np.linspace(0, len(best) - 1, min(len(best), settings.population // 2)).round().astype(int)
    return genes[best[picked]]


def _description(study: Study, settings: SearchSettings) -> str:
    """The text by which the archive knows this search again; all that its candidates depend on."""
    origin = study.evaluators[0].provenance
    description = {
        "space": study.plan.space.name,
        "device": study.device,
        "budgets": study.budgets.limits,
        "weights": origin.weights,
        "fold": origin.fold,
        "protocol": origin.protocol,
        "seed": study.seed,
        "population": settings.population,
        "batch": settings.batch_size,
        "ahead": settings.ahead,
        "objectives": settings.objectives,
        "variation": {"crossover": UniformCrossover().share, "mutation": GeneMutation().chance},
        "screened": settings.screening == "predictor",
        "algorithm": settings.algorithm,
    }
    return json.dumps(description, sort_keys=True)


def _first_candidates(
    study: Study, settings: SearchSettings, sampler: FeasibleSampler, feasibility: Feasibility
) -> Genes:
    """The cheapest members, and feasible samples spread from the cheapest to the dearest."""
    drawn = sampler(40 * settings.population, np.random.default_rng([study.seed, 5]))
    fitting = np.concatenate([drawn[sampler.admits(drawn)], feasibility.starts[: settings.population]])
    spread = spread_over_costs(study.plan, fitting, max(1, settings.population // 2))
    cheapest = [feasibility.smallest[name].arch for name in ("cycles", "flash_bytes")]
    return np.concatenate([study.plan.space.encode(cheapest), spread])
