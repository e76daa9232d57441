"""`ppg-nas verify DIR [--full]`: run a bundle's C on an emulated core, its files in runtimes, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.terminal.output import print_json, print_table

_ROWS = ("latency_ms", "cycles", "flash_bytes", "ram_bytes", "energy_mj", "power_mw")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", type=Path, help="folder of an exported bundle, or of a run for its own")
    parser.add_argument("--cc", help="compiler: a command, or zig (default: arm-none-eabi-gcc, else zig)")
    parser.add_argument(
        "--trust", action="store_true", help="compile and run sources that this version did not generate"
    )
    parser.add_argument("--full", action="store_true", help="hear every witness, tensor by tensor")
    parser.add_argument("--run", type=Path, help="run that the bundle came from (default: the one around it)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def _bundle_of(path: Path) -> Path:
    """The bundle that a user means: the folder itself, or that of a run's chosen subnet."""
    from hwmodels.basics.errors import InputError
    from nas.deploy.manifest import MANIFEST
    from nas.run.run_directory import RunDirectory

    if (path / MANIFEST).exists() or not (path / "config.yaml").exists():
        return path
    run = RunDirectory.open(path)
    bundle = run.subnet(str(run.summary("finish")["chosen"])) / "export"
    if not (bundle / MANIFEST).exists():
        raise InputError(f"{path}: the run has exported no bundle yet; give `ppg-nas export {path}` first")
    return bundle


def execute(options: argparse.Namespace) -> int:
    """Print prediction beside measurement, and witnesses.

    Exit code 1 when one differs more than it may, or when the examples keep too little stack.
    """
    from hwmodels.basics.errors import InputError
    from hwmodels.c.toolchain import find_toolchain
    from nas.deploy.bundle import read_board
    from nas.deploy.verification.comparison import COLUMNS
    from nas.deploy.verification.firmware_check import cost_rows
    from nas.deploy.verification.verify import verify_bundle

    if options.run and not options.full:
        raise InputError("--run: is for --full, which hears the quantized module of the run")
    toolchain = find_toolchain(options.cc) if options.cc else None
    path = _bundle_of(options.bundle)
    found = verify_bundle(path, toolchain=toolchain, full=options.full, run=options.run, is_trusted=options.trust)
    stack_fits = "firmware" not in found or found["firmware"]["stack_fits"]
    code = 0 if stack_fits and not found["mismatches"] else 1
    if options.json:
        print_json(found)
        return code
    if "measured" in found:
        rows = [
            {
                "cost": key,
                "predicted": found["predicted"][key],
                "on the emulated core": found["measured"][key],
            }
            for key in _ROWS
        ]
        print_table(rows, ("cost", "predicted", "on the emulated core"), f"{found['id']} on {found['device']}")
        made = found["preparation"]
        print(
            f"making the input, besides: {made['cycles']} cycles, {made['latency_ms']:.2f} ms, "
            f"{made['energy_mj']:.3f} mJ, {made['stack_bytes']} bytes of stack"
        )
        rows = cost_rows(found, read_board(path))
        print_table(rows, tuple(rows[0]), "the whole firmware, front end and example included")
        if misfit := found["firmware"]["misfit"]:
            print(f"the firmware does not lie where the costs of {found['device']} suppose: {misfit}")
        if not stack_fits:
            print(f"the examples' stack is too small: {found['firmware']['stack_bytes']} bytes are needed")
        slower = f": {', '.join(found['fallbacks'])}" if found["fallbacks"] else ""
        print(f"{found['fallback_pct']:.0f} % of the layers needed a slower kernel for their scales{slower}")
    if found["witnesses"]:
        print_table(found["witnesses"], COLUMNS, "against the interpreter")
    print(f"{found['golden_vectors']} golden vectors, {found['mismatches']} mismatches")
    return code
