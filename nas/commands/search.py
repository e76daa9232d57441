"""`ppg-nas search RUN`: another device, another budget, from the same trained supernet."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from nas.output import print_json, print_table
from nas.pareto import readable
from nas.run_directory import RunDirectory
from nas.stages.search import KB, budgets_of, search_run

COLUMNS = ("id", "error", "error_low", "error_high", "latency_ms", "flash_kb", "ram_kb", "energy_mj", "arch")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--device", help="device name or YAML file (default: the run's)")
    add_budgets(parser)
    parser.add_argument("--evaluations", type=int, help="subnets to evaluate (default: the run's)")
    parser.add_argument("--top", type=int, default=12, help="rows to print (default 12)")
    parser.add_argument("--json", action="store_true", help="print the whole front as JSON")
    parser.set_defaults(execute=execute)


def add_budgets(parser: argparse.ArgumentParser) -> None:
    """The four budget options; each replaces the run's own."""
    for name, unit in (("latency-ms", "ms"), ("flash-kb", "KB"), ("ram-kb", "KB"), ("power-mw", "mW")):
        parser.add_argument(f"--max-{name}", type=float, metavar=unit.upper(), help=f"budget in {unit}")


def execute(options: argparse.Namespace) -> int:
    """Search and print the front."""
    run = RunDirectory.open(options.run)
    budgets = budgets_of(run.config.budgets)
    given = {
        "latency_ms": options.max_latency_ms,
        "flash_bytes": options.max_flash_kb and options.max_flash_kb * KB,
        "peak_ram_bytes": options.max_ram_kb and options.max_ram_kb * KB,
        "power_mw": options.max_power_mw,
    }
    budgets = replace(budgets, **{name: limit for name, limit in given.items() if limit is not None})
    run.summary("supernet")
    with run.exclusive():
        result = search_run(run, options.device or run.config.device, budgets, options.evaluations)
    rows = [readable(row) for row in result.front]
    if options.json:
        print_json({"evaluated": len(result.rows), "front": rows})
    else:
        print_table(rows[: options.top], COLUMNS)
        print(f"{len(result.rows)} evaluated, {len(rows)} on the front")
    return 0
