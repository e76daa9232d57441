"""Learning each held-out wearer from her first minutes: errors before and after, in Python and on the core.

The chosen subnet of each run is personalized on every recording of its test subjects, and judged on the rest
of that recording; the C code learns the same on the emulated Cortex-M7, and a firmware that learns is linked.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.markdown import table
from hwmodels.c.toolchain import find_toolchain
from hwmodels.firmware.learner import PersonalSettings
from nas.assembly.choice import chosen_arch
from nas.assembly.loading import windows_of
from nas.compress.finish import finished_model
from nas.evaluation.metrics import Interval, paired_difference
from nas.predict.personalization import DeviceCheck, Protocol, learn_each, recordings_of
from nas.run.run_directory import RunDirectory, RunError
from search.costs.budgets import KB

_SAME_BPM = 0.005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks personalization`."""
    parser.add_argument("runs", type=Path, nargs="+", help="finished runs, such as the folds of one set")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A row a recording, and means by source. Raises RunError where nobody's recording is long enough."""
    rows: list[dict[str, Any]] = []
    checks: list[DeviceCheck] = []
    too_short: list[str] = []
    for path in options.runs:
        directory = RunDirectory.open(path)
        arch = chosen_arch(directory)
        lessons = learn_each(
            finished_model(directory, arch),
            recordings_of(windows_of(directory, "test")),
            Protocol(),
            PersonalSettings(),
            find_toolchain(),
        )
        name = directory.path.resolve().name
        rows += [{"run": name, "arch_id": arch.id, **one.row()} for one in lessons.outcomes]
        checks += lessons.checks
        too_short += lessons.too_short
    if not rows:
        raise RunError(f"{options.runs[0]}: no recording is long enough to learn from")
    largest = max(checks, key=lambda check: check.ram_bytes + check.stack_bytes)
    return {
        "sources": {source: means(rows, source) for source in sorted({_source(row) for row in rows})},
        "learner_ram_bytes": largest.ram_bytes,
        "learner_stack_bytes": largest.stack_bytes,
        "firmware_ram_bytes": max(check.firmware_ram_bytes for check in checks),
        "most_instructions": max(check.train_instructions for check in checks),
        "learnt_on_core": len(checks),
        "mismatches": sum(check.mismatches for check in checks),
        "too_short": too_short,
        "recordings": rows,
    }


def _source(row: Mapping[str, Any]) -> str:
    return str(row["subject"]).split("/")[0]


def means(rows: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """Errors of one source's people with their intervals, and how many became better or worse."""
    own = [row for row in rows if _source(row) == source]
    before, after = (np.array([row[f"{when}_bpm"] for row in own]) for when in ("before", "after"))
    subjects = [row["subject"] for row in own]
    return {
        "subjects": len(set(subjects)),
        "before_bpm": asdict(paired_difference(before, np.zeros(len(own)), subjects)),
        "after_bpm": asdict(paired_difference(after, np.zeros(len(own)), subjects)),
        "change_bpm": asdict(paired_difference(after, before, subjects)),
        "better": int((after < before - _SAME_BPM).sum()),
        "worse": int((after > before + _SAME_BPM).sum()),
    }


def document_parts(found: Mapping[str, Any]) -> dict[str, str]:
    """Tables of the appendix of results, part to text, from what the benchmark printed with --json."""
    means = [
        [
            source,
            str(one["subjects"]),
            str(Interval(**one["before_bpm"])),
            str(Interval(**one["after_bpm"])),
            str(Interval(**one["change_bpm"])),
            f"{one['better']} / {one['worse']}",
        ]
        for source, one in found["sources"].items()
    ]
    header = ["set", "people", "MAE before, BPM", "after", "change", "better / worse"]
    people = [
        [
            row["subject"],
            row["run"],
            str(row["learnt from"]),
            str(row["judged"]),
            f"{row['before_bpm']:.2f}",
            f"{row['after_bpm']:.2f}",
        ]
        for row in found["recordings"]
    ]
    every = ["subject", "run", "windows learnt from", "judged", "MAE before, BPM", "after"]
    ram, stack = found["learner_ram_bytes"], found["learner_stack_bytes"]
    told = (
        f"The largest learner keeps {ram:,} bytes ({ram / KB:.1f} KB) by the linker's map, and needs {stack} "
        f"bytes of stack; with arena and 8 KB of stack a firmware has {found['firmware_ram_bytes'] / KB:.1f} "
        f"KB of RAM. Learning takes at most {found['most_instructions'] / 1e6:.0f} million instructions. Of "
        f"{found['learnt_on_core']} recordings learnt on the emulated core, {found['mismatches']} results "
        "differ from Python's."
    )
    return {"ram": told, "means": table(header, means), "people": table(every, people)}
