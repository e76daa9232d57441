"""`ppg-nas report RUN`: draw report.html again from what a run has left."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.terminal.output import print_json


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--json", action="store_true", help="print the closing summary as JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write report.html and print where it is."""
    from nas.report.closing import closing_lines, closing_summary
    from nas.report.run_report import write_report
    from nas.run.run_directory import RunDirectory

    run = RunDirectory.open(options.run)
    with run.exclusive():
        write_report(run)
    if options.json:
        print_json(closing_summary(run))
    else:
        print("\n".join(closing_lines(run)))
    return 0
