"""`ppg-nas search RUN`: another device, another budget, from the same trained supernet."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nas.terminal.arguments import positive_count
from nas.terminal.budget_options import add_budgets, add_columns, given_budgets, objectives, usual_columns
from nas.terminal.output import chosen_columns, print_json, print_table

if TYPE_CHECKING:
    from nas.run.run_directory import RunDirectory
    from search.costs.budgets import Budgets


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--device", help="device name or YAML file (default: the run's)")
    add_budgets(parser)
    parser.add_argument("--evaluations", type=positive_count, help="subnets to evaluate (default: the run's)")
    parser.add_argument("--objectives", type=objectives, help="columns to minimise (default: the run's)")
    parser.add_argument("--cluster", metavar="ADDRESS", help="dask scheduler whose workers evaluate subnets")
    parser.add_argument("--top", type=positive_count, default=12, help="rows to print (default 12)")
    parser.add_argument("--explain", action="store_true", help="say what the budgets mean, and search nothing")
    add_columns(parser)
    parser.add_argument("--json", action="store_true", help="print the whole front as JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Search and print the front."""
    from nas.assembly.choice import budgets_of
    from nas.run.carried import carry_device
    from nas.run.run_directory import RunDirectory
    from nas.stages.search import search_run
    from search.archive.query import Answer

    run = RunDirectory.open(options.run)
    budgets = given_budgets(options, budgets_of(run.config.budgets))
    if options.explain:
        return _explain(run, options, budgets)
    run.summary("supernet")
    run.cluster = options.cluster
    with run.exclusive():
        device = carry_device(run.path, options.device) if options.device else run.device()
        result = search_run(run, device, budgets, options.evaluations, options.objectives)
    rows = Answer(result.front, len(result.rows), len(result.rows)).table()
    if options.json:
        quality = result.predictor
        predictor = None if quality is None else {**asdict(quality), "screened": result.screened}
        print_json({"evaluated": len(result.rows), "predictor": predictor, "front": rows})
    else:
        columns = chosen_columns(rows, options.columns, usual_columns(result.front[0].metric))
        print_table(rows[: options.top], columns)
        print(f"{len(result.rows)} evaluated, {len(rows)} on the front")
        if result.predictor is not None:
            print(f"accuracy predictor: {result.predictor}; chose {result.screened} of the candidates")
    return 0


def _explain(run: RunDirectory, options: argparse.Namespace, budgets: Budgets) -> int:
    """Print what share of the space each budget leaves, which one binds, and what relaxing it buys."""
    from nas.assembly.hardware import cost_plan
    from search.feasibility.explain import explain

    plan = cost_plan(run, run.device(options.device))
    found = explain(plan, budgets)
    if options.json:
        print_json({"architectures": found.size, "binding": found.binding, "budgets": found.rows()})
    else:
        print_table(found.rows(), list(found.rows()[0]), f"{found.size:.3g} architectures")
        print("no budget binds" if found.binding is None else f"binding: {found.binding}")
    return 0
