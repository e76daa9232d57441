"""`ppg-nas run CONFIG`: the main job, from recordings to verified firmware; given again, it continues."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nas.arguments import count, positive_count
from nas.config import Config, absolute, load_config, parse_config
from nas.output import plain, print_fields, print_json
from nas.pipeline import NAMES, run_pipeline
from nas.report.closing import closing_lines, closing_summary
from nas.run_directory import RunDirectory


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", type=Path, help="configuration file, such as configs/bami.yaml")
    parser.add_argument("--data", type=Path, help="folder of the recordings (default: PPG_DATA, else .)")
    parser.add_argument("--run", type=Path, help="run directory (default: runs/NAME)")
    parser.add_argument("--fold", type=count, help="which fold of subjects to hold out, from 0")
    parser.add_argument("--seed", type=count, help="seed, instead of the configuration's")
    parser.add_argument("--threads", type=positive_count, help="torch threads, instead of the file's")
    parser.add_argument("--until", choices=NAMES, help="stop after this stage")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the pipeline and print what came of it."""
    config = _with_overrides(load_config(options.config), options)
    suffix = f"-fold{config.data.fold}" if options.fold is not None else ""
    path = options.run or Path("runs") / f"{config.name}{suffix}"
    run = RunDirectory.create(path, config, options.data or Path(os.environ.get("PPG_DATA", ".")))
    run_pipeline(run, options.until)
    if options.until not in (None, NAMES[-1]):
        summary = run.summary(options.until)
        print_json(summary) if options.json else print_fields(plain(summary))
        return 0
    if options.json:
        print_json(closing_summary(run))
    else:
        print("\n".join(closing_lines(run)))
    return 0


def _with_overrides(config: Config, options: argparse.Namespace) -> Config:
    content = config.model_dump()
    # The run directory is read from other folders later on.
    content |= {name: absolute(content[name]) for name in ("space", "device")}
    if options.fold is not None:
        content["data"]["fold"] = options.fold
    for name in ("seed", "threads"):
        if getattr(options, name) is not None:
            content[name] = getattr(options, name)
    return parse_config(content, str(options.config))
