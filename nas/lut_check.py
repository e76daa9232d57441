"""Prediction against execution over random architectures: the substance of `ppg-nas lut check`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodels.check import check_graph, random_model, random_windows
from hwmodels.cost import CostModel
from hwmodels.graph import LayerGraph
from hwmodels.toolchain import Toolchain
from supernet.space import SearchSpace

WINDOWS = 4


@dataclass(frozen=True)
class _Task:
    arch: str
    graph: LayerGraph
    seed: tuple[int, int]
    cost_model: CostModel
    toolchain: Toolchain


def check_table(
    space: SearchSpace,
    cost_model: CostModel,
    toolchain: Toolchain,
    samples: int,
    seed: int,
    executor: Executor,
    advance: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Compare the table's costs of random members, with random weights, with their code as it runs.

    Per architecture, WINDOWS random windows are executed and every result is compared with the
    interpreter's. Fields: archs, max_cycle_error_pct, max_flash_error_pct, ram_mismatches,
    output_mismatches, fallback_archs, and rows, one per architecture.
    """
    archs = space.decode(space.sample(samples, np.random.default_rng([seed, 1])))
    tasks = [
        _Task(str(arch), space.lower(arch), (seed, number), cost_model, toolchain)
        for number, arch in enumerate(archs)
    ]
    rows: list[dict[str, Any]] = []
    for row in executor.map(_check, tasks):
        rows.append(row)
        advance(len(rows), len(tasks), f"cycles off by {row['cycle_error_pct']:+.2f} %")
    return {
        "archs": len(rows),
        "max_cycle_error_pct": max(abs(row["cycle_error_pct"]) for row in rows),
        "max_flash_error_pct": max(abs(row["flash_error_pct"]) for row in rows),
        "ram_mismatches": sum(not row["ram_matches"] for row in rows),
        "output_mismatches": sum(row["output_mismatches"] for row in rows),
        "fallback_archs": sum(bool(row["fallbacks"]) for row in rows),
        "rows": rows,
    }


def _check(task: _Task) -> dict[str, Any]:
    rng = np.random.default_rng(task.seed)
    model = random_model(task.graph, rng)
    windows = random_windows(task.graph, WINDOWS, rng)
    found = check_graph(model, task.cost_model, task.toolchain, windows)
    return {
        "arch": task.arch,
        "macs": found.predicted.macs,
        "cycles": found.measured_cycles,
        "cycle_error_pct": found.cycle_error_pct,
        "flash_bytes": found.measured_flash_bytes,
        "flash_error_pct": found.flash_error_pct,
        "ram_bytes": found.measured_ram_bytes,
        "ram_matches": found.ram_matches,
        "output_mismatches": found.output_mismatches,
        "fallbacks": list(found.fallback_ops),
    }
