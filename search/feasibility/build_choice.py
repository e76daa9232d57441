"""How a search's networks are built: how much kernel code they link, and whether their blocks run in stripes.

Less code and less memory let more of them in, and make them slower. The choice is made once, before a search;
all that is costed, exported and verified afterwards has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodels.network.build_form import CODES, MEMORIES, BuildForm, Memory
from hwmodels.network.graph import Code
from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan
from search.feasibility.budget_check import Feasibility, InfeasibleBudget, check, sample_uniform

_SAMPLES = 4000


@dataclass(frozen=True)
class FormChoice:
    """The chosen form, its feasibility, and of each form examined the share of architectures that fit and the
    cycles they take. `cycles` are the median over the same architectures of the first form's multiples.
    """

    form: BuildForm
    feasibility: Feasibility
    shares: dict[BuildForm, float]
    cycles: dict[BuildForm, float]


def choose_form(
    plan_of: Callable[[BuildForm], CostPlan],
    budgets: Budgets,
    seed: int = 0,
    codes: Sequence[Code] = CODES,
    memories: Sequence[Memory] = MEMORIES,
) -> FormChoice:
    """The form that lets most architectures into the budgets for the cycles they take.

    That is the largest ratio of the two, over random architectures, every one of the space equally likely;
    where none of these fits, the first form that any architecture is found to fit with. Without a budget for
    flash it has the first of `codes`; only where some exceed the budget for RAM are others than the first of
    `memories` examined. Raises InfeasibleBudget when nothing fits. `plan_of` compiles a plan.
    """
    if budgets.flash_bytes is None:
        codes = codes[:1]
    forms = [BuildForm(code, memories[0]) for code in codes]
    plans = {form: plan_of(form) for form in forms}
    genes = sample_uniform(plans[forms[0]].space, _SAMPLES, np.random.default_rng([seed, 12]))
    costs = {form: plan.costs(genes) for form, plan in plans.items()}
    most = max(int(held.peak_ram_bytes.max()) for held in costs.values())
    if budgets.peak_ram_bytes is not None and most > budgets.peak_ram_bytes:
        others = [BuildForm(code, memory) for memory in memories[1:] for code in codes]
        plans |= {form: plan_of(form) for form in others}
        costs |= {form: plans[form].costs(genes) for form in others}
    shares = {form: float(budgets.admits(held).mean()) for form, held in costs.items()}
    base = costs[forms[0]].cycles
    cycles = {form: float(np.median(held.cycles / base)) for form, held in costs.items()}
    best = max(plans, key=lambda form: shares[form] / cycles[form])
    refused: InfeasibleBudget | None = None
    for form in (best, *(other for other in plans if other != best and shares[best] == 0)):
        try:
            return FormChoice(form, check(plans[form], budgets, seed), shares, cycles)
        except InfeasibleBudget as error:
            refused = error
    assert refused is not None
    raise refused
