"""`python -m benchmarks NAME --json`: every study and benchmark; NAME is that of a module below."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

import benchmarks
from nas.cli import run_command
from nas.terminal.arguments import Parser
from nas.terminal.output import print_fields, print_json, print_table


def known() -> dict[str, str]:
    """Name of each benchmark and the module that holds it."""
    modules = [info.name for info in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.") if not info.ispkg]
    shelves = ("benchmarks.__main__", "benchmarks.support.")
    return {name.rsplit(".", 1)[1]: name for name in modules if not name.startswith(shelves)}


def build_parser(wanted: str | None) -> Parser:
    """The parser; only the benchmark that is wanted is imported, as most load torch."""
    parser = Parser(prog="python -m benchmarks", description="Measurements that README and documentation quote.")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, module in sorted(known().items()):
        inner = names.add_parser(name)
        if name != wanted:
            continue
        benchmark = importlib.import_module(module)
        inner.description = (benchmark.__doc__ or "").split("\n")[0]
        inner.add_argument("--json", action="store_true", help="print JSON")
        if hasattr(benchmark, "add_arguments"):
            benchmark.add_arguments(inner)
        inner.set_defaults(execute=_execute, measure=benchmark.run, show=getattr(benchmark, "show", None))
    parser.epilog = "Benchmarks: " + ", ".join(sorted(known())) + "."
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark and return the exit code, as `ppg-nas` does."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(build_parser(given[0] if given else None), given)


def _execute(options: argparse.Namespace) -> int:
    result = options.measure(options)
    if options.json:
        print_json(result)
    elif options.show:
        options.show(result)
    elif isinstance(result, list):
        print_table(result, list(result[0]))
    else:
        print_fields({key: value for key, value in result.items() if not isinstance(value, list | dict)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
