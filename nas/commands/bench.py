"""`python -m benchmarks NAME`: measurements that the README quotes; each is a module of benchmarks."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import nas.bench
from nas.terminal.output import print_fields, print_json, print_table


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare one sub-command per module of benchmarks."""
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for module in pkgutil.iter_modules(nas.bench.__path__):
        benchmark = importlib.import_module(f"nas.bench.{module.name}")
        summary = (benchmark.__doc__ or "").strip().split("\n")[0]
        inner = names.add_parser(module.name, help=summary)
        inner.add_argument("--json", action="store_true", help="print JSON")
        if hasattr(benchmark, "add_arguments"):
            benchmark.add_arguments(inner)
        inner.set_defaults(execute=execute, measure=benchmark.run, show=getattr(benchmark, "show", None))


def execute(options: argparse.Namespace) -> int:
    """Run one benchmark and print its figures."""
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
