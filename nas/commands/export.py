"""`ppg-nas export RUN --arch ID --out DIR`: any archived subnet, finished where it is not, as a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.compress.finish import finish_subnet, is_finished
from nas.deploy.bundle import check_destination
from nas.deploy.export import export_bundle
from nas.hardware import cost_model
from nas.output import print_fields, print_json
from nas.run_directory import RunDirectory
from nas.stages.choice import arch_of, chosen_arch


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--arch", help="id of an archived architecture (default: the chosen one)")
    parser.add_argument("--out", type=Path, help="folder to write (default: subnets/ID/export of the run)")
    parser.add_argument("--device", help="device that the prediction is for (default: the run's)")
    parser.add_argument("--json", action="store_true", help="print the manifest as JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Finish the subnet where needed, write the bundle, and say where it is."""
    run = RunDirectory.open(options.run)
    with run.exclusive():
        arch = arch_of(run, options.arch) if options.arch else chosen_arch(run)
        out = options.out or run.subnet(arch.id) / "export"
        # Whatever can go wrong is found out before minutes of training.
        check_destination(out)
        cost_model(run, options.device or run.config.device)
        if not is_finished(run, arch):
            run.say(f"{arch.id} is not finished yet: fine-tuning and quantizing it")
            finish_subnet(run, arch)
        manifest = export_bundle(run, arch, out, options.device)
    if options.json:
        print_json(manifest)
    else:
        print_fields({"bundle": str(out), "arch": manifest["arch"], **manifest["predicted"]})
    return 0
