"""Prediction against execution over random architectures: the substance of `ppg-nas lut check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodels.c.toolchain import Toolchain
from hwmodels.codegen.network_source import default_plan, generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.target import TIGHTLY_COUPLED
from hwmodels.emulation import qemu as second_emulator
from hwmodels.kernels.variants import kernel_sources
from hwmodels.network.graph import LayerGraph
from hwmodels.validation.network_check import check_image, random_model, random_windows
from supernet.space.search_space import SearchSpace

WINDOWS = 4
MOST_CYCLE_ERROR_PCT = 0.5
MOST_CYCLE_ERROR_BEHIND_FLASH_PCT = 2.0
"""The table has every kernel start with empty caches; in a network some lines are still there."""
MOST_FLASH_ERROR_PCT = 1.0
_MODEL = "ppgnet_model.c"
_GROUPS = 10


@dataclass(frozen=True)
class _Task:
    arch: str
    graph: LayerGraph
    seed: tuple[int, int]
    cost_model: CostModel
    toolchain: Toolchain
    kernels: Mapping[str, bytes]
    has_second: bool


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

    Their code is the cost model's. Per architecture, WINDOWS random windows are executed, on QEMU as well
    where it is installed, and every result is compared with the interpreter's. Fields: archs, max_ and
    mean_cycle_error_pct, max_flash_error_pct, ram_mismatches, arenas_above_bound (larger than the largest
    live set), output_mismatches, fallback_archs, fallback_layers_pct, second_emulator (the networks it ran,
    those whose instruction count differed, wrong outputs; or why it is missing), by_cycles (as many networks
    in each row), and worst, the five whose cycles are furthest off.
    """
    toolchain = toolchain.for_core(cost_model.device.core)
    archs = space.decode(space.sample(samples, np.random.default_rng([seed, 1])))
    kernels = toolchain.objects(kernel_sources())
    lacking = second_emulator.missing()

    tasks = [
        _Task(str(arch), space.lower(arch), (seed, number), cost_model, toolchain, kernels, lacking is None)
        for number, arch in enumerate(archs)
    ]
    rows: list[dict[str, Any]] = []
    for row in executor.map(_check, tasks):
        rows.append(row)
        advance(len(rows), len(tasks), f"cycles off by {row['cycle_error_pct']:+.2f} %")
    device = cost_model.device
    second: dict[str, Any] = {"missing": lacking}
    if lacking is None:
        second = {
            "networks": len(rows),
            "instruction_mismatches": sum(row["instructions"] != row["second_instructions"] for row in rows),
            "output_mismatches": sum(row["second_output_mismatches"] for row in rows),
        }
    return {
        "device": device.name,
        "memory": device.target.memory,
        "code": cost_model.form.code,
        **({"activations": "striped"} if cost_model.form.memory == "striped" else {}),
        "seed": seed,
        "compiler": toolchain.version,
        **_summary(rows),
        "second_emulator": second,
        "by_cycles": _by_cycles(rows),
        "worst": sorted(rows, key=lambda row: -abs(row["cycle_error_pct"]))[:5],
    }


def is_bad(found: Mapping[str, Any]) -> bool:
    """Whether anything that must be equal differs, or cycles or flash are further off than is promised."""
    second = found["second_emulator"]
    differ = found["output_mismatches"] + found["ram_mismatches"]
    differ += second.get("instruction_mismatches", 0) + second.get("output_mismatches", 0)
    is_coupled = found["memory"] == TIGHTLY_COUPLED
    most = MOST_CYCLE_ERROR_PCT if is_coupled else MOST_CYCLE_ERROR_BEHIND_FLASH_PCT
    is_off = found["max_cycle_error_pct"] > most
    return bool(differ or is_off or found["max_flash_error_pct"] > MOST_FLASH_ERROR_PCT)


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    errors = [abs(row["cycle_error_pct"]) for row in rows]
    return {
        "archs": len(rows),
        "windows": WINDOWS * len(rows),
        "max_cycle_error_pct": max(errors),
        "mean_cycle_error_pct": float(np.mean(errors)),
        "max_flash_error_pct": max(abs(row["flash_error_pct"]) for row in rows),
        "ram_mismatches": sum(not row["ram_matches"] for row in rows),
        "arenas_above_bound": sum(row["arena_above_bound"] > 0 for row in rows),
        "output_mismatches": sum(row["output_mismatches"] for row in rows),
        "fallback_archs": sum(bool(row["fallbacks"]) for row in rows),
        "fallback_layers_pct": 100 * sum(len(r["fallbacks"]) for r in rows) / sum(r["layers"] for r in rows),
        "median_cycles_per_mac": float(np.median([row["cycles"] / row["macs"] for row in rows])),
    }


def _by_cycles(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The networks in groups of equal number, from the quickest to the slowest."""
    ordered = sorted(rows, key=lambda row: row["cycles"])
    groups = np.array_split(np.arange(len(ordered)), min(_GROUPS, len(ordered)))
    return [
        {
            "cycles_to": ordered[group[-1]]["cycles"],
            **{
                name: value
                for name, value in _summary([ordered[index] for index in group]).items()
                if name != "windows"
            },
        }
        for group in groups
    ]


def _check(task: _Task) -> dict[str, Any]:
    rng = np.random.default_rng(task.seed)
    model = replace(random_model(task.graph, rng), form=task.cost_model.form)
    windows = random_windows(task.graph, WINDOWS, rng)
    sources = generate(model)
    compiled = dict(task.kernels)
    compiled |= task.toolchain.objects({n: t for n, t in sources.items() if n == _MODEL or n.endswith(".h")})
    found = check_image(model, task.cost_model, task.toolchain.link(sources, compiled=compiled), windows)
    arena = default_plan(model)
    row = {
        "arch": task.arch,
        "macs": found.predicted.macs,
        "cycles": found.measured_cycles,
        "instructions": found.instructions,
        "cycle_error_pct": found.cycle_error_pct,
        "flash_bytes": found.measured_flash_bytes,
        "flash_error_pct": found.flash_error_pct,
        "ram_bytes": found.measured_ram_bytes,
        "ram_matches": found.ram_matches,
        "arena_above_bound": arena.arena_bytes - arena.lower_bound_bytes,
        "output_mismatches": found.output_mismatches,
        "fallbacks": list(found.fallback_ops),
        "layers": found.layers,
    }
    if task.has_second:
        second = second_emulator.run_on_qemu(sources, windows, task.toolchain, compiled)
        row["second_instructions"] = second.instructions
        row["second_output_mismatches"] = int((second.results != found.expected).any(axis=1).sum())
    return row
