"""What blocks in stripes save and cost: RAM, cycles and flash of random networks run whole and in stripes.

Costs are the table's; some networks are executed on the emulated core and compared with them as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from benchmarks.support.markdown import table
from hwmodels.c.toolchain import Toolchain, find_toolchain
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import load_device
from hwmodels.network.graph import LayerGraph, Memory
from hwmodels.schedule.memory import MemoryPlan, plan
from hwmodels.schedule.stripes import scheduled, scratch_of
from nas.assembly.hardware import cached_table
from nas.assembly.lut_check import check_table
from nas.run.workers import worker_pool
from nas.terminal.arguments import count, positive_count
from nas.terminal.output import print_table
from nas.terminal.progress import progress
from search.costs.budgets import KB
from search.costs.cost_plan import compile_costs
from search.feasibility.budget_check import sample_uniform
from search.feasibility.build_choice import MEMORIES
from supernet.space.search_space import load_space

_SPACES = ("default", "spectral")
_BUDGETS_KB = (4, 6, 8)
_CHECKED = ("output_mismatches", "ram_mismatches", "max_cycle_error_pct", "max_flash_error_pct")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks stripes`."""
    parser.add_argument("--networks", type=positive_count, default=200, help="of each space (default 200)")
    parser.add_argument("--executed", type=positive_count, default=40, help="and executed (default 40)")
    parser.add_argument("--seed", type=count, default=0, help="seed (default 0)")
    parser.add_argument("--workers", type=positive_count, default=2, help="processes (default 2)")


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per space, of networks drawn uniformly.

    Medians: ram_kb_whole and ram_kb_striped, ram_ratio, cycles_ratio, flash_more_bytes, blocks (in stripes);
    largest_kb_, least_ and most_ are of any network. arena_over_bound_: the largest ratio of an arena to the
    largest live set. share_within_kb: of the space by RAM, whole and in stripes. executed and the fields
    after it: so many networks in stripes, as nas.assembly.lut_check compares them.

    Raises ToolchainError without an Arm compiler.
    """
    toolchain = find_toolchain()
    with worker_pool(options.workers) as executor:
        return [_row(name, options, toolchain, executor) for name in _SPACES]


def show(found: list[dict[str, Any]]) -> None:
    """Print for people."""
    print_table([{name: str(value) for name, value in row.items()} for row in found], tuple(found[0]))


def document_table(found: Sequence[Mapping[str, Any]]) -> str:
    """A table of the appendix of results."""
    rows = [
        [
            row["space"],
            str(row["networks"]),
            f"{row['ram_kb_whole']:.1f} ({row['largest_kb_whole']:.1f})",
            f"{row['ram_kb_striped']:.1f} ({row['largest_kb_striped']:.1f})",
            f"{row['ram_ratio']:.2f} ({row['least_ram_ratio']:.2f})",
            f"{row['arena_over_bound_striped']:.2f}",
            f"{row['cycles_ratio']:.3f} ({row['most_cycles_ratio']:.3f})",
            f"{row['flash_more_bytes']:,}",
            *(" to ".join(f"{100 * share:.1f} %" for share in shares) for shares in _shares(row)),
        ]
        for row in found
    ]
    header = [
        "space",
        "networks",
        "RAM whole, KB (most)",
        "in stripes, KB (most)",
        "ratio (least)",
        "arena to largest live set",
        "cycles (most)",
        "flash, bytes more",
        *(f"of the space within {limit} KB" for limit in found[0]["share_within_kb"]),
    ]
    made = table(header, rows)
    told = "; ".join(
        f"{row['executed']} executed networks of {row['space']}: {row['output_mismatches']} other results, "
        f"{row['ram_mismatches']} other RAM, cycles within {row['max_cycle_error_pct']:.2f} %, flash within "
        f"{row['max_flash_error_pct']:.2f} % of the table"
        for row in found
    )
    return f"{made}\n\n{told}."


def _shares(row: Mapping[str, Any]) -> list[list[float]]:
    return list(row["share_within_kb"].values())


def _row(name: str, options: argparse.Namespace, toolchain: Toolchain, executor: Executor) -> dict[str, Any]:
    space, device = load_space(name), load_device()
    known = cached_table(space, device.target, toolchain, "striped")
    models: dict[Memory, CostModel] = {m: CostModel(known, device, "fast", m) for m in MEMORIES}
    plans = {memory: compile_costs(space, model) for memory, model in models.items()}
    rng = np.random.default_rng([options.seed, 14])
    many = {memory: held.costs(sample_uniform(space, 20_000, rng)) for memory, held in plans.items()}
    genes = sample_uniform(space, options.networks, rng)
    whole, striped = (plans[memory].costs(genes) for memory in MEMORIES)
    graphs = [space.lower(arch) for arch in space.decode(genes)]
    schedules = [scheduled(graph.with_memory("striped")) for graph in graphs]
    with progress(f"executing networks of {name}") as advance:
        checked = check_table(space, models["striped"], toolchain, options.executed, options.seed, executor, advance)
    ram = striped.peak_ram_bytes / whole.peak_ram_bytes
    cycles = striped.cycles / whole.cycles
    blocks = [sum(op.kind == "stripes" for op in schedule) for schedule in schedules]
    return {
        "space": name,
        "networks": len(genes),
        "ram_kb_whole": round(float(np.median(whole.peak_ram_bytes)) / KB, 2),
        "ram_kb_striped": round(float(np.median(striped.peak_ram_bytes)) / KB, 2),
        "largest_kb_whole": round(float(whole.peak_ram_bytes.max()) / KB, 2),
        "largest_kb_striped": round(float(striped.peak_ram_bytes.max()) / KB, 2),
        "ram_ratio": round(float(np.median(ram)), 3),
        "least_ram_ratio": round(float(ram.min()), 3),
        "most_ram_ratio": round(float(ram.max()), 3),
        "arena_over_bound_whole": round(max(map(_over_bound, graphs)), 4),
        "arena_over_bound_striped": round(max(map(_over_bound, schedules)), 4),
        "cycles_ratio": round(float(np.median(cycles)), 3),
        "most_cycles_ratio": round(float(cycles.max()), 3),
        "flash_more_bytes": int(np.median(striped.flash_bytes - whole.flash_bytes)),
        "blocks": int(np.median(blocks)),
        "share_within_kb": {
            str(limit): [round(float((many[m].peak_ram_bytes <= limit * KB).mean()), 4) for m in MEMORIES]
            for limit in _BUDGETS_KB
        },
        "executed": checked["archs"],
        **{field: checked[field] for field in _CHECKED},
    }


def _over_bound(schedule: LayerGraph) -> float:
    """Arena over the largest live set, of a plan that is proven first."""
    placed: MemoryPlan = plan(schedule, {op.name: scratch_of(op) for op in schedule})
    placed.verify(schedule)
    return placed.arena_bytes / placed.lower_bound_bytes
