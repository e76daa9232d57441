"""Whether budgets can be met, found out before any search: what is smallest, what fits, where to start.

Single limits are decided exactly; all of them together by sampling and a guided search over costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwmodels.basics.errors import InputError
from search.costs.budgets import Budgets, name_and_unit
from search.costs.cost_plan import CostPlan
from search.evolution import NSGA2, Problem
from search.feasibility.extremes import Extreme, smallest_costs
from search.feasibility.uniform import UniformSampler
from search.pareto.fronts import Booleans
from supernet.space.arch import Arch
from supernet.space.search_space import Genes, SearchSpace

_SAMPLES = 4000
_POPULATION = 200
_GENERATIONS = 80
_STALLED = 25
_TRIAL_PAYS = 0.02


class InfeasibleBudget(InputError):  # noqa: N818
    """Budgets that no architecture meets; `nearest` holds the costs of the closest one, `arch` its name."""

    exit_code = 3

    def __init__(self, message: str, arch: Arch, nearest: dict[str, float]) -> None:
        super().__init__(message)
        self.arch = arch
        self.nearest = nearest


class StreamingBudget(InputError):  # noqa: N818
    """A limit on streaming steps in a space none of whose networks can stream."""


@dataclass(frozen=True)
class Feasibility:
    """What is known of budgets before the search.

    `smallest` per cost; `shares` of the space within each limit and `share` within all, estimated from
    uniform samples; `binding` is the limit that fewest architectures meet; `starts` are genes of
    architectures within all limits, (n, genes), at least one.
    """

    size: int
    smallest: Mapping[str, Extreme]
    shares: dict[str, float]
    share: float
    binding: str | None
    starts: Genes


def sample_uniform(space: SearchSpace, count: int, rng: np.random.Generator) -> Genes:
    """Canonical genes (count, genes), every architecture of the space equally likely."""
    rows = rng.integers(space.lows, space.highs + 1, (count, space.gene_count), dtype=np.int16)
    for column, stage in zip(space.width_columns, space.stages, strict=True):
        options = np.array([len(choices.options) for choices in stage.blocks], np.float64)
        ways = np.cumprod(options)[stage.min_depth - 1 :]
        depth = stage.min_depth + rng.choice(len(ways), count, p=ways / ways.sum())
        for position, choices in enumerate(stage.blocks):
            picks = rng.integers(1, len(choices.options) + 1, count)
            rows[:, column + 1 + position] = np.where(position < depth, picks, 0)
    return rows


def check(plan: CostPlan, budgets: Budgets, seed: int = 0) -> Feasibility:
    """Examine budgets. Raises InfeasibleBudget naming each limit that cannot be met and what could be, and
    StreamingBudget for a limit on steps where nothing streams.
    """
    smallest = smallest_costs(plan)
    for name in budgets.limits:
        if name not in smallest or np.isinf(smallest[name].value):
            raise StreamingBudget(
                f"budget {name}: no network of space {plan.space.name!r} can stream; leave out the budgets "
                "and objectives of steps"
            )
    rng = np.random.default_rng([seed, 11])
    rows = sample_uniform(plan.space, _SAMPLES, rng)
    extremes = plan.space.encode([extreme.arch for extreme in smallest.values()])
    costs = plan.costs(rows)
    shares = {name: float((costs.column(name) <= limit).mean()) for name, limit in budgets.limits.items()}
    inside = budgets.admits(costs)
    starts = np.concatenate([rows[inside], extremes[budgets.admits(plan.costs(extremes))]])
    if len(starts) == 0:
        is_possible = all(smallest[name].value <= limit for name, limit in budgets.limits.items())
        best = _approach(plan, budgets, np.concatenate([extremes, rows[:_POPULATION]]), seed)
        starts = best[budgets.admits(plan.costs(best))]
        is_proven = not is_possible
        if is_possible and len(starts) == 0:
            sampler = UniformSampler(plan, budgets, seed)
            starts, is_proven = sampler(_POPULATION, rng), sampler.is_proven_empty
        if len(starts) == 0:
            raise _infeasible(plan, budgets, smallest, best[0], is_proven)
    binding = min(shares, key=lambda name: (shares[name], name)) if shares else None
    return Feasibility(plan.space.size(), smallest, shares, float(inside.mean()), binding, starts)


def _approach(plan: CostPlan, budgets: Budgets, initial: Genes, seed: int) -> Genes:
    """A population driven towards the budgets by evolution on costs alone, the nearest first."""
    search = NSGA2(Problem(plan.space, population=_POPULATION, seed=seed, initial=initial))
    names = list(budgets.limits)
    nearest, stalled = np.inf, 0
    for _ in range(_GENERATIONS):
        genes = search.ask()
        if len(genes) == 0:
            break
        costs = plan.costs(genes)
        objectives = np.stack([costs.column(name) for name in names], axis=1)
        search.tell(genes, objectives, budgets.violations(costs))
        best = float(search.violations.min())
        stalled = stalled + 1 if best >= nearest else 0
        nearest = min(nearest, best)
        if nearest == 0 or stalled == _STALLED:
            break
    return search.genes[np.argsort(search.violations, kind="stable")]


def _infeasible(
    plan: CostPlan, budgets: Budgets, smallest: Mapping[str, Extreme], nearest: Genes, is_proven: bool
) -> InfeasibleBudget:
    arch = plan.space.decode(nearest[None])[0]
    costs = plan.of(arch)
    alone = [name for name, limit in budgets.limits.items() if smallest[name].value > limit]
    if alone:
        reasons = "; ".join(
            f"{budgets.text(name)} is below the smallest achievable {name_and_unit(name, smallest[name].value)}"
            for name in alone
        )
    else:
        missed = [name for name, limit in budgets.limits.items() if costs[name] > limit]
        verb = "meets" if is_proven else "was found that meets"
        reasons = f"each limit can be met alone but no architecture {verb} all: " + "; ".join(
            f"{budgets.text(name)} (alone {name_and_unit(name, smallest[name].value)})" for name in missed
        )
    point = ", ".join(name_and_unit(name, costs[name]) for name in budgets.limits)
    return InfeasibleBudget(
        f"infeasible budget: {reasons}; the nearest architecture has {point}; relax the budget to that",
        arch,
        costs,
    )


class FeasibleSampler:
    """Draws architectures within budgets: by trial while that pays, then by counting tables (uniformly),
    and around those already known where even these find hardly any.
    """

    def __init__(self, plan: CostPlan, budgets: Budgets, feasibility: Feasibility) -> None:
        self._plan = plan
        self._budgets = budgets
        self._starts = feasibility.starts
        self._share = feasibility.share

    def admits(self, genes: Genes) -> Booleans:
        """Which rows are within the budgets, (n,)."""
        return self._budgets.admits(self._plan.costs(genes))

    def __call__(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` genotypes, most of them within the budgets where the space allows; duplicates possible."""
        space = self._plan.space
        if self._share >= _TRIAL_PAYS:
            drawn = space.sample(int(count / self._share * 1.2) + 8, rng)
            kept = drawn[self.admits(drawn)][:count]
            if len(kept) == count:
                return kept
        elif self._uniform.kept_share > _TRIAL_PAYS:
            return self._uniform(count, rng)
        walkers = self._starts[rng.integers(0, len(self._starts), 4 * count)]
        for _ in range(4):
            moved = space.mutate(walkers, rng, 2.0 / space.gene_count)
            walkers = np.where(self.admits(moved)[:, None], moved, walkers)
        kept = np.unique(walkers, axis=0)
        return kept[rng.permutation(len(kept))[:count]]

    @cached_property
    def _uniform(self) -> UniformSampler:
        return UniformSampler(self._plan, self._budgets)


def spread_over_costs(plan: CostPlan, genes: Genes, count: int) -> Genes:
    """`count` of the rows, evenly spread from the cheapest to the dearest by rank of latency and flash."""
    genes = np.unique(genes, axis=0)
    costs = plan.costs(genes)
    score = sum(
        np.argsort(np.argsort(column, kind="stable"), kind="stable") for column in (costs.cycles, costs.flash_bytes)
    )
    order = np.argsort(score, kind="stable")
    picked = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return genes[order[picked]]
