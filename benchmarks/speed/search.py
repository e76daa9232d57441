"""Speed and quality of the search: costs a second, candidates a second, fronts against pymoo's NSGA-II.

Costs are the real table's; accuracy is a made-up landscape over genes, as the algorithm is measured here.
Searches start from a compiled plan whose extremes are known; feasibility_seconds has the time to find them.
Rates and the two searches are by the CPU seconds of their one thread, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.support.search_limits import ROWS, feasibility_figures, query_seconds
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import DEFAULT_DEVICE, load_device
from nas.assembly.hardware import cached_table
from search.costs.budgets import KB, Budgets
from search.costs.cost_plan import CostPlan, compile_costs
from search.evolution import NSGA2, Problem
from search.feasibility.budget_check import FeasibleSampler, check, sample_uniform, spread_over_costs
from search.loop.predictor import Features, fit_predictor
from search.pareto.fronts import hypervolume, non_dominated
from supernet.space.search_space import Genes, SearchSpace, load_space

Floats = npt.NDArray[np.float64]
BUDGETS = Budgets(flash_bytes=80 * KB, latency_ms=50.0, peak_ram_bytes=256 * KB, power_mw=5.0)
BATCH = 100_000
POPULATION = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks search`."""
    parser.add_argument("--seeds", type=int, default=10, help="searches to compare with pymoo (default 10)")
    parser.add_argument("--evaluations", type=int, default=3000, help="evaluations of each search compared")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"archived rows to query (default {ROWS})")


@dataclass(frozen=True)
class Landscape:
    """A made-up error over genes: every gene helps with diminishing return, pairs of genes interact."""

    gains: Floats
    pairs: tuple[tuple[int, int, Floats], ...]
    highs: npt.NDArray[np.int16]

    @classmethod
    def over(cls, space: SearchSpace, seed: int = 0) -> Landscape:
        """The landscape of a space; equal seeds give equal landscapes."""
        rng = np.random.default_rng(seed)
        count = space.gene_count
        pairs = []
        for first in range(count - 1):
            second = int(rng.integers(first + 1, count))
            shape = (int(space.highs[first]) + 1, int(space.highs[second]) + 1)
            pairs.append((first, second, rng.normal(0.0, 0.25, shape)))
        return cls(rng.uniform(0.3, 1.5, count), tuple(pairs), space.highs)

    def errors(self, genes: Genes) -> Floats:
        """Errors (n,) of canonical genes."""
        scaled = genes / np.maximum(self.highs, 1)
        found = 12.0 - (1.0 - np.exp(-2.0 * scaled)) @ self.gains
        for first, second, table in self.pairs:
            found += table[genes[:, first], genes[:, second]]
        return np.asarray(found)


@dataclass(frozen=True)
class ThreeObjectives:
    """Error, latency and flash to minimise within the default budgets."""

    plan: CostPlan
    landscape: Landscape

    def objectives(self, genes: Genes) -> tuple[Floats, Floats]:
        """Objectives (n, 3) and violations (n,)."""
        costs = self.plan.costs(genes)
        points = np.stack([self.landscape.errors(genes), costs.latency_ms, costs.column("flash_bytes")], axis=1)
        return points, BUDGETS.violations(costs)

    def admits(self, genes: Genes) -> npt.NDArray[np.bool_]:
        """Which are within the budgets."""
        return BUDGETS.admits(self.plan.costs(genes))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module's first line. pymoo's figures need the extra `dev` and are None without it."""
    plan = _plan(load_space("default"))
    problem = ThreeObjectives(plan, Landscape.over(plan.space))
    result: dict[str, Any] = {
        "cost_archs_per_s": round(_cost_rate(plan)),
        "candidates_per_s": round(_candidate_rate(problem)),
        **_exhaustive(_reduced_plan()),
        **feasibility_figures(plan, BUDGETS),
        "archived_rows": options.rows,
        "query_seconds_million_rows": round(query_seconds(plan, problem.landscape.errors, BUDGETS, options.rows), 3),
    }
    try:
        import pymoo  # noqa: F401
    except ImportError:
        missing = (
            "pymoo_candidates_per_s",
            "hypervolume_ratio",
            "hypervolume_ratio_smallest",
            "time_to_pymoo_hypervolume_ratio",
        )
        return {**result, **dict.fromkeys(missing)}
    return {**result, **_against_pymoo(problem, options.seeds, options.evaluations)}


def _plan(space: SearchSpace) -> CostPlan:
    device = load_device(DEFAULT_DEVICE)
    return compile_costs(space, CostModel(cached_table(space, device.target), device))


def _reduced_plan() -> CostPlan:
    """Some ten thousand members of the default space, whose kernels are all in its table."""
    space = load_space("default")
    stages = []
    for stage, depth in zip(space.stages, (1, 1, 2), strict=True):
        blocks = []
        for choices in stage.blocks[:depth]:
            held = choices.kinds["inverted_residual"].model_dump()
            ends = (min(held["expansions"]), max(held["expansions"]))
            narrow = {"kernels": held["kernels"], "dilations": held["dilations"][:1], "expansions": ends}
            blocks.append({"inverted_residual": narrow})
        stages.append({"stride": stage.stride, "widths": stage.widths[-2:], "min_depth": 1, "blocks": blocks})
    changes = {"name": "reduced", "stem_widths": space.stem_widths[:1], "stages": stages}
    small = SearchSpace(**{**space.model_dump(), **changes})
    device = load_device(DEFAULT_DEVICE)
    return compile_costs(small, CostModel(cached_table(space, device.target), device))


def _cost_rate(plan: CostPlan) -> float:
    genes = plan.space.sample(BATCH, np.random.default_rng(0))
    plan.costs(genes)
    return BATCH / _best_time(lambda: plan.costs(genes))


def _best_time(work: Callable[[], object], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def _candidate_rate(problem: ThreeObjectives, generations: int = 150) -> float:
    """Distinct candidates within the budgets, costed, predicted and sorted in, per second.

    The predictor has learned from 300 of the space's members; this is the search that screening runs.
    """
    space, rng = problem.plan.space, np.random.default_rng(1)
    known = sample_uniform(space, 300, rng)
    predictor = fit_predictor(Features.of(space), known, problem.landscape.errors(known))
    search = NSGA2(Problem(space, POPULATION, screen=problem.admits))
    count = 0
    started = time.process_time()
    for _ in range(generations):
        genes = search.ask()
        costs = problem.plan.costs(genes)
        columns = [predictor(genes)[0], costs.latency_ms, costs.column("flash_bytes")]
        search.tell(genes, np.stack(columns, axis=1), BUDGETS.violations(costs))
        count += len(genes)
    return count / (time.process_time() - started)


def _exhaustive(plan: CostPlan) -> dict[str, Any]:
    """Share of the true front of an enumerated space that one search finds, and what it looked at for it."""
    small = ThreeObjectives(plan, Landscape.over(plan.space))
    members = every_member(plan.space)
    points, violations = small.objectives(members)
    inside = violations == 0
    members, points = members[inside], points[inside]
    front = {tuple(row) for row in members[non_dominated(points)].tolist()}
    search = NSGA2(Problem(plan.space, 400, screen=small.admits))
    seen: set[tuple[int, ...]] = set()
    while len(seen) < len(members) and not front <= seen:
        genes = search.ask()
        if len(genes) == 0:
            break
        search.tell(genes, *small.objectives(genes))
        seen |= {tuple(row) for row in genes.tolist()}
    return {
        "exhaustive_front_found": front <= seen,
        "exhaustive_members": len(members),
        "exhaustive_front": len(front),
        "exhaustive_evaluated_share": round(len(seen) / len(members), 3),
    }


def every_member(space: SearchSpace) -> Genes:
    """All canonical genes of a small space, (n, genes)."""
    axes = [np.arange(low, high + 1) for low, high in zip(space.lows, space.highs, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, space.gene_count)
    return np.unique(space.canonical(grid), axis=0)


@dataclass(frozen=True)
class _Trace:
    """One search: all feasible objectives it saw, and the CPU seconds and count after each generation."""

    points: Floats
    seconds: list[float]
    counts: list[int]


def _own_trace(problem: ThreeObjectives, seed: int, evaluations: int) -> _Trace:
    """Our search as `run_search` sets it up, first candidates spread over the costs; batches as pymoo's."""
    points: list[Floats] = []
    seconds: list[float] = []
    counts: list[int] = []
    started = time.process_time()
    plan = problem.plan
    feasibility = check(plan, BUDGETS, seed)
    sampler = FeasibleSampler(plan, BUDGETS, feasibility)
    cheapest = [feasibility.smallest[name].arch for name in ("cycles", "flash_bytes")]
    drawn = sampler(10 * POPULATION, np.random.default_rng([seed, 5]))
    first = np.concatenate([plan.space.encode(cheapest), spread_over_costs(plan, drawn, POPULATION // 2)])
    search = NSGA2(Problem(plan.space, POPULATION, seed, screen=problem.admits, sample=sampler, initial=first))
    while not counts or counts[-1] < evaluations:
        genes = search.ask()
        found, violations = problem.objectives(genes)
        search.tell(genes, found, violations)
        seconds.append(time.process_time() - started)
        points.append(found)
        counts.append((counts[-1] if counts else 0) + len(genes))
    return _Trace(np.concatenate(points), seconds, counts)


def _pymoo_trace(problem: ThreeObjectives, seed: int, evaluations: int) -> _Trace:
    from pymoo.algorithms.moo.nsga2 import NSGA2 as Oracle  # noqa: N811
    from pymoo.core.problem import Problem as Base
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    space, seen = problem.plan.space, []

    class Free(Base):
        """The same objectives; one constraint, the sum of excesses."""

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            points, violations = problem.objectives(space.canonical(np.asarray(x).round()))
            seen.append(points[violations == 0])
            out["F"], out["G"] = points, violations[:, None]

    algorithm = Oracle(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=0.9, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    task = Free(
        n_var=space.gene_count,
        n_obj=3,
        n_ieq_constr=1,
        xl=space.lows.astype(int),
        xu=space.highs.astype(int),
        vtype=int,
    )
    started = time.process_time()
    minimize(task, algorithm, ("n_eval", evaluations), seed=seed, verbose=False)
    return _Trace(np.concatenate(seen), [time.process_time() - started], [evaluations])


def _against_pymoo(problem: ThreeObjectives, seeds: int, evaluations: int) -> dict[str, Any]:
    """Equal evaluations: hypervolume over pymoo's, and the time to reach pymoo's final one over pymoo's."""
    scale = problem.objectives(sample_uniform(problem.plan.space, 4000, np.random.default_rng(0)))[0]
    reference = scale.max(axis=0)

    def volume(points: Floats) -> float:
        return hypervolume(points / reference, np.ones(3))

    ratios, times, rates = [], [], []
    for seed in range(seeds):
        theirs = _pymoo_trace(problem, seed, evaluations)
        ours = _own_trace(problem, seed, 2 * evaluations)
        goal = volume(theirs.points)
        ratios.append(volume(ours.points[:evaluations]) / goal)
        reached = [
            second
            for second, count in zip(ours.seconds, ours.counts, strict=True)
            if volume(ours.points[:count]) >= goal
        ]
        times.append(reached[0] / theirs.seconds[-1] if reached else float("nan"))
        rates.append(evaluations / theirs.seconds[-1])
    reached_by = int(np.isfinite(times).sum())
    return {
        "pymoo_candidates_per_s": round(float(np.median(rates))),
        "hypervolume_ratio": round(float(np.mean(ratios)), 4),
        "hypervolume_ratio_smallest": round(float(np.min(ratios)), 4),
        "time_to_pymoo_hypervolume_ratio": round(float(np.mean(times)), 4) if reached_by == seeds else None,
        "time_to_pymoo_hypervolume_ratio_median": round(float(np.median(np.nan_to_num(times, nan=9e9))), 4),
        "time_to_pymoo_hypervolume_ratio_worst": round(float(np.max(times)), 4),
        "seeds_that_reached_pymoo_hypervolume": reached_by,
        "seeds": seeds,
        "evaluations": evaluations,
    }
