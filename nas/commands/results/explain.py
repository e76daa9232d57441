"""`ppg-nas explain RUN ID`: what a subnet costs layer by layer, what dominates, and who stands next to it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.terminal.budget_options import add_columns, usual_columns
from nas.terminal.output import chosen_columns, print_json, print_table

if TYPE_CHECKING:
    from search.archive.rows import Row

_LAYER_COLUMNS = (
    "name",
    "kind",
    "detail",
    "length_out",
    "channels_out",
    "macs",
    "cycles",
    "latency_ms",
    "share",
    "flash_bytes",
    "ram_bytes",
)
_NEIGHBOURS = 3


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("id", help="id of an archived subnet, or the beginning of one")
    parser.add_argument("--device", help="device name or YAML file (default: the run's)")
    add_columns(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the layers, the totals by kind of layer, and the neighbours."""
    from hwmodels.device.energy import DEFAULT_PERIOD_S
    from nas.assembly.choice import arch_of
    from nas.assembly.hardware import cost_model
    from nas.assembly.layer_costs import layer_rows
    from nas.assembly.run_space import space_of
    from nas.report.front_rows import query_run
    from nas.run.run_directory import RunDirectory
    from search.archive.query import Query, table_row
    from search.costs.budgets import KB

    run = RunDirectory.open(options.run)
    arch = arch_of(run, options.id)
    model = cost_model(run, run.device(options.device))
    layers = layer_rows(space_of(run.config).lower(arch), model)
    evaluated = query_run(run, Query(device=options.device, is_front_only=False)).rows
    here = next(row for row in evaluated if row.arch_id == arch.id)
    cheaper, better = neighbours(here, evaluated)
    found: dict[str, Any] = {
        "subnet": table_row(here),
        "layers": layers,
        "by_kind": by_kind(layers),
        "cheaper": [table_row(row) for row in cheaper],
        "better": [table_row(row) for row in better],
    }
    if options.json:
        print_json(found)
        return 0
    print(f"{arch.id}  {arch}")
    print_table(layers, _LAYER_COLUMNS)
    print_table(found["by_kind"], tuple(found["by_kind"][0]), "by kind of layer")
    most = max(layers, key=lambda row: row["cycles"])
    deepest = max(layers, key=lambda row: row["ram_bytes"])
    print(f"dearest: {most['name']}, {100 * most['share']:.0f} % of the cycles; RAM peaks at {deepest['name']}")
    if here.step_latency_ms is None or here.step_ram_bytes is None or here.step_energy_mj is None:
        print("streaming: - (this network reads whole windows)")
    else:
        print(
            f"streaming: a step on {DEFAULT_PERIOD_S:g} s of new samples takes {here.step_latency_ms:.2f} ms "
            f"({here.step_latency_ms / here.latency_ms:.0%} of the window's), "
            f"{here.step_ram_bytes / KB:.1f} KB of RAM, {here.step_energy_mj:.3f} mJ"
        )
    for title, rows in (("nearest cheaper", found["cheaper"]), ("nearest better", found["better"])):
        if rows:
            print_table(rows, chosen_columns(rows, options.columns, usual_columns(here.metric)), title)
        else:
            print(f"{title}: none evaluated")
    return 0


def by_kind(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cycles, share and constants of each kind of layer, the dearest first."""
    kinds = {row["kind"] for row in layers}
    rows = []
    for kind in kinds:
        own = [row for row in layers if row["kind"] == kind]
        sums = {name: sum(row[name] for row in own) for name in ("macs", "cycles", "share", "flash_bytes")}
        rows.append({"kind": kind, "layers": len(own), **sums})
    return sorted(rows, key=lambda row: (-row["cycles"], row["kind"]))


def neighbours(here: Row, rows: tuple[Row, ...]) -> tuple[list[Row], list[Row]]:
    """Evaluated subnets no dearer in time, flash and RAM with the smallest loss of accuracy; and subnets of
    smaller error with the smallest gain in time. Up to three each, the nearest first.
    """
    others = [row for row in rows if row.arch_id != here.arch_id]
    cheaper = [
        row
        for row in others
        if row.latency_ms < here.latency_ms
        and row.flash_bytes <= here.flash_bytes
        and row.peak_ram_bytes <= here.peak_ram_bytes
    ]
    better = [row for row in others if row.error < here.error]
    cheaper.sort(key=lambda row: (row.error, row.latency_ms, row.arch_id))
    better.sort(key=lambda row: (max(row.latency_ms - here.latency_ms, 0.0), row.error, row.arch_id))
    return cheaper[:_NEIGHBOURS], better[:_NEIGHBOURS]
