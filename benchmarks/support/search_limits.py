"""What the search answers before it evaluates, and after: feasibility, infeasible budgets, queries, timed.

Reads a compiled plan; `python -m benchmarks search` prints it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from search.archive.archive import Archive
from search.archive.query import Query, run_query
from search.archive.rows import Row
from search.costs.budgets import KB, Budgets
from search.costs.cost_plan import CostPlan
from search.feasibility.budget_check import InfeasibleBudget, check, sample_uniform
from search.feasibility.explain import explain
from search.feasibility.extremes import largest_costs, smallest_costs
from search.feasibility.uniform import UniformSampler
from supernet.space.search_space import Genes

ROWS = 1_000_000
_QUANTILES = (0.5, 0.1, 0.01, 0.001)
_CHUNK = 50_000


def feasibility_figures(plan: CostPlan, budgets: Budgets) -> dict[str, Any]:
    """Seconds of a full explanation, how far the bounds of single budgets are apart (upper / lower - 1), and
    the share of guided proposals that are kept, for budgets that leave 1/2, 1/10, 1/100, 1/1000 of a space.
    """
    smallest_costs.cache_clear()
    largest_costs.cache_clear()
    started = time.perf_counter()
    explain(plan, budgets)
    seconds = time.perf_counter() - started
    costs = plan.costs(sample_uniform(plan.space, 100_000, np.random.default_rng(3)))
    apart: dict[str, list[float]] = {"latency_ms": [], "flash_bytes": []}
    kept: dict[str, list[float]] = {"latency_ms": [], "flash_bytes": [], "both": []}
    for quantile in _QUANTILES:
        limits = {name: float(np.quantile(costs.column(name), quantile)) for name in apart}
        for name, limit in limits.items():
            share = explain(plan, Budgets(**{name: limit})).limits[name].share
            apart[name].append(share.upper / share.lower - 1.0)
            kept[name].append(UniformSampler(plan, Budgets(**{name: limit})).kept_share)
        kept["both"].append(UniformSampler(plan, Budgets(**limits)).kept_share)
    return {
        "feasibility_seconds": round(seconds, 3),
        **{f"bounds_apart_{name}": [round(value, 5) for value in found] for name, found in apart.items()},
        "guided_acceptance": round(min(map(min, kept.values())), 3),
        **{f"guided_acceptance_{name}": [round(value, 3) for value in found] for name, found in kept.items()},
        "infeasible_seconds": round(max(_infeasible_seconds(plan)), 3),
    }


def _infeasible_seconds(plan: CostPlan) -> Iterator[float]:
    """Until each kind of infeasible budget is answered: one too small alone, two that are at odds."""
    flash = float(smallest_costs(plan)["flash_bytes"].value)
    latency = float(smallest_costs(plan)["latency_ms"].value)
    for budgets in (
        Budgets(flash_bytes=KB),
        Budgets(latency_ms=latency, flash_bytes=flash),
        Budgets(latency_ms=1.0001 * latency, flash_bytes=1.0001 * flash),
    ):
        smallest_costs.cache_clear()
        largest_costs.cache_clear()
        started = time.perf_counter()
        try:
            check(plan, budgets)
        except InfeasibleBudget:
            yield time.perf_counter() - started


def query_seconds(plan: CostPlan, errors: Any, budgets: Budgets, rows: int = ROWS) -> float:
    """Seconds of the slowest of four queries on an archive of so many rows, each by a connection of its own.

    `errors` gives errors (n,) of genes. The front within budgets, the whole front, the knee, the 20 best.
    """
    queries = (
        Query(budgets=budgets, where="mae_bpm <= 10 and flash_kb <= 80 and latency_ms <= 50"),
        Query(),
        Query(is_knee_only=True),
        Query(is_front_only=False, sort="flash", top=20),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "archive.sqlite"
        with Archive(path) as archive:
            for start in range(0, rows, _CHUNK):
                archive.append(_made_up(plan, errors, start, min(_CHUNK, rows - start)))
        times = []
        for query in queries:
            started = time.perf_counter()
            with Archive(path, create=False) as archive:
                run_query(archive, query)
            times.append(time.perf_counter() - started)
    return max(times)


def _made_up(plan: CostPlan, errors: Any, start: int, count: int) -> list[Row]:
    """Rows of one chunk; genes are true and costed, the text of an arch is another's, with a number."""
    genes: Genes = sample_uniform(plan.space, count, np.random.default_rng([start, 7]))
    text = str(plan.space.decode(genes[:1])[0])
    costs, found = plan.costs(genes), errors(genes)
    own: list[dict[str, Any]] = [costs.row(index) for index in range(count)]
    first = Row(
        arch_id="",
        arch=text,
        genes=(),
        space=plan.space.name,
        device="made up",
        **own[0],
        metric="mae_bpm",
        error=0.0,
        error_low=0.0,
        error_high=0.0,
        subject_errors={"a": 1.0},
        windows=100,
        weights="w",
        fold="f",
        protocol="p",
        seed=0,
        generation=0,
    )
    return [
        replace(
            first,
            arch_id=f"{start + index:010x}",
            genes=tuple(row),
            error=error,
            error_low=error - 1.0,
            error_high=error + 1.0,
            **own[index],
        )
        for index, (row, error) in enumerate(zip(genes.tolist(), found.tolist(), strict=True))
    ]
