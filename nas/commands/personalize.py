"""`ppg-nas personalize RUN`: fit the last layer to each wearer in minutes, and judge what follows."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nas.terminal.output import print_json, print_table


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory, finished")
    parser.add_argument("--recording", action="append", default=[], help="only this recording (repeatable)")
    parser.add_argument("--side", choices=("validation", "test"), default="test", help="subjects (test)")
    parser.add_argument("--minutes", type=float, default=5.0, help="calibration from the start (5)")
    parser.add_argument("--gap", type=float, default=20.0, help="seconds left out after it (20)")
    parser.add_argument("--emulate", action="store_true", help="repeat each on the emulated Cortex-M7")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print errors before and after; exit code 1 when the emulated core learns something else."""
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.firmware.learner import PersonalSettings
    from nas.assembly.choice import chosen_arch
    from nas.assembly.loading import windows_of
    from nas.compress.finish import finished_model
    from nas.predict.personalization import Protocol, learn_each, minutes_of, recordings_of
    from nas.run.run_directory import RunDirectory, RunError

    protocol, settings = Protocol(options.minutes, options.gap), PersonalSettings()
    run = RunDirectory.open(options.run)
    model = finished_model(run, chosen_arch(run))
    taught, needed = protocol.needed_minutes(settings.fewest, run.config.data.window_s, run.config.data.step_s)
    recordings = recordings_of(windows_of(run, options.side), options.recording)
    minutes = {one.recording_names[int(one.recording[0])]: minutes_of(one) for one in recordings}
    toolchain = find_toolchain() if options.emulate else None
    lessons = learn_each(model, recordings, protocol, settings, toolchain)
    rows, checks, too_short = [one.row() for one in lessons.outcomes], lessons.checks, lessons.too_short
    lasting = ", ".join(f"{name} has {minutes[name]:.1f}" for name in too_short)
    if not rows:
        raise RunError(
            f"{options.run}: no recording leaves {settings.fewest} labelled windows to learn from; that "
            f"takes {needed:.1f} labelled minutes ({taught:.1f} to learn from, {options.gap:g} s between, "
            f"{taught:.1f} to judge): {lasting}"
        )
    summary: dict[str, Any] = {
        "recordings": rows,
        "before_bpm": round(float(np.mean([row["before_bpm"] for row in rows])), 3),
        "after_bpm": round(float(np.mean([row["after_bpm"] for row in rows])), 3),
        "too_short": too_short,
        "needed_minutes": round(needed, 2),
        "minutes": {name: round(value, 2) for name, value in minutes.items()},
        "on_device": [asdict(check) for check in checks],
    }
    if options.json:
        print_json(summary)
    else:
        print_table(rows, tuple(rows[0]))
        print(f"mean over recordings: {summary['before_bpm']:.2f} -> {summary['after_bpm']:.2f} BPM")
        if too_short:
            print(f"too short to learn from, which takes {needed:.1f} minutes: {lasting}")
        if checks:
            most = max(checks, key=lambda check: check.ram_bytes + check.stack_bytes)
            print(
                f"emulated core: {sum(check.mismatches for check in checks)} mismatches; RAM of learning, by "
                f"the linker's map: {most.ram_bytes} bytes ({most.firmware_ram_bytes} with the network's "
                f"arena and the firmware's stack, of which {most.stack_bytes} are used); "
                f"{most.train_instructions / 1e6:.0f} M instructions to learn"
            )
    return 1 if any(check.mismatches for check in checks) else 0
