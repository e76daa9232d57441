"""`python -m benchmarks kernels`: networks run as the table predicts; a mismatch in any part is counted and told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.hardware import kernels
from benchmarks.support import whole_networks
from benchmarks.support.whole_networks import network_rows, summary
from hwmodels.c.toolchain import find_toolchain
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.profiling import build
from hwmodels.device.device import load_device
from hwmodels.kernels.variants import FIXED_CODE_UNITS, code_units
from hwmodels.network.build_form import BuildForm, built
from hwmodels.network.graph import Code
from hwmodels.schedule.stripes import scheduled
from hwmodels.validation.kernel_trials import Found
from search.costs.budgets import Budgets
from search.costs.cost_plan import compile_costs
from search.costs.segments import required_ops
from search.feasibility.budget_check import smallest_costs
from supernet.space.search_space import load_space

pytestmark = pytest.mark.arm


@pytest.mark.parametrize("code", ["fast", "compact"])
def test_networks_run_in_the_cycles_and_the_code_that_the_table_predicts(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, device, toolchain = load_space("demo"), load_device(), find_toolchain()
    ops = [built(op, code) for op in required_ops(space)]
    table = build(ops, toolchain, "2026-01-01", device.target)
    model = CostModel(table, device, BuildForm(code))
    monkeypatch.setattr(whole_networks, "cached_table", lambda *given: table)
    least = smallest_costs(compile_costs(space, model))["latency_ms"].value
    budgets = Budgets(latency_ms=3 * least)
    with ThreadPoolExecutor(1) as executor:
        rows = network_rows("demo", code, budgets, 2, 0, toolchain, executor, lambda *told: None)
    for row in rows:
        graph = scheduled(space.lower(row["arch"]), BuildForm(code))
        cost, units = model.cost(graph), FIXED_CODE_UNITS.union(*(code_units(op) for op in graph))
        assert cost.latency_ms <= 3 * least
        assert row["cycles"] == pytest.approx(cost.cycles, rel=0.005)
        assert row["macs"] == graph.macs
        assert row["code_bytes_with_input"] == sum(table.code_bytes[unit] for unit in units)
        assert row["code_bytes"] < row["code_bytes_with_input"]
    found = summary(rows)
    assert (found["count"], found["fallback_ops"]) == (2, 0)
    assert found["max_cycles_per_mac"] == max(row["cycles"] / row["macs"] for row in rows)


def test_what_differs_in_any_part_of_the_trials_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernels, "_compare", _first_of_exact_differs)
    with ThreadPoolExecutor(1) as executor:
        found = kernels.compared(600, 0, None, executor)
    rows = {row["kernel"]: row for row in found["kernels"]}
    assert all(row["cases"] == 600 for row in rows.values()) and found["cases"] == 600 * len(rows)
    assert (found["mismatches"], rows["exact"]["core_mismatches"]) == (1, 1)
    assert rows["exact"]["first"] == "the op"
    kernels.show(found)
    assert "mismatches" in capsys.readouterr().out


def _first_of_exact_differs(task: kernels.Trials) -> Found:
    differs = task.kernel.name == "exact" and task.seed[2] == 0
    return Found(task.kernel.name, task.count, int(differs), 0, "the op" if differs else "")
