"""The four budget options that search and pareto share."""

from __future__ import annotations

import argparse
from dataclasses import replace

from nas.arguments import positive_number
from search.budgets import KB, Budgets


def add_budgets(parser: argparse.ArgumentParser) -> None:
    """Declare --max-latency-ms, --max-flash-kb, --max-ram-kb and --max-power-mw."""
    for name, unit in (("latency-ms", "ms"), ("flash-kb", "KB"), ("ram-kb", "KB"), ("power-mw", "mW")):
        parser.add_argument(
            f"--max-{name}", type=positive_number, metavar=unit.upper(), help=f"budget in {unit}"
        )


def given_budgets(options: argparse.Namespace, defaults: Budgets) -> Budgets:
    """The budgets of the options; where none is given, the default's."""
    flash, ram = options.max_flash_kb, options.max_ram_kb
    given = {
        "latency_ms": options.max_latency_ms,
        "flash_bytes": None if flash is None else flash * KB,
        "peak_ram_bytes": None if ram is None else ram * KB,
        "power_mw": options.max_power_mw,
    }
    return replace(defaults, **{name: limit for name, limit in given.items() if limit is not None})
