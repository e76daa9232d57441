"""Stage 1: recordings -> labelled windows, and which subjects train, validate and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.config import Source
from nas.data import load_source, make_windows, source_files, subject_folds
from nas.data.folds import Fold
from nas.data.windows import WindowSet
from nas.files import digest_files, replace_file, void
from nas.run_directory import RunDirectory, RunError
from nas.space import space_of

NAME = "prepare"
NEEDS: tuple[str, ...] = ()


def inputs(run: RunDirectory) -> object:
    """The data configuration, the rates of the space, and the contents of the files."""
    files = {}
    for source in run.config.data.sources:
        folder = _folder(run, source)
        files[f"{source.kind}:{source.path}"] = digest_files(source_files(source.kind, folder))
    return [run.config.data.model_dump(), run.config.task.kind, space_of(run.config).rates, files]


def execute(run: RunDirectory) -> dict[str, Any]:
    """Load every source, cut windows, split subjects; writes data/windows.npz."""
    data = run.config.data
    recordings = [
        recording
        for source in data.sources
        for recording in load_source(source.model_dump(), _folder(run, source), seed=run.config.seed)
    ]
    windows = make_windows(
        recordings, rates=sorted(space_of(run.config).rates), window_s=data.window_s, step_s=data.step_s,
        margin_s=data.margin_s,
    )  # fmt: skip
    if windows.label_kind != run.config.task.kind:
        raise RunError(
            f"{run.path}: the task is {run.config.task.kind} but the recordings are labelled with "
            f"{windows.label_kind}; correct task.kind or data.sources"
        )
    fold = split(windows, run)
    replace_file(run.path / "data" / "windows.npz", lambda path: void(windows.save(path)))
    return {
        "recordings": len(recordings),
        "windows": len(windows),
        "subjects": len(np.unique(windows.subject)),
        "train_subjects": list(fold.train),
        "validation_subjects": list(fold.validation),
        "test_subjects": list(fold.test),
    }


def split(windows: WindowSet, run: RunDirectory) -> Fold:
    """The fold of the configuration: disjoint train, validation and test subjects."""
    data = run.config.data
    return subject_folds(windows.subject, data.folds, seed=run.config.seed, source=windows.source)[data.fold]


def _folder(run: RunDirectory, source: Source) -> Path:
    if run.data_root is None:
        raise RunError(f"{run.path}: the folder of the recordings is not known; give --data")
    return run.data_root / source.path
