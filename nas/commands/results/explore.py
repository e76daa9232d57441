"""`ppg-nas explore RUN`: a run as a page to look into, or two runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.terminal.arguments import count
from nas.terminal.output import print_note


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("other", type=Path, nargs="?", help="another run of the same task, beside it")
    parser.add_argument("--out", type=Path, help="the page (default: explorer.html in the run)")
    parser.add_argument(
        "--device", action="append", default=[], help="also cost on this device, a name or YAML file (repeatable)"
    )
    parser.add_argument("--no-open", action="store_true", help="write the page, open no browser")
    parser.add_argument(
        "--serve", action="store_true", help="serve the page on this machine, up to date as a search runs"
    )
    parser.add_argument("--port", type=count, default=0, help="port to serve on (default: a free one)")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the page and open it; or serve it until interrupted."""
    import webbrowser

    from nas.report.explorer.page import explorer_page
    from nas.report.explorer.records import require_same_metric, run_records
    from nas.run.run_directory import RunDirectory
    from nas.run.run_files import write_text

    runs = [RunDirectory.open(path) for path in (options.run, options.other) if path is not None]

    def records() -> list[dict[str, object]]:
        made = []
        for run in runs:
            others = [run.device(name) for name in options.device]
            made.append(run_records(run, [one for one in others if one.name != run.device().name] or None))
        if len(made) > 1:
            require_same_metric(*made)
        return made

    if options.serve:
        from nas.report.explorer.server import serve

        return serve(records, [run.path for run in runs], options.port, opens=not options.no_open)
    path = options.out or options.run / "explorer.html"
    write_text(path, explorer_page(records()))
    print(path)
    if not options.no_open and not webbrowser.open(path.resolve().as_uri()):
        print_note("no browser was found here; open the page with yours")
    return 0
