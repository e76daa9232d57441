"""`ppg-nas pareto RUN`: the front of a run within budgets, as a table, JSON, CSV or picture."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.terminal.arguments import picture_path, positive_count
from nas.terminal.budget_options import add_budgets, add_columns, given_budgets, objectives, usual_columns
from nas.terminal.output import chosen_columns, print_csv, print_json, print_table

if TYPE_CHECKING:
    from search.archive.query import Answer, Query


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    add_budgets(parser)
    parser.add_argument("--where", help='filter, such as "mae_bpm <= 5 and flash_kb < 40"')
    parser.add_argument("--device", help="the same subnets on another device (default: the run's)")
    parser.add_argument("--against", type=Path, metavar="RUN2", help="compare the front with another run's")
    parser.add_argument("--objectives", type=objectives, help="columns of the front (default: the search's)")
    parser.add_argument("--sort", default="error", help="column to sort by (default: error)")
    parser.add_argument("--descending", action="store_true", help="largest first")
    parser.add_argument("--top", type=positive_count, help="rows to keep")
    parser.add_argument("--knee", action="store_true", help="only the knee of the front")
    parser.add_argument(
        "--proposals", type=positive_count, metavar="N", help="only N members that stand for the front, by hypervolume"
    )
    parser.add_argument("--all", action="store_true", help="every evaluated subnet, not the front alone")
    add_columns(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument("--plot", type=picture_path, metavar="FILE", help="draw the front (PNG, SVG or PDF)")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Query and print."""
    from nas.report.front_rows import query_run, rows_for_pictures
    from nas.report.plots import pareto_front
    from nas.run.run_directory import RunDirectory
    from nas.run.run_files import replace_file
    from search.archive.query import Query
    from search.costs.budgets import Budgets

    run = RunDirectory.open(options.run)
    query = Query(
        budgets=given_budgets(options, Budgets()),
        where=options.where,
        device=options.device,
        sort=options.sort,
        is_descending=options.descending,
        top=options.top,
        is_knee_only=options.knee,
        proposals=options.proposals,
        is_front_only=not options.all,
        objectives=options.objectives or run.config.search.objectives,
    )
    answer = query_run(run, query)
    if options.against:
        return _against(options, answer, query)
    rows = answer.table()
    if options.json:
        print_json(rows)
    elif options.csv:
        print_csv(rows, list(rows[0]))
    else:
        print_table(rows, chosen_columns(rows, options.columns, usual_columns(answer.rows[0].metric)))
        print(f"{len(rows)} of {answer.matched} that match, {answer.total} evaluated in all")
    if options.plot:
        everything = query_run(run, Query(device=options.device, is_front_only=False))
        limits = {"latency_ms": options.max_latency_ms}
        figure = pareto_front(
            rows_for_pictures(everything), rows_for_pictures(answer), None, limits, answer.rows[0].metric
        )
        replace_file(options.plot, lambda path: figure.savefig(path, dpi=130))
    return 0


def _against(options: argparse.Namespace, answer: Answer, query: Query) -> int:
    """Compare the answer with the same query's on another run."""
    from nas.report.front_rows import query_run
    from nas.run.run_directory import RunDirectory
    from search.archive.query import QueryError
    from search.loop.racing import objectives_of
    from search.pareto.compare import compare_fronts

    other = RunDirectory.open(options.against)
    # Another run's device may be another one: both are asked about the same.
    theirs = query_run(other, replace(query, device=answer.rows[0].device))
    metrics = answer.rows[0].metric, theirs.rows[0].metric
    if metrics[0] != metrics[1]:
        raise QueryError(f"{options.against}: its errors are {metrics[1]}, those of {options.run} {metrics[0]}")
    fronts = [objectives_of(held.rows, query.objectives) for held in (answer, theirs)]
    found = compare_fronts(*fronts)
    rows = [
        {
            "run": str(path),
            "members": len(front),
            "hypervolume": volume,
            "dominated by the other": dominated,
            "best_error": min(row.error for row in held.rows),
        }
        for path, held, front, volume, dominated in (
            (options.run, answer, fronts[0], found.first_hypervolume, found.first_dominated),
            (options.against, theirs, fronts[1], found.second_hypervolume, found.second_dominated),
        )
    ]
    same_people = {row.fold for row in answer.rows} == {row.fold for row in theirs.rows}
    if options.json:
        print_json({"fronts": rows, "same_split": same_people, "objectives": list(query.objectives)})
    else:
        print_table(rows, tuple(rows[0]), f"on {answer.rows[0].device}: {', '.join(query.objectives)}")
        if not same_people:
            print("the errors were measured on different splits of people: only the costs can be compared")
    return 0
