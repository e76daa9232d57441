"""Counts, bounds, extremes and uniform draws against brute force on small spaces."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest

from hwmodels.network.graph import Op
from search.costs.budgets import Budgets
from search.costs.cost_plan import Costs, compile_costs
from search.costs.names import COST_NAMES
from search.feasibility.budget_check import FeasibleSampler, InfeasibleBudget, check, sample_uniform
from search.feasibility.counting import CompletionTable, Limits, bounds, count_within_ram
from search.feasibility.explain import explain
from search.feasibility.extremes import largest_costs
from search.feasibility.uniform import UniformSampler, limits_of
from supernet.space.search_space import load_space
from tests.search.search_fakes import FakeCostModel, FakeOpCost, every_member, small_space
from tests.search.test_search_feasibility import DearCode

SPACES = [
    small_space(),
    small_space(padding="centred", window_s=8, stems=({"rate_hz": 16, "kernel": 3, "stride": 1},)),
]
LIMITED = ("cycles", "flash_bytes", "peak_ram_bytes")


def limits_at(costs: Costs, quantile: float, names: tuple[str, ...]) -> Limits:
    at = {name: int(np.quantile(costs.column(name), quantile)) for name in names}
    return Limits(at.get("cycles"), at.get("flash_bytes"), at.get("peak_ram_bytes"))


def counted(costs: Costs, limits: Limits) -> int:
    inside = np.ones(len(costs), bool)
    for name, limit in zip(LIMITED, (limits.cycles, limits.flash_bytes, limits.ram_bytes), strict=True):
        if limit is not None:
            inside &= costs.column(name) <= limit
    return int(inside.sum())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("model", [FakeCostModel(), DearCode()])
@pytest.mark.parametrize("bins", [7, 60, 10**9])
def test_counts_bracket_brute_force_and_are_exact_without_rounding(space, model, bins: int) -> None:
    plan = compile_costs(space, model)
    costs = plan.costs(every_member(space))
    for quantile in (0.0, 0.03, 0.4, 0.9, 1.0):
        for names in (("cycles",), ("flash_bytes",)):
            limits = limits_at(costs, quantile, names)
            is_fine = bins > 10**6
            if is_fine and names == ("cycles",):
                continue
            cells = (10**5, 10**5) if is_fine else (bins, bins)
            lower = CompletionTable(plan, limits, "up", *cells).total
            upper = CompletionTable(plan, limits, "down", *cells).total
            truth = counted(costs, limits)
            assert lower <= truth <= upper
            if is_fine:
                assert lower == truth == upper


@pytest.mark.parametrize("space", SPACES)
def test_joint_counts_bracket_brute_force(space) -> None:
    plan = compile_costs(space, DearCode())
    costs = plan.costs(every_member(space))
    for quantile in (0.05, 0.3, 0.7):
        for names in (LIMITED, LIMITED[:2], LIMITED[1:]):
            limits = limits_at(costs, quantile, names)
            lower = CompletionTable(plan, limits, "up", 40, 50).total
            upper = CompletionTable(plan, limits, "down", 40, 50).total
            assert lower <= counted(costs, limits) <= upper


class Specialised(FakeCostModel):
    """Code of its own for every number of channels, as generated kernels have: units by the dozen."""

    @cached_property
    def code_bytes(self) -> dict[str, int]:
        return dict(super().code_bytes)

    def op_cost(self, op: Op) -> FakeOpCost:
        own = f"{op.kind}{op.kernel}_{op.channels_out % 64}"
        self.code_bytes.setdefault(own, 150 + 31 * (len(self.code_bytes) % 13))
        held = super().op_cost(op)
        return replace(held, code_units=held.code_units | {own})


@pytest.mark.parametrize("most_cells", [3_000_000, 10_000_000, 100_000_000])
@pytest.mark.parametrize("space", SPACES)
def test_bounds_hold_when_there_are_too_many_code_units_to_follow(space, most_cells: int, monkeypatch) -> None:
    monkeypatch.setattr("search.feasibility.counting._MOST_CELLS", most_cells)
    plan = compile_costs(space, Specialised())
    costs = plan.costs(every_member(space))
    assert largest_costs(plan)["flash_bytes"].value == costs.flash_bytes.max()
    for quantile in (0.0, 0.05, 0.5, 0.95):
        limits = limits_at(costs, quantile, ("flash_bytes",))
        lower = CompletionTable(plan, limits, "up", 1, 10**5).total
        upper = CompletionTable(plan, limits, "down", 1, 10**5).total
        assert lower <= counted(costs, limits) <= upper
        budgets = Budgets(flash_bytes=limits.flash_bytes)
        assert budgets.admits(plan.costs(UniformSampler(plan, budgets)(50, np.random.default_rng(0)))).all()


def test_the_default_space_with_dozens_of_code_units_is_explained_in_seconds() -> None:
    plan = compile_costs(load_space("default"), Specialised())
    assert len(plan.segments.unit_names) > 40
    flash = plan.costs(sample_uniform(plan.space, 20_000, np.random.default_rng(0))).flash_bytes
    limit = float(np.median(flash))
    started = time.process_time()
    found = explain(plan, Budgets(flash_bytes=limit, latency_ms=1e6))
    assert time.process_time() - started < 30.0
    held = found.limits["flash_bytes"].share
    assert held.lower <= 0.5 <= held.upper
    assert held.estimate == pytest.approx(0.5, abs=0.05)
    assert found.limits["flash_bytes"].joint_if_relaxed >= found.joint.estimate


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("quantile", [0.002, 0.03, 0.5])
def test_flash_is_counted_exactly_where_all_code_is_followed(space, quantile: float) -> None:
    plan = compile_costs(space, Specialised())
    costs = plan.costs(every_member(space))
    limits = limits_at(costs, quantile, ("flash_bytes",))
    table = CompletionTable(plan, limits, "down", 1, 10**6)
    assert table.is_exact
    assert bounds(plan, limits, 1, 10**6) == (counted(costs, limits),) * 2
    drawn = table.draw(300, np.random.default_rng(0))
    assert (plan.costs(drawn).flash_bytes <= limits.flash_bytes).all()


@pytest.mark.parametrize("space", SPACES)
def test_counts_within_ram_and_without_limits_are_exact(space) -> None:
    plan = compile_costs(space, FakeCostModel())
    costs = plan.costs(every_member(space))
    assert CompletionTable(plan, Limits(), "down", 1, 1).total == space.size()
    for limit in np.unique(costs.peak_ram_bytes).tolist():
        assert count_within_ram(plan, limit) == (costs.peak_ram_bytes <= limit).sum()
        assert count_within_ram(plan, limit - 1) == (costs.peak_ram_bytes < limit).sum()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("model", [FakeCostModel(), DearCode()])
def test_largest_costs_equal_brute_force(space, model) -> None:
    plan = compile_costs(space, model)
    costs = plan.costs(every_member(space))
    largest = largest_costs(plan)
    for name in COST_NAMES:
        assert largest[name].value == costs.column(name).max(), name
        assert plan.of(largest[name].arch)[name] == largest[name].value


def test_whole_cycles_of_a_limit_are_exact_at_the_edge() -> None:
    plan = compile_costs(small_space(), FakeCostModel())
    members = every_member(plan.space)
    costs = plan.costs(members)
    for name in ("latency_ms", "energy_mj", "power_mw"):
        for index in (10, 200, 777):
            limit = costs.column(name)[index]
            limits = limits_of(plan, Budgets(**{name: limit}))
            assert limits.cycles == costs.cycles[index]


@pytest.mark.parametrize("quantile", [0.03, 0.3])
@pytest.mark.parametrize("names", [("latency_ms",), ("latency_ms", "flash_bytes", "peak_ram_bytes")])
def test_draws_are_uniform_over_the_feasible_members(quantile: float, names: tuple[str, ...]) -> None:
    space = small_space()
    plan = compile_costs(space, DearCode())
    members = every_member(space)
    costs = plan.costs(members)
    quantile = quantile if len(names) == 1 else quantile + 0.3
    budgets = Budgets(**{name: float(np.quantile(costs.column(name), quantile)) for name in names})
    inside = members[budgets.admits(costs)]
    sampler = UniformSampler(plan, budgets)
    assert sampler.kept_share >= 0.5
    assert sampler.estimate == pytest.approx(len(inside), rel=0.1)
    drawn = sampler(60 * len(inside), np.random.default_rng(1))
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert (found == inside).all()
    statistic = ((counts - 60) ** 2 / 60).sum()
    freedom = len(inside) - 1
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_explanations_bracket_the_counted_shares_and_name_what_binds() -> None:
    space = small_space()
    plan = compile_costs(space, FakeCostModel())
    costs = plan.costs(every_member(space))
    budgets = Budgets(
        latency_ms=float(np.quantile(costs.latency_ms, 0.2)),
        flash_bytes=float(np.quantile(costs.flash_bytes, 0.9)),
        peak_ram_bytes=float(costs.peak_ram_bytes.max()),
    )
    found = explain(plan, budgets)
    assert found.size == space.size()
    for name, limit in budgets.limits.items():
        share = float((costs.column(name) <= limit).mean())
        held = found.limits[name]
        assert held.share.lower <= share <= held.share.upper
        assert held.share.upper <= held.share.lower * 1.02
        assert (held.smallest.value, held.largest.value) == (
            costs.column(name).min(),
            costs.column(name).max(),
        )
    truth = budgets.admits(costs).mean()
    assert found.joint.lower <= truth <= found.joint.upper
    assert found.joint.estimate == pytest.approx(truth, rel=0.1)
    wider = Budgets(**{**budgets.limits, "latency_ms": budgets.limits["latency_ms"] * 1.1})
    relaxed = found.limits["latency_ms"].joint_if_relaxed
    assert relaxed == pytest.approx(wider.admits(costs).mean(), rel=0.1)
    assert found.binding == "latency_ms"
    bought = {row["budget"]: row.get("relaxing_10_pct_buys") for row in found.rows()}
    more = (wider.admits(costs) & ~budgets.admits(costs)).sum()
    assert bought["latency_ms"] == pytest.approx(more, rel=0.3)
    assert bought["peak_ram_bytes"] == 0
    assert [row["budget"] for row in found.rows()] == [*budgets.limits, "all"]


def test_without_limits_everything_fits_and_nothing_binds() -> None:
    found = explain(compile_costs(small_space(), FakeCostModel()), Budgets())
    assert (found.joint.lower, found.joint.upper, found.joint.estimate) == (1.0, 1.0, 1.0)
    assert found.binding is None


def test_the_default_space_is_explained_in_seconds_with_bounds_within_two_percent() -> None:
    plan = compile_costs(load_space("default"), FakeCostModel())
    costs = plan.costs(sample_uniform(plan.space, 20_000, np.random.default_rng(0)))
    for quantile in (0.5, 0.001):
        limits = {name: float(np.quantile(costs.column(name), quantile)) for name in ("latency_ms", "flash_bytes")}
        started = time.process_time()
        found = explain(plan, Budgets(**limits))
        assert time.process_time() - started < 10.0
        for name in limits:
            held = found.limits[name].share
            assert held.lower <= held.upper <= held.lower * 1.02
            assert held.estimate == pytest.approx(quantile, rel=0.03 if quantile > 0.1 else 0.8)
        sampled = Budgets(**limits).admits(costs).mean()
        assert found.joint.lower <= found.joint.estimate <= found.joint.upper
        if quantile > 0.1:
            assert found.joint.estimate == pytest.approx(sampled, rel=0.05)


def test_half_of_the_proposals_are_kept_however_tight_the_budgets() -> None:
    plan = compile_costs(load_space("default"), FakeCostModel())
    rows = sample_uniform(plan.space, 50_000, np.random.default_rng(3))
    costs = plan.costs(rows)
    for number in (1, 10, 1000):
        order = np.argsort(costs.latency_ms + costs.flash_bytes / 200)
        at = costs.row(order[number])
        budgets = Budgets(latency_ms=at["latency_ms"], flash_bytes=at["flash_bytes"])
        sampler = UniformSampler(plan, budgets)
        assert sampler.kept_share >= 0.5
        drawn = sampler(300, np.random.default_rng(4))
        assert len(drawn) == 300
        assert budgets.admits(plan.costs(drawn)).all()
        again = FeasibleSampler(plan, budgets, check(plan, budgets))
        assert again.admits(again(50, np.random.default_rng(5))).mean() >= 0.5


def test_limits_at_odds_are_proven_infeasible() -> None:
    plan = compile_costs(small_space(), DearCode())
    costs = plan.costs(every_member(plan.space))
    limits = {"latency_ms": float(costs.latency_ms.min()), "flash_bytes": float(costs.flash_bytes.min())}
    assert not Budgets(**limits).admits(costs).any()
    assert UniformSampler(plan, Budgets(**limits)).is_proven_empty
    with pytest.raises(InfeasibleBudget, match="no architecture meets all"):
        check(plan, Budgets(**limits))
