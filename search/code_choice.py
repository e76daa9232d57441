"""How much kernel code a search's networks link: the less, the more of them fit, and the slower they are.

The choice is made once, before a search; all that is costed, exported and verified afterwards has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodels.graph import Code
from search.budgets import Budgets
from search.cost_plan import CostPlan
from search.feasibility import Feasibility, InfeasibleBudget, check, sample_uniform

CODES: tuple[Code, ...] = ("fast", "compact", "smallest")
"""From the quickest to the one with the least code."""
_SAMPLES = 4000


@dataclass(frozen=True)
class CodeChoice:
    """The chosen code, its feasibility, and of each code the share of architectures that fit, and the cycles.

    `cycles` are the median over the same architectures of the first code's multiples.
    """

    code: Code
    feasibility: Feasibility
    shares: dict[Code, float]
    cycles: dict[Code, float]


def choose_code(
    plan_of: Callable[[Code], CostPlan], budgets: Budgets, seed: int = 0, codes: Sequence[Code] = CODES
) -> CodeChoice:
    """The one of `codes` that lets most architectures into the budgets for the cycles they take.

    That is the largest ratio of the two, over random architectures, every one of the space equally likely;
    where none of these fits, the first code that any architecture is found to fit with. Without a budget for
    flash it is the first of all. Raises InfeasibleBudget when nothing fits. `plan_of` compiles a plan.
    """
    if budgets.flash_bytes is None:
        codes = codes[:1]
    plans = {code: plan_of(code) for code in codes}
    genes = sample_uniform(plans[codes[0]].space, _SAMPLES, np.random.default_rng([seed, 12]))
    costs = {code: plan.costs(genes) for code, plan in plans.items()}
    shares = {code: float(budgets.admits(held).mean()) for code, held in costs.items()}
    base = costs[codes[0]].cycles
    cycles = {code: float(np.median(held.cycles / base)) for code, held in costs.items()}
    best = max(codes, key=lambda code: shares[code] / cycles[code])
    refused: InfeasibleBudget | None = None
    for code in (best, *(other for other in codes if other != best and shares[best] == 0)):
        try:
            return CodeChoice(code, check(plans[code], budgets, seed), shares, cycles)
        except InfeasibleBudget as error:
            refused = error
    assert refused is not None
    raise refused
