"""Feasibility against brute force on small spaces."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from search.costs.budgets import BudgetError, Budgets
from search.costs.cost_plan import compile_costs
from search.costs.names import COST_NAMES
from search.feasibility.budget_check import FeasibleSampler, InfeasibleBudget, check, sample_uniform, spread_over_costs
from search.feasibility.extremes import smallest_costs
from supernet.space.search_space import load_space
from tests.search.search_fakes import FakeCostModel, every_member, small_space


class DearCode(FakeCostModel):
    """Code so large that the union decides the smallest flash."""

    @property
    def code_bytes(self):
        return {name: 900 + 401 * index for index, name in enumerate(super().code_bytes)}


@pytest.mark.parametrize("model", [FakeCostModel(), DearCode()])
@pytest.mark.parametrize("space", [small_space(), small_space(padding="centred", window_s=8)])
def test_smallest_costs_equal_brute_force(space, model) -> None:
    plan = compile_costs(space, model)
    costs = plan.costs(every_member(space))
    smallest = smallest_costs(plan)
    for name in COST_NAMES:
        assert smallest[name].value == costs.column(name).min(), name
        assert plan.of(smallest[name].arch)[name] == smallest[name].value


@pytest.mark.parametrize("model", [FakeCostModel(), DearCode()])
def test_no_sample_of_the_default_space_is_below_the_smallest_costs(model) -> None:
    plan = compile_costs(load_space("default"), model)
    started = time.perf_counter()
    smallest = smallest_costs(plan)
    assert time.perf_counter() - started < 2.0
    costs = plan.costs(sample_uniform(plan.space, 20_000, np.random.default_rng(0)))
    for name in COST_NAMES:
        assert smallest[name].value <= costs.column(name).min()


def test_uniform_samples_hit_every_member_equally_often() -> None:
    space = small_space()
    members = every_member(space)
    rows = sample_uniform(space, 40 * len(members), np.random.default_rng(0))
    found, counts = np.unique(rows, axis=0, return_counts=True)
    assert (found == members).all()
    statistic = ((counts - 40) ** 2 / 40).sum()
    freedom = len(members) - 1
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_shares_are_near_the_counted_ones() -> None:
    space = small_space()
    plan = compile_costs(space, FakeCostModel())
    costs = plan.costs(every_member(space))
    middle = {name: float(np.median(costs.column(name))) for name in ("latency_ms", "flash_bytes")}
    budgets = Budgets(**middle)
    found = check(plan, budgets)
    assert found.size == space.size()
    for name, limit in middle.items():
        assert found.shares[name] == pytest.approx((costs.column(name) <= limit).mean(), abs=0.02)
    assert found.share == pytest.approx(budgets.admits(costs).mean(), abs=0.02)
    assert budgets.admits(plan.costs(found.starts)).all()


@pytest.mark.parametrize("name", ["latency_ms", "flash_bytes", "peak_ram_bytes", "energy_mj", "power_mw"])
def test_a_limit_below_the_smallest_is_refused_in_seconds_with_that_value(name: str) -> None:
    plan = compile_costs(load_space("default"), FakeCostModel())
    least = smallest_costs(plan)[name].value
    started = time.perf_counter()
    with pytest.raises(InfeasibleBudget, match="smallest achievable") as caught:
        check(plan, Budgets(**{name: least * 0.999}))
    assert time.perf_counter() - started < 2.0
    assert isinstance(caught.value, InputError)
    assert caught.value.exit_code == 3
    assert caught.value.nearest[name] == least
    assert "\n" not in str(caught.value)
    met = check(plan, Budgets(**{name: least}))
    assert plan.costs(met.starts).column(name).min() == least


def test_limits_that_only_few_members_meet_together_are_found_feasible() -> None:
    space = small_space()
    plan = compile_costs(space, FakeCostModel())
    members = every_member(space)
    costs = plan.costs(members)
    rng = np.random.default_rng(0)
    for index in rng.choice(len(members), 12, replace=False):
        limits = {name: costs.row(index)[name] for name in ("latency_ms", "flash_bytes", "peak_ram_bytes")}
        assert len(check(plan, Budgets(**limits)).starts) >= 1


def test_limits_that_nothing_meets_together_are_refused_with_the_nearest_point() -> None:
    plan = compile_costs(small_space(), DearCode())
    smallest = smallest_costs(plan)
    costs = plan.costs(every_member(plan.space))
    limits = {name: smallest[name].value for name in ("latency_ms", "flash_bytes")}
    budgets = Budgets(**limits)
    assert not budgets.admits(costs).any(), "the two minima must be at odds for this test to mean something"
    with pytest.raises(InfeasibleBudget, match=r"no architecture (was found that )?meets all") as caught:
        check(plan, budgets)
    assert budgets.violations(costs).min() == pytest.approx(
        sum(max(0.0, caught.value.nearest[name] / limit - 1) for name, limit in limits.items())
    )


@pytest.mark.parametrize("quantile", [0.5, 0.001])
def test_the_sampler_keeps_to_the_budgets(quantile: float) -> None:
    plan = compile_costs(load_space("default"), FakeCostModel())
    costs = plan.costs(sample_uniform(plan.space, 20_000, np.random.default_rng(1)))
    budgets = Budgets(
        latency_ms=float(np.quantile(costs.latency_ms, quantile)),
        flash_bytes=float(np.quantile(costs.flash_bytes, quantile)),
    )
    sampler = FeasibleSampler(plan, budgets, check(plan, budgets))
    drawn = sampler(100, np.random.default_rng(2))
    assert len(drawn) >= 50
    assert sampler.admits(drawn).mean() >= 0.5
    spread = spread_over_costs(plan, drawn, 10)
    assert len(np.unique(spread, axis=0)) == 10


def test_a_budget_must_be_a_positive_number() -> None:
    with pytest.raises(BudgetError, match="flash_bytes"):
        Budgets(flash_bytes=0)
    with pytest.raises(BudgetError, match="latency_ms"):
        Budgets(latency_ms=float("nan"))
