"""Fast or small kernels, whole or striped blocks: by what fits into the budgets for the cycles it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodels.cost import CostModel
from hwmodels.device import load_device
from hwmodels.graph import Code
from search.budgets import Budgets
from search.code_choice import CODES, choose_code
from search.cost_plan import CostPlan, compile_costs
from search.extremes import largest_costs, smallest_costs
from search.feasibility import InfeasibleBudget
from tests.search_fakes import small_space
from tests.test_search_cost_plan import invented_table

SPACE = small_space()


@pytest.fixture(scope="module")
def plans() -> dict[Code, CostPlan]:
    """Tiles unrolled for a depth take a kilobyte each, and all other code as much as in the table."""
    table = invented_table(SPACE)
    sizes = {unit: size + 1024 * ("tile" in unit) for unit, size in table.code_bytes.items()}
    table = replace(table, code_bytes=sizes)
    return {code: compile_costs(SPACE, CostModel(table, load_device(), code)) for code in CODES}


def test_code_is_fast_where_all_fits_or_flash_is_free(plans: dict[Code, CostPlan]) -> None:
    largest = largest_costs(plans["fast"])["flash_bytes"].value
    found = choose_code(plans.__getitem__, Budgets(flash_bytes=largest))
    assert (found.code, found.shares["fast"], found.cycles["fast"]) == ("fast", 1.0, 1.0)
    assert choose_code(plans.__getitem__, Budgets(latency_ms=1e9)).shares == {"fast": 1.0}


def test_code_is_less_where_far_more_architectures_fit_with_it(plans: dict[Code, CostPlan]) -> None:
    least = smallest_costs(plans["fast"])["flash_bytes"].value
    found = choose_code(plans.__getitem__, Budgets(flash_bytes=least))
    assert found.code != "fast"
    assert found.shares[found.code] > found.shares["fast"]
    ratios = {code: found.shares[code] / found.cycles[code] for code in CODES}
    assert ratios[found.code] == max(ratios.values())
    assert choose_code(plans.__getitem__, Budgets(flash_bytes=least), codes=("fast",)).code == "fast"


def test_a_budget_that_only_one_architecture_meets_is_met_with_the_least_code(
    plans: dict[Code, CostPlan],
) -> None:
    least = min(smallest_costs(plan)["flash_bytes"].value for plan in plans.values())
    found = choose_code(plans.__getitem__, Budgets(flash_bytes=least))
    assert len(found.feasibility.starts) > 0
    with pytest.raises(InfeasibleBudget, match="flash"):
        choose_code(plans.__getitem__, Budgets(flash_bytes=least - 1))
