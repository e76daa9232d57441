"""Uniform draws from all architectures within budgets, guided by counting tables however tight they are."""

from __future__ import annotations

import numpy as np

from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan
from search.costs.names import STEP_NAMES
from search.feasibility.counting import CompletionTable, Limits
from search.feasibility.extremes import largest_costs
from supernet.space.search_space import Genes

_TRIAL = 2000
_GOOD_SHARE = 0.5
_FINE = 16384
_FLASH_BINS = 512
_JOINT_BINS = 80
_MOST_CYCLES = 1 << 42


def limits_of(plan: CostPlan, budgets: Budgets) -> Limits:
    """Budgets in whole cycles and bytes. Limits that every architecture keeps are left out, and those of
    streaming steps: see `step_limits_of`.
    """
    largest = largest_costs(plan)
    windows = {name: limit for name, limit in budgets.limits.items() if name not in STEP_NAMES}
    binding = {name: limit for name, limit in windows.items() if largest[name].value > limit}
    cycles = [_cycles_within(plan, name, limit) for name, limit in binding.items() if "bytes" not in name]
    flash, ram = binding.get("flash_bytes"), binding.get("peak_ram_bytes")
    return Limits(min(cycles, default=None), None if flash is None else int(flash), None if ram is None else int(ram))


def step_limits_of(plan: CostPlan, budgets: Budgets) -> Limits | None:
    """The budget of a step in whole cycles of `plan.steps`; None where there is none."""
    if budgets.step_latency_ms is None or plan.steps is None:
        return None
    return Limits(_cycles_within(plan.steps, "latency_ms", budgets.step_latency_ms))


def _cycles_within(plan: CostPlan, name: str, limit: float) -> int:
    """The most cycles within a limit on latency, energy or power, which grow with them; -1 for none."""
    low, high = -1, _MOST_CYCLES
    while high - low > 1:
        middle = (low + high) // 2
        one = np.array([middle])
        is_within = plan.finish(one, one, one).column(name)[0] <= limit
        low, high = (middle, high) if is_within else (low, middle)
    return low


class UniformSampler:
    """Draws from exactly the architectures within budgets, each equally likely.

    Proposals come from a counting table whose set contains that one; those outside are drawn again,
    so uniformity is exact. Tables are tried from the quickest on until at least half of the proposals
    are kept. `kept_share` is that share as tried out; 0 means that nothing was found.
    """

    def __init__(self, plan: CostPlan, budgets: Budgets, seed: int = 0) -> None:
        self._plan = plan
        self._budgets = budgets
        self.kept_share = -1.0
        trials = [(plan, *trial) for trial in _trials(limits_of(plan, budgets))]
        step = step_limits_of(plan, budgets)
        if step is not None and plan.steps is not None:
            trials.insert(0, (plan.steps, step, _FINE, 1))
        for mode, limits, cycle_bins, flash_bins in trials:
            table = CompletionTable(mode, limits, "down", cycle_bins, flash_bins)
            if table.total == 0:
                self._table, self.kept_share = table, 0.0
                break
            share = self._tried(table, np.random.default_rng([seed, 17]))
            if share > self.kept_share:
                self._table, self.kept_share = table, share
            if share >= _GOOD_SHARE:
                break

    def _tried(self, table: CompletionTable, rng: np.random.Generator) -> float:
        drawn = table.draw(_TRIAL, rng)
        return float(self._budgets.admits(self._plan.costs(drawn)).mean())

    @property
    def estimate(self) -> float:
        """Estimated number of architectures within the budgets: the table's count by the share kept."""
        return self._table.total * self.kept_share

    @property
    def is_proven_empty(self) -> bool:
        """Whether counting has shown that nothing fits."""
        return self._table.total == 0

    def __call__(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` independent genotypes within the budgets (n, genes); fewer where hardly any is found."""
        batches: list[Genes] = []
        missing = count
        if self.kept_share > 0:
            for _ in range(12):
                drawn = self._table.draw(int(1.2 * missing / self.kept_share) + 8, rng)
                kept = drawn[self._budgets.admits(self._plan.costs(drawn))][:missing]
                batches.append(kept)
                missing -= len(kept)
                if missing == 0:
                    break
        empty = np.zeros((0, self._plan.space.gene_count), np.int16)
        return np.concatenate([empty, *batches])


def _trials(limits: Limits) -> list[tuple[Limits, int, int]]:
    """Tables to try: one budget finely, then both coarsely with all their code."""
    ram = limits.ram_bytes
    trials = []
    if limits.cycles is not None or limits.flash_bytes is None:
        trials.append((Limits(limits.cycles, None, ram), _FINE, 1))
    if limits.flash_bytes is not None:
        trials.append((Limits(None, limits.flash_bytes, ram), 1, _FLASH_BINS))
    if limits.cycles is not None and limits.flash_bytes is not None:
        trials.append((limits, _JOINT_BINS, _JOINT_BINS))
    return trials
