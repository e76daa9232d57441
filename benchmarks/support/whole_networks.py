"""Feasible networks as they run: cycles per MAC from quantized input to estimate, and bytes of code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodels.c.toolchain import ElfImage, Toolchain
from hwmodels.codegen.network_source import entry_points, fallbacks, generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import load_device
from hwmodels.emulation.emulator import Emulator
from hwmodels.kernels.variants import kernel_sources
from hwmodels.network.build_form import BuildForm
from hwmodels.network.graph import Code, LayerGraph
from hwmodels.validation.network_check import random_model, random_windows, run_window
from nas.assembly.hardware import cached_table
from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan, compile_costs
from search.feasibility.budget_check import check, sample_uniform
from supernet.space.search_space import Genes, load_space

_DRAWN = 4000


@dataclass(frozen=True)
class _Task:
    graph: LayerGraph
    form: BuildForm
    seed: tuple[int, int]
    toolchain: Toolchain
    kernels: Mapping[str, bytes]


def network_rows(  # noqa: PLR0913 - a whole benchmark, called by name
    space_name: str,
    code: Code,
    budgets: Budgets,
    count: int,
    seed: int,
    toolchain: Toolchain,
    executor: Executor,
    advance: Callable[[int, int, str], None],
) -> list[dict[str, Any]]:
    """One row per network, drawn uniformly from those within `budgets` on the default device.

    Fields: space, code, arch, macs, cycles (measured, all that ppgnet_run does), code_bytes (every function
    that ppgnet_run needs), code_bytes_with_input (those that make the input as well), fallbacks (operations).
    """
    space, device = load_space(space_name), load_device()
    model = CostModel(cached_table(space, device.target, toolchain), device, BuildForm(code))
    archs = space.decode(_feasible(compile_costs(space, model), budgets, count, seed))
    kernels = toolchain.objects(kernel_sources())
    tasks = [
        _Task(space.lower(arch), BuildForm(code), (seed, number), toolchain, kernels)
        for number, arch in enumerate(archs)
    ]
    rows = []
    for arch, row in zip(archs, executor.map(_measure, tasks), strict=True):
        rows.append({"space": space_name, "code": code, "arch": arch, **row})
        advance(len(rows), len(tasks), f"{space_name}, {code}: {row['cycles'] / row['macs']:.2f} cycles per MAC")
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a list of rows of one space and code comes to."""
    per_mac = [row["cycles"] / row["macs"] for row in rows]
    return {
        "space": rows[0]["space"],
        "code": rows[0]["code"],
        "count": len(rows),
        "median_cycles_per_mac": float(np.median(per_mac)),
        "max_cycles_per_mac": max(per_mac),
        "median_macs": int(np.median([row["macs"] for row in rows])),
        "median_code_bytes": int(np.median([row["code_bytes"] for row in rows])),
        "max_code_bytes": max(row["code_bytes"] for row in rows),
        "max_code_bytes_with_input": max(row["code_bytes_with_input"] for row in rows),
        "fallback_ops": sum(row["fallbacks"] for row in rows),
    }


def _feasible(plan: CostPlan, budgets: Budgets, count: int, seed: int) -> Genes:
    """The first `count` genotypes within the budgets of `_DRAWN` drawn from all, or as many as there are.

    Raises InfeasibleBudget when there are none.
    """
    genes = sample_uniform(plan.space, _DRAWN, np.random.default_rng([seed, 3]))
    inside = genes[budgets.admits(plan.costs(genes))]
    return inside[:count] if len(inside) else check(plan, budgets, seed).starts[:count]


def _measure(task: _Task) -> dict[str, Any]:
    rng = np.random.default_rng(task.seed)
    model = replace(random_model(task.graph, rng), form=task.form)
    sources = generate(model)
    image = task.toolchain.link(sources, ("ppgnet_run",), compiled=task.kernels)
    whole = task.toolchain.link(sources, entry_points(model), compiled=task.kernels)
    ran = run_window(model, Emulator(image), random_windows(task.graph, 1, rng)[0])
    return {
        "macs": task.graph.macs,
        "cycles": ran.cycles,
        "code_bytes": _code_bytes(image),
        "code_bytes_with_input": _code_bytes(whole),
        "fallbacks": len(fallbacks(model)),
    }


def _code_bytes(image: ElfImage) -> int:
    """Bytes of all functions, each filled up to a word as the linker does."""
    return sum(-(-symbol.size // 4) * 4 for symbol in image.symbols.values() if symbol.is_function)
