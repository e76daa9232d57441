"""`ppg-nas pareto RUN`: the front of a run within budgets, as a table, JSON, CSV or picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.arguments import picture_path, positive_count
from nas.commands.budgets import add_budgets, given_budgets
from nas.files import replace_file
from nas.output import print_csv, print_json, print_table
from nas.pareto import query_run, rows_for_pictures
from nas.report.plots import pareto_front
from nas.run_directory import RunDirectory
from search.budgets import Budgets
from search.query import Query


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    add_budgets(parser)
    parser.add_argument("--where", help='filter, such as "mae_bpm <= 5 and flash_kb < 40"')
    parser.add_argument("--device", help="device the rows were costed for (default: the run's)")
    parser.add_argument("--sort", default="error", help="column to sort by (default: error)")
    parser.add_argument("--descending", action="store_true", help="largest first")
    parser.add_argument("--top", type=positive_count, help="rows to keep")
    parser.add_argument("--knee", action="store_true", help="only the knee of the front")
    parser.add_argument("--all", action="store_true", help="every evaluated subnet, not the front alone")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument("--plot", type=picture_path, metavar="FILE", help="draw the front (PNG, SVG or PDF)")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Query and print."""
    run = RunDirectory.open(options.run)
    query = Query(
        budgets=given_budgets(options, Budgets()), where=options.where, device=options.device,
        sort=options.sort, is_descending=options.descending, top=options.top,
        is_knee_only=options.knee, is_front_only=not options.all,
    )  # fmt: skip
    answer = query_run(run, query)
    rows = answer.table()
    columns = [column for column in rows[0] if column not in ("space", "weights", "fold", "seed")]
    if options.json:
        print_json(rows)
    elif options.csv:
        print_csv(rows, list(rows[0]))
    else:
        print_table(rows, columns)
        print(f"{len(rows)} of {answer.matched} that match, {answer.total} evaluated in all")
    if options.plot:
        everything = query_run(run, Query(device=options.device, is_front_only=False))
        limits = {"latency_ms": options.max_latency_ms}
        figure = pareto_front(
            rows_for_pictures(everything), rows_for_pictures(answer), None, limits, answer.rows[0].metric
        )
        replace_file(options.plot, lambda path: figure.savefig(path, dpi=130))
    return 0
