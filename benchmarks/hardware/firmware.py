"""The whole firmware of runs' chosen subnets: flash and RAM of the example's ELF, and what a reading takes.

Each run's chosen subnet is exported and its bundle verified: front end, network, verdict, tracker, start-up
code and stack are in the figures. Beside them stand the run's budgets.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from nas.assembly.choice import chosen_arch
from nas.assembly.hardware import cost_model
from nas.deploy.export import export_bundle
from nas.deploy.verification.verify import verify_bundle
from nas.run.run_directory import RunDirectory
from search.costs.budgets import KB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks firmware`."""
    parser.add_argument("runs", type=Path, nargs="+", help="finished runs")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A row a run: costs in ms, KB and mW, and whether each is within the run's budget."""
    rows = [_row(RunDirectory.open(path)) for path in options.runs]
    return {
        "all_within_budgets": all(all(row["within_budget"].values()) for row in rows),
        "mismatches": sum(row["mismatches"] for row in rows),
        "largest_reading_ms": max(row["reading_ms"] for row in rows),
        "largest_flash_kb": max(row["flash_kb"] for row in rows),
        "largest_ram_kb": max(row["ram_kb"] for row in rows),
        "runs": rows,
    }


def _row(directory: RunDirectory) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        export_bundle(directory, chosen_arch(directory), bundle)
        found = verify_bundle(bundle, cost_model(directory, directory.device()))
    firmware, budgets = found["firmware"], directory.config.budgets
    costs = {
        "reading_ms": firmware["reading_ms"],
        "flash_kb": firmware["flash_bytes"] / KB,
        "ram_kb": firmware["ram_bytes"] / KB,
        "power_mw": firmware["power_mw"],
    }
    limits = {
        "reading_ms": budgets.latency_ms,
        "flash_kb": budgets.flash_kb,
        "ram_kb": budgets.ram_kb,
        "power_mw": budgets.power_mw,
    }
    return {
        "run": directory.path.resolve().name,
        "id": found["id"],
        "arch": found["arch"],
        "device": found["device"],
        "network_ms": round(found["measured"]["latency_ms"], 3),
        **{name: round(value, 3) for name, value in costs.items()},
        "samples_ms": round(firmware["ms"]["push"], 3),
        "stack_bytes": firmware["stack_bytes"],
        "stack_fits": firmware["stack_fits"],
        "budgets": limits,
        "within_budget": {name: costs[name] <= limit for name, limit in limits.items() if limit is not None},
        "golden_vectors": found["golden_vectors"],
        "readings": firmware["readings"],
        "mismatches": found["mismatches"],
    }
