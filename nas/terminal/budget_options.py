"""The options that commands on archived subnets share: budgets, objectives, columns."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from nas.terminal.arguments import positive_number
from nas.terminal.output import column_names

if TYPE_CHECKING:
    from search.costs.budgets import Budgets


def add_budgets(parser: argparse.ArgumentParser) -> None:
    """Declare --max-latency-ms, --max-flash-kb, --max-ram-kb, --max-power-mw, --max-step-latency-ms."""
    for name, unit in (
        ("latency-ms", "ms"),
        ("flash-kb", "KB"),
        ("ram-kb", "KB"),
        ("power-mw", "mW"),
        ("step-latency-ms", "ms"),
    ):
        parser.add_argument(f"--max-{name}", type=positive_number, metavar=unit.upper(), help=f"budget in {unit}")


def given_budgets(options: argparse.Namespace, defaults: Budgets) -> Budgets:
    """The budgets of the options; where none is given, the default's."""
    from search.costs.budgets import KB

    flash, ram = options.max_flash_kb, options.max_ram_kb
    given = {
        "latency_ms": options.max_latency_ms,
        "flash_bytes": None if flash is None else flash * KB,
        "peak_ram_bytes": None if ram is None else ram * KB,
        "power_mw": options.max_power_mw,
        "step_latency_ms": options.max_step_latency_ms,
    }
    return replace(defaults, **{name: limit for name, limit in given.items() if limit is not None})


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Declare --columns of a table of subnets."""
    parser.add_argument(
        "--columns", type=column_names, metavar="LIST", help="columns of the table, or all (default: error and costs)"
    )


def usual_columns(metric: str) -> tuple[str, ...]:
    """The columns of a table of subnets unless others are asked for; they fit 80 characters."""
    return ("id", metric, "latency_ms", "flash_kb", "ram_kb")


def objectives(text: str) -> tuple[str, ...]:
    """Columns to minimise, as filters name them, with commas between: "error,step_latency_ms,flash"."""
    from search.archive.filters import FilterError, column_named

    try:
        return tuple(column_named(name.strip()).stored for name in text.split(","))
    except FilterError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
