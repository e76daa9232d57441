"""What budgets mean for a space, before anything is trained: sizes, shares, what binds, what relaxing buys.

Shares are bounds proven by counting; the share within all limits also has a sampled estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from search.budgets import Budgets
from search.cost_plan import STEP_NAMES, CostPlan
from search.counting import CompletionTable, Limits, count_within_ram
from search.extremes import Extreme, largest_costs, smallest_costs
from search.uniform import UniformSampler, limits_of, step_limits_of

RELAXED = 1.1
_CYCLE_BINS = 65536
_FLASH_BINS = 16384
_JOINT_BINS = 128
_NEAR = 1.02


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
        found: list[dict[str, Any]] = [
            {
                "budget": name,
                "limit": held.limit,
                "smallest": held.smallest.value,
                "largest": None if held.largest is None else held.largest.value,
                "share": held.share.estimate,
                "share_lower": held.share.lower,
                "share_upper": held.share.upper,
                "share_of_all_if_relaxed_10_pct": held.joint_if_relaxed,
                "relaxing_10_pct_buys": (held.joint_if_relaxed - self.joint.estimate) * self.size,
                "binds": name == self.binding,
            }
            for name, held in self.limits.items()
        ]
        joint = {"budget": "all", "share": self.joint.estimate}
        return [*found, joint | {"share_lower": self.joint.lower, "share_upper": self.joint.upper}]


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

    Bounds of flash lie apart where much code is specialised; the estimate is then sampled.
    """
    size = plan.space.size()
    step = step_limits_of(plan, Budgets(**{name: limit}))
    if step is not None and plan.steps is not None:
        lower, upper = (
            CompletionTable(plan.steps, step, rounding, _CYCLE_BINS, 1).total / size
            for rounding in ("up", "down")
        )
        return Share(lower, upper, (lower + upper) / 2)
    limits = limits_of(plan, Budgets(**{name: limit}))
    if limits == Limits():
        return Share(1.0, 1.0, 1.0)
    if limits.ram_bytes is not None:
        share = count_within_ram(plan, limits.ram_bytes) / size
        return Share(share, share, share)
    lower = CompletionTable(plan, limits, "up", _CYCLE_BINS, _FLASH_BINS).total / size
    upper = CompletionTable(plan, limits, "down", _CYCLE_BINS, _FLASH_BINS).total / size
    if upper <= _NEAR * lower:
        return Share(lower, upper, (lower + upper) / 2)
    estimate = UniformSampler(plan, Budgets(**{name: limit}), seed).estimate / size
    return Share(lower, upper, min(max(estimate, lower), upper))


def _joint(plan: CostPlan, budgets: Budgets, seed: int, shares: Mapping[str, Share]) -> Share:
    size = plan.space.size()
    limits = limits_of(plan, budgets)
    if shares and set(shares) <= set(STEP_NAMES):
        return shares["step_latency_ms"]
    ceiling = min((share.upper for share in shares.values()), default=1.0)
    # What steps exclude is taken off below: tables of windows do not know them.
    excluded = sum(1.0 - share.lower for name, share in shares.items() if name in STEP_NAMES)
    is_single = (limits.cycles, limits.flash_bytes, limits.ram_bytes).count(None) >= 2
    if is_single and limits.ram_bytes is None:
        bins = _CYCLE_BINS, _FLASH_BINS
    elif is_single and not excluded:
        return _single(plan, "peak_ram_bytes", float(limits.ram_bytes or 0), seed)
    else:
        bins = _JOINT_BINS, _JOINT_BINS
    lower = max(CompletionTable(plan, limits, "up", *bins).total / size - excluded, 0.0)
    upper = min(CompletionTable(plan, limits, "down", *bins).total / size, ceiling)
    estimate = UniformSampler(plan, budgets, seed).estimate / size
    return Share(lower, upper, min(max(estimate, lower), upper))
