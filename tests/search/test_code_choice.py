"""Fast or small kernels, whole or striped blocks: by what fits into the budgets for the cycles it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import load_device
from hwmodels.network.build_form import CODES, MEMORIES, BuildForm
from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan, compile_costs
from search.feasibility.budget_check import InfeasibleBudget
from search.feasibility.build_choice import choose_form
from search.feasibility.extremes import largest_costs, smallest_costs
from tests.search.search_fakes import small_space
from tests.search.test_search_cost_plan import invented_table

SPACE = small_space()
FAST = BuildForm("fast")


@pytest.fixture(scope="module")
def plans() -> dict[BuildForm, CostPlan]:
    """Tiles unrolled for a depth take a kilobyte each, and all other code as much as in the table."""
    table = invented_table(SPACE, memory="striped")
    sizes = {unit: size + 1024 * ("tile" in unit) for unit, size in table.code_bytes.items()}
    table = replace(table, code_bytes=sizes)
    forms = [BuildForm(code, memory) for code in CODES for memory in MEMORIES]
    return {form: compile_costs(SPACE, CostModel(table, load_device(), form)) for form in forms}


def test_code_is_fast_where_all_fits_or_flash_is_free(plans: dict[BuildForm, CostPlan]) -> None:
    largest = largest_costs(plans[FAST])["flash_bytes"].value
    found = choose_form(plans.__getitem__, Budgets(flash_bytes=largest))
    assert (found.form, found.shares[FAST], found.cycles[FAST]) == (FAST, 1.0, 1.0)
    assert choose_form(plans.__getitem__, Budgets(latency_ms=1e9)).shares == {FAST: 1.0}


def test_code_is_less_where_far_more_architectures_fit_with_it(plans: dict[BuildForm, CostPlan]) -> None:
    least = smallest_costs(plans[FAST])["flash_bytes"].value
    found = choose_form(plans.__getitem__, Budgets(flash_bytes=least))
    assert found.form.code != "fast" and found.form.memory == "whole"
    assert found.shares[found.form] > found.shares[FAST]
    ratios = {form: found.shares[form] / found.cycles[form] for form in found.shares}
    assert ratios[found.form] == max(ratios.values())
    assert choose_form(plans.__getitem__, Budgets(flash_bytes=least), codes=("fast",)).form == FAST


def test_a_budget_that_only_one_architecture_meets_is_met_with_the_least_code(
    plans: dict[BuildForm, CostPlan],
) -> None:
    whole = [plan for form, plan in plans.items() if form.memory == "whole"]
    least = min(smallest_costs(plan)["flash_bytes"].value for plan in whole)
    found = choose_form(plans.__getitem__, Budgets(flash_bytes=least))
    assert len(found.feasibility.starts) > 0
    with pytest.raises(InfeasibleBudget, match="flash"):
        choose_form(plans.__getitem__, Budgets(flash_bytes=least - 1))


def test_stripes_are_examined_only_where_some_exceed_the_ram_and_taken_where_more_fit(
    plans: dict[BuildForm, CostPlan],
) -> None:
    largest, striped = largest_costs(plans[FAST])["peak_ram_bytes"].value, BuildForm("fast", "striped")
    roomy = choose_form(plans.__getitem__, Budgets(peak_ram_bytes=largest))
    assert roomy.shares == {FAST: 1.0}
    enough = largest_costs(plans[striped])["peak_ram_bytes"].value
    found = choose_form(plans.__getitem__, Budgets(peak_ram_bytes=enough))
    assert found.shares[FAST] < found.shares[striped] == 1.0 < found.cycles[striped]
    ratios = {form: found.shares[form] / found.cycles[form] for form in found.shares}
    assert ratios[found.form] == max(ratios.values())
    tight = Budgets(peak_ram_bytes=smallest_costs(plans[FAST])["peak_ram_bytes"].value - 1)
    assert choose_form(plans.__getitem__, tight).form == striped
    with pytest.raises(InfeasibleBudget, match="RAM"):
        choose_form(plans.__getitem__, tight, memories=("whole",))
