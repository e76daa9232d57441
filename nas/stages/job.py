"""The main job, read top to bottom: recordings -> teacher -> supernet -> search -> verified firmware.

Each stage's inputs are digested (its part of the configuration and the digests of the stages it
builds on); a stage that is done for the same inputs is skipped while what it made is still there, so
the same command continues.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from nas.assembly.loading import CHECKPOINT
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest
from nas.stages import evaluate, finish, prepare, profile, report, search, supernet, teacher, verify
from nas.stages.names import STAGE_NAMES
from nas.terminal.output import plain


class Stage(Protocol):
    """A module of nas/stages: its name, the stages it builds on, what else it depends on, and its work."""

    NAME: str
    NEEDS: tuple[str, ...]

    @staticmethod
    def inputs(run: RunDirectory) -> object:
        """What, besides earlier stages, decides the result: JSON-able."""

    @staticmethod
    def products(run: RunDirectory) -> tuple[Path, ...]:
        """Files that it leaves; asked only once it is done."""

    @staticmethod
    def execute(run: RunDirectory) -> dict[str, object]:
        """Do the work, leave files in the run directory, and return a JSON-able summary."""


STAGES: tuple[Stage, ...] = (  # type: ignore[assignment]
    prepare,
    profile,
    teacher,
    supernet,
    search,
    finish,
    verify,
    evaluate,
    report,
)
assert tuple(stage.NAME for stage in STAGES) == STAGE_NAMES


def run_pipeline(run: RunDirectory, until: str | None = None) -> None:
    """Bring every stage up to date, up to and including `until`. Holds the run for itself alone."""
    digests: dict[str, str] = {}
    with run.exclusive():
        for stage in STAGES:
            inputs = digest(stage.NAME, run.config.seed, stage.inputs(run), [digests[n] for n in stage.NEEDS])
            digests[stage.NAME] = inputs
            if is_up_to_date(run, stage, inputs):
                run.say(f"{stage.NAME}: up to date")
            else:
                bring_up_to_date(run, stage, inputs)
            # Kept until the stage is stamped: a kill just before that repeats no training.
            for checkpoint in (run.path / stage.NAME).rglob(CHECKPOINT):
                checkpoint.unlink()
            if until == stage.NAME:
                break


def is_up_to_date(run: RunDirectory, stage: Stage, inputs: str) -> bool:
    """Whether a stage is done for `inputs` and its files are still there."""
    stamp = run.stamp(stage.NAME)
    return stamp is not None and stamp.inputs == inputs and all(path.exists() for path in stage.products(run))


def bring_up_to_date(run: RunDirectory, stage: Stage, inputs: str) -> None:
    """Execute one stage and record it as done for `inputs`."""
    run.log("stage started", stage=stage.NAME, inputs=inputs)
    begun = time.perf_counter()
    summary = stage.execute(run)
    seconds = time.perf_counter() - begun
    run.finish_stage(stage.NAME, inputs, seconds, summary)
    run.log("stage finished", stage=stage.NAME, inputs=inputs, seconds=round(seconds, 2))
    line = ", ".join(f"{key} {value}" for key, value in plain(summary).items())
    run.say(f"{stage.NAME}: {line} ({seconds:.0f} s)")
