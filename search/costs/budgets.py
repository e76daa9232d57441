"""Budgets: hard limits on costs, and how far costs are outside of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from hwmodels.basics.errors import InputError
from search.costs.cost_plan import Costs
from search.pareto.fronts import Booleans, Floats

KB = 1024


class BudgetError(InputError):
    """A budget that is not a positive number."""


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Upper limits, inclusive; None leaves a cost free. KB = 1024 bytes.

    `power_mw` is the average with one inference every period of the cost model (2 s); `step_latency_ms` is
    what a streaming step may take, which only networks that stream keep.
    """

    latency_ms: float | None = None
    flash_bytes: float | None = None
    peak_ram_bytes: float | None = None
    energy_mj: float | None = None
    power_mw: float | None = None
    step_latency_ms: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            if not (limit > 0 and np.isfinite(limit)):
                raise BudgetError(f"budget {name}: must be a positive number, got {limit}")

    @cached_property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by cost name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: limit for name, limit in values.items() if limit is not None}

    def violations(self, costs: Costs) -> Floats:
        """Sum over the limits of the relative excess, (n,); 0 exactly for those within all of them."""
        total = np.zeros(len(costs))
        for name, limit in self.limits.items():
            values = costs.column(name)
            is_outside = values > limit
            if is_outside.any():
                total += np.maximum(values / limit - 1.0, 0.0) * is_outside
        return total

    def admits(self, costs: Costs) -> Booleans:
        """Which rows are within every limit, (n,)."""
        inside = np.ones(len(costs), bool)
        for name, limit in self.limits.items():
            inside &= costs.column(name) <= limit
        return inside

    def text(self, name: str) -> str:
        """One limit in words, as users write it."""
        return f"{name_and_unit(name, self.limits[name], sign='<=')}"


def name_and_unit(name: str, value: float, sign: str = "") -> str:
    """A cost in words with its unit: ('flash_bytes', 81920) -> 'flash 80.0 KB'."""
    word, _, unit = name.replace("step_", "step ").rpartition("_")
    if unit == "bytes":
        value, unit = value / KB, "KB"
    unit = {"mw": "mW", "mj": "mJ"}.get(unit, unit)
    shown = f"{value:.4g}"
    return " ".join(part for part in (word.replace("peak_ram", "RAM"), sign, shown, unit) if part)
