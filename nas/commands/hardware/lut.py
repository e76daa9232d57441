"""`ppg-nas lut build | show | check | export-firmware | import`: the table that every cost rests on."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodels.device.device import DEFAULT_DEVICE
from hwmodels.network.build_form import CODES, MEMORIES
from nas.terminal.arguments import CC_HELP, count, positive_count
from nas.terminal.output import plain, print_fields, print_json, print_table
from nas.terminal.progress import progress

if TYPE_CHECKING:
    from hwmodels.cost.lut import LookUpTable
    from hwmodels.device.target import Target
    from nas.run.run_directory import RunDirectory
    from supernet.space.search_space import SearchSpace


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    build = verbs.add_parser("build", help="measure every kernel call of a space on the emulated core")
    build.add_argument("run", type=Path, nargs="?", help="run directory to make the table for")
    build.add_argument("--out", type=Path, help="file to write (default: the run's, else the user's cache)")
    build.add_argument("--workers", type=positive_count, default=2, help="processes (default 2)")
    build.set_defaults(execute=build_one)
    show = verbs.add_parser("show", help="what a table holds")
    show.add_argument("table", type=Path, nargs="?", help="table file or run directory (default: cached)")
    show.add_argument("--kernel", help="only entries of this kernel variant")
    show.set_defaults(execute=show_one)
    firmware = verbs.add_parser("export-firmware", help="a project that runs kernel calls on a real board")
    firmware.add_argument("device", help="device name or YAML file")
    firmware.add_argument("--out", type=Path, required=True, help="folder to write")
    firmware.add_argument(
        "--per-kernel", type=positive_count, default=48, help="calls of each kernel, at most (default 48)"
    )
    firmware.set_defaults(execute=export_firmware, json=False)
    imported = verbs.add_parser("import", help="make a table of what a board measured")
    imported.add_argument("measured", type=Path, help="the CSV that the board printed")
    imported.add_argument("run", type=Path, nargs="?", help="run directory to make the table for")
    imported.add_argument("--out", type=Path, help="table to write (default: the run's)")
    imported.set_defaults(execute=import_one)
    check = verbs.add_parser("check", help="predictions against executions of random networks")
    check.add_argument("--samples", type=positive_count, default=100, help="architectures (default 100)")
    check.add_argument("--seed", type=count, default=0, help="seed (default 0)")
    check.add_argument("--workers", type=positive_count, default=2, help="processes (default 2)")
    check.add_argument("--code", choices=CODES, default="fast", help="code of the kernels (default fast)")
    check.add_argument(
        "--memory", choices=MEMORIES, default="whole", help="activations whole, or in stripes (default whole)"
    )
    check.set_defaults(execute=check_one)
    for verb in (build, show, check, imported, firmware):
        verb.add_argument("--space", default="default", help="search space (default: default)")
        verb.add_argument("--cc", help=CC_HELP)
    for verb in (build, show, check, imported):
        verb.add_argument("--device", help=f"device (default: the run's, else {DEFAULT_DEVICE})")
        verb.add_argument("--json", action="store_true", help="print JSON")


def build_one(options: argparse.Namespace) -> int:
    """Build a table, always anew."""
    from hwmodels.c.toolchain import find_toolchain
    from nas.assembly.hardware import build_table, cache_path, form_of, table_path
    from nas.assembly.run_space import space_of
    from nas.run.run_directory import RunDirectory
    from supernet.space.search_space import load_space

    run = RunDirectory.open(options.run) if options.run else None
    space = space_of(run.config) if run else load_space(options.space)
    target, toolchain = _target(options, run), find_toolchain(options.cc)
    begun = time.perf_counter()
    memory = form_of(run).memory if run else "whole"
    table = build_table(space, target, toolchain, options.workers, memory)
    seconds = time.perf_counter() - begun
    path = options.out or (table_path(run, target) if run else cache_path(space, target, toolchain))
    table.save(path)
    found = {"table": str(path), "entries": len(table.entries), "seconds": round(seconds, 2)}
    print_json(found) if options.json else print_fields(found)
    return 0


def show_one(options: argparse.Namespace) -> int:
    """Print provenance and entries."""
    from supernet.space.search_space import load_space

    table = _table(options, load_space(options.space))
    entries = [
        {"kernel call": key, **asdict(entry)}
        for key, entry in sorted(table.entries.items())
        if options.kernel is None or key.split("|")[0] == options.kernel
    ]
    if options.json:
        print_json({"provenance": asdict(table.provenance), "entries": entries})
        return 0
    print_fields(asdict(table.provenance) | {"flags": " ".join(table.provenance.flags)})
    print()
    print_table(entries, ("kernel call", "cycles", "instructions", "stack_bytes", "origin"))
    return 0


def check_one(options: argparse.Namespace) -> int:
    """Check predictions; exit code 1 when anything that must be equal differs, or figures are too far off."""
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.cost.network_cost import CostModel
    from hwmodels.device.device import load_device
    from hwmodels.network.build_form import BuildForm
    from nas.assembly.hardware import cached_table
    from nas.assembly.lut_check import check_table, is_bad
    from nas.run.workers import worker_pool
    from supernet.space.search_space import load_space

    space, device = load_space(options.space), load_device(options.device or DEFAULT_DEVICE)
    toolchain = find_toolchain(options.cc)
    table = cached_table(space, device.target, toolchain, options.memory)
    cost_model = CostModel(table, device, BuildForm(options.code, options.memory))
    begun = time.perf_counter()
    with worker_pool(options.workers) as executor, progress("checking") as advance:
        found = check_table(space, cost_model, toolchain, options.samples, options.seed, executor, advance)
    found["seconds"] = round(time.perf_counter() - begun, 1)
    if options.json:
        print_json(found)
        return int(is_bad(found))
    print_fields(plain(found))
    print_fields(found["second_emulator"])
    print_table(found["by_cycles"], tuple(found["by_cycles"][0]), "from the quickest to the slowest")
    return int(is_bad(found))


def export_firmware(options: argparse.Namespace) -> int:
    """Write a benchmark project for a device."""
    from hwmodels.basics.atomic_files import replace_file
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.cost.board_project import benchmark_project, choose_calls
    from hwmodels.device.device import load_device
    from nas.assembly.hardware import all_ops, cached_table
    from supernet.space.search_space import load_space

    space, device, toolchain = (
        load_space(options.space),
        load_device(options.device),
        find_toolchain(options.cc),
    )
    calls = choose_calls(all_ops(space), cached_table(space, device.target, toolchain), options.per_kernel)
    project = benchmark_project(calls, device, toolchain)
    for name, text in project.items():
        replace_file(options.out / name, partial(Path.write_text, data=text, encoding="utf-8"))
    print(f"{options.out}: {len(calls)} kernel calls for {device.name}; its README.md says what to do")
    return 0


def import_one(options: argparse.Namespace) -> int:
    """Make a table of measurements; the old one stays as it is when anything is wrong with them."""
    from hwmodels.basics.errors import InputError
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.cost.board_measurements import measured_table, read_measurements
    from hwmodels.device.device import load_device
    from nas.assembly.hardware import cached_table, form_of, measured_path
    from nas.assembly.run_space import space_of
    from nas.run.run_directory import RunDirectory
    from supernet.space.search_space import load_space

    run = RunDirectory.open(options.run) if options.run else None
    space = space_of(run.config) if run else load_space(options.space)
    device = run.device(options.device) if run else load_device(options.device or DEFAULT_DEVICE)
    path: Path | None = options.out or (measured_path(run, device) if run else None)
    if run is not None and options.out is None:
        _refuse_mixture(run, device.name)
    if path is None:
        raise InputError("lut import: give a run directory or --out FILE for the table")
    memory = form_of(run).memory if run else "whole"
    modelled = cached_table(space, device.target, find_toolchain(options.cc), memory)
    measured = read_measurements(options.measured, modelled, device.name)
    made = measured_table(modelled, measured, f"measured on {device.name}")
    made.table.save(path)
    held_out = {name: _finite(value) for name, value in asdict(made.held_out).items()}
    found = {"table": str(path), **made.counts, "scale": made.overall_scale}
    if options.json:
        print_json(found | {"scales": dict(made.scales), "held_out": held_out})
        return 0
    print_fields(found | {f"held-out {name}": value for name, value in held_out.items()})
    rows = [{"kernel": name, "measured / modelled": scale} for name, scale in made.scales.items()]
    print_table(rows, ("kernel", "measured / modelled"))
    return 0


def _refuse_mixture(run: RunDirectory, device: str) -> None:
    """Subnets in the archive keep the costs they were searched with: one device name, one table."""
    from hwmodels.basics.errors import InputError
    from nas.assembly.choice import archive_path
    from search.archive.archive import Archive

    if not Path(archive_path(run)).exists():
        return
    with Archive(archive_path(run), create=False) as archive:
        searched = archive.count("device = ?", [device])
    if searched:
        raise InputError(
            f"{run.path}: {searched} subnets were searched with modelled costs for device {device}; copy its "
            "device file under another name, and import and search for that one"
        )


def _finite(value: float) -> float | None:
    return None if value != value else value


def _table(options: argparse.Namespace, space: SearchSpace) -> LookUpTable:
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.cost import lut
    from nas.assembly.hardware import cached_table, table_path
    from nas.run.run_directory import RunDirectory

    path: Path | None = options.table
    if path is None:
        return cached_table(space, _target(options), find_toolchain(options.cc))
    if not path.is_dir():
        return lut.load(path)
    run = RunDirectory.open(path)
    return lut.load(table_path(run, _target(options, run)), f"run `ppg-nas lut build {path}`")


def _target(options: argparse.Namespace, run: RunDirectory | None = None) -> Target:
    """Core and memory of the wanted device: the one given, else the run's, else the default."""
    from hwmodels.device.device import load_device

    return (run.device(options.device) if run else load_device(options.device or DEFAULT_DEVICE)).target
