"""What budgets mean for a space, before anything is trained: sizes, shares, what binds, what relaxing buys.

Shares are bounds proven by counting; the share within all limits also has a sampled estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan
from search.costs.names import STEP_NAMES
from search.feasibility.counting import Limits, bounds, count_within_ram
from search.feasibility.extremes import Extreme, largest_costs, smallest_costs
from search.feasibility.uniform import UniformSampler, limits_of, step_limits_of

RELAXED = 1.1
_CYCLE_BINS = 65536
_FLASH_BINS = (1024, 2560, 5120)
_JOINT_BINS = 56
_NEAR = 1.02
_FAR = 1.5


@dataclass(frozen=True)
class Share:
    """A share of the space, proven to lie from `lower` to `upper`; `estimate` is the likeliest value."""

    lower: float
    upper: float
    estimate: float


@dataclass(frozen=True)
class LimitMeaning:
    """One limit: what is achievable, the share of the space within it, and the share of the space that
    all limits together admit once this one is relaxed by a tenth.
    """

    limit: float
    smallest: Extreme
    largest: Extreme | None
    share: Share
    joint_if_relaxed: float


@dataclass(frozen=True)
class Explanation:
    """Budgets and a space: its size, every limit's meaning, the share within all limits, what binds.

    `binding` is the limit whose relaxation by a tenth admits most more architectures; None when none does.
    """

    size: int
    limits: dict[str, LimitMeaning]
    joint: Share
    binding: str | None

    def rows(self) -> list[dict[str, Any]]:
        """One plain row a limit, and a last one for all together, for tables and JSON."""
        limits: list[dict[str, Any]] = [
            {
                "budget": name,
                "limit": limit.limit,
                "smallest": limit.smallest.value,
                "largest": None if limit.largest is None else limit.largest.value,
                "share": limit.share.estimate,
                "share_lower": limit.share.lower,
                "share_upper": limit.share.upper,
                "share_of_all_if_relaxed_10_pct": limit.joint_if_relaxed,
                "relaxing_10_pct_buys": (limit.joint_if_relaxed - self.joint.estimate) * self.size,
                "binds": name == self.binding,
            }
            for name, limit in self.limits.items()
        ]
        joint = {"budget": "all", "share": self.joint.estimate}
        return [*limits, joint | {"share_lower": self.joint.lower, "share_upper": self.joint.upper}]


def explain(plan: CostPlan, budgets: Budgets, seed: int = 0) -> Explanation:
    """Examine budgets exactly where that is possible; nothing is trained or evaluated."""
    size = plan.space.size()
    smallest, largest = smallest_costs(plan), largest_costs(plan)
    shares = {name: _single(plan, name, limit, seed) for name, limit in budgets.limits.items()}
    joint = _joint(plan, budgets, seed, shares)
    relaxed = {}
    for name, limit in budgets.limits.items():
        if shares[name].lower == 1.0:
            relaxed[name] = joint.estimate
        else:
            wider = replace(budgets, **{name: limit * RELAXED})
            # A wider budget admits a superset, whatever two samples say.
            relaxed[name] = max(UniformSampler(plan, wider, seed).estimate / size, joint.estimate)
    meanings = {
        name: LimitMeaning(limit, smallest[name], largest.get(name), shares[name], relaxed[name])
        for name, limit in budgets.limits.items()
    }
    gains = {name: relaxed[name] - joint.estimate for name in relaxed if shares[name].lower < 1.0}
    binding = max(gains, key=lambda name: (gains[name], name), default=None)
    if binding is not None and gains[binding] == 0:
        binding = None
    return Explanation(size, meanings, joint, binding)


def _single(plan: CostPlan, name: str, limit: float, seed: int) -> Share:
    """Bounds on the share within one limit; exact for RAM, and where the tables need no rounding.

    Where even fine tables leave bounds apart, as very much specialised code can, the estimate is sampled.
    """
    size, budgets = plan.space.size(), Budgets(**{name: limit})
    step, limits = step_limits_of(plan, budgets), limits_of(plan, budgets)
    if step is not None and plan.steps is not None:
        lower, upper = bounds(plan.steps, step, _CYCLE_BINS, 1)
    elif limits == Limits():
        return Share(1.0, 1.0, 1.0)
    elif limits.ram_bytes is not None:
        lower = upper = count_within_ram(plan, limits.ram_bytes)
    else:
        for flash_bins in _FLASH_BINS if limits.cycles is None else (1,):
            lower, upper = bounds(plan, limits, _CYCLE_BINS, flash_bins)
            # Bins cannot help where it is code that is not followed which keeps bounds apart.
            if not _NEAR * lower < upper < _FAR * lower:
                break
    middle = (lower + upper) / 2
    if upper > _NEAR * lower:
        middle = min(max(UniformSampler(plan, budgets, seed).estimate, lower), upper)
    return Share(lower / size, upper / size, middle / size)


def _joint(plan: CostPlan, budgets: Budgets, seed: int, shares: Mapping[str, Share]) -> Share:
    size, limits = plan.space.size(), limits_of(plan, budgets)
    steps = [share for name, share in shares.items() if name in STEP_NAMES]
    if steps and limits == Limits():
        return steps[0]
    for name, share in shares.items():
        if not steps and limits_of(plan, Budgets(**{name: budgets.limits[name]})) == limits:
            return share
    lower, upper = bounds(plan, limits, _JOINT_BINS, _JOINT_BINS)
    # Tables of windows do not know what steps exclude.
    lower = max(lower / size - sum(1.0 - share.lower for share in steps), 0.0)
    upper = min([upper / size, *(share.upper for share in shares.values())])
    estimate = UniformSampler(plan, budgets, seed).estimate / size
    return Share(lower, upper, min(max(estimate, lower), upper))
