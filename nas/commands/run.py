"""`ppg-nas run CONFIG`: the main job, from recordings to verified firmware; given again, it continues."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nas.stages.names import STAGE_NAMES
from nas.terminal.arguments import count, positive_count
from nas.terminal.output import plain, print_fields, print_json

if TYPE_CHECKING:
    from nas.run.config import Config
    from nas.run.run_directory import RunDirectory
    from supernet.training.distributed import Team


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", type=Path, help="configuration file, or a shipped one's name, such as demo")
    parser.add_argument("--data", type=Path, help="folder of the recordings (default: PPG_DATA, else .)")
    parser.add_argument("--run", type=Path, help="run directory (default: runs/NAME)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="PATH=VALUE",
        help="a setting instead of the file's, such as teacher.epochs=2; may be repeated",
    )
    parser.add_argument("--fold", type=count, help="which fold of subjects to hold out, from 0")
    parser.add_argument("--seed", type=count, help="seed, instead of the configuration's")
    parser.add_argument("--threads", type=positive_count, help="torch threads, instead of the file's")
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), help="what trains, instead of the file's")
    parser.add_argument("--cluster", metavar="ADDRESS", help="dask scheduler whose workers evaluate subnets")
    parser.add_argument("--until", choices=STAGE_NAMES, help="stop after this stage")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the pipeline and print what came of it; of the processes that torchrun starts, the first does."""
    from nas.stages import supernet
    from supernet.training.distributed import joined

    with joined() as team:
        if not team.leads:
            supernet.follow(team)
            return 0
        try:
            return _lead(options, team)
        finally:
            with suppress(RuntimeError):  # others may be gone by now
                team.agree(None)


def _lead(options: argparse.Namespace, team: Team) -> int:
    """Do the whole job, with the others' help where a supernet is trained."""
    from nas.report.closing import closing_lines, closing_summary
    from nas.stages.job import run_pipeline

    run = prepared_run(
        options.config,
        options.data,
        options.run,
        fold=options.fold,
        seed=options.seed,
        threads=options.threads,
        accelerator=options.accelerator,
        settings=options.settings,
    )
    run.cluster, run.team = options.cluster, team
    run_pipeline(run, options.until)
    if options.until not in (None, STAGE_NAMES[-1]):
        summary = run.summary(options.until)
        print_json(summary) if options.json else print_fields(plain(summary))
        return 0
    if options.json:
        print_json(closing_summary(run))
    else:
        print("\n".join(closing_lines(run)))
    return 0


def prepared_run(  # noqa: PLR0913 - the options of the command, by name
    config: Path,
    data: Path | None,
    path: Path | None,
    *,
    fold: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    accelerator: str | None = None,
    settings: Sequence[str] = (),
) -> RunDirectory:
    """The run directory of a configuration file, made or opened, with what the command line sets instead."""
    from nas.assembly.loss_check import require_losses
    from nas.run.config import absolute, load_config, parse_config
    from nas.run.overrides import overridden
    from nas.run.run_directory import RunDirectory

    content = overridden(load_config(config).model_dump(mode="json"), settings)
    # The run directory is read from other folders later on.
    content |= {name: absolute(content[name]) for name in ("space", "device") if isinstance(content[name], str)}
    if fold is not None and isinstance(content["data"], dict):
        content["data"]["fold"] = fold
    given = {"seed": seed, "threads": threads, "accelerator": accelerator}
    content |= {name: value for name, value in given.items() if value is not None}
    checked: Config = parse_config(content, str(config))
    require_losses(checked, str(config))
    suffix = f"-fold{fold}" if fold is not None else ""
    place = path or Path("runs") / f"{checked.name}{suffix}"
    return RunDirectory.create(place, checked, data or Path(os.environ.get("PPG_DATA", ".")))
