"""`ppg-nas verify DIR`: compile a bundle for the Cortex-M7, run it on an emulated core, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwmodels.toolchain import find_toolchain
from nas.deploy.verify import verify_bundle
from nas.output import print_json, print_table

_ROWS = ("latency_ms", "cycles", "flash_bytes", "ram_bytes", "energy_mj", "power_mw")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", type=Path, help="folder of an exported bundle")
    parser.add_argument("--cc", help="compiler: a command, or zig (default: arm-none-eabi-gcc, else zig)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Verify and print prediction beside measurement; exit code 1 when an output differs."""
    found = verify_bundle(options.bundle, toolchain=find_toolchain(options.cc))
    if options.json:
        print_json(found)
    else:
        rows = [
            {
                "cost": key,
                "predicted": found["predicted"][key],
                "on the emulated core": found["measured"][key],
            }
            for key in _ROWS
        ]
        print_table(
            rows, ("cost", "predicted", "on the emulated core"), f"{found['id']} on {found['device']}"
        )
        made = found["preparation"]
        print(
            f"making the input, besides: {made['cycles']} cycles, {made['latency_ms']:.2f} ms, "
            f"{made['energy_mj']:.3f} mJ, {made['stack_bytes']} bytes of stack"
        )
        print(f"{found['golden_vectors']} golden vectors, {found['mismatches']} mismatches")
        if found["fallbacks"]:
            print(f"slow exact kernels were needed for: {', '.join(found['fallbacks'])}")
    return 1 if found["mismatches"] else 0
