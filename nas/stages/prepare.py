"""Stage 1: recordings -> labelled windows, and which subjects train, validate and test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.assembly.recording_labels import labelled_recordings, unlabelled_file
from nas.assembly.run_space import space_of
from nas.data.folds import Fold, subject_folds
from nas.data.recording import Recording
from nas.data.remarks import with_remarks
from nas.data.sources import find_source_files, load_source
from nas.data.synthetic import simulate
from nas.data.synthetic.shares import within_shares
from nas.data.windows import WindowSet, make_windows
from nas.run.config import Source
from nas.run.run_directory import RunDirectory, RunError
from nas.run.run_files import digest_files, replace_file
from nas.terminal.output import print_notes

NAME = "prepare"
NEEDS: tuple[str, ...] = ()


def inputs(run: RunDirectory) -> object:
    """The data configuration, the rates of the space, and the contents of the files."""
    files = {}
    for source in (*run.config.data.sources, *run.config.data.unlabelled):
        if source.kind != "synthetic":
            found = find_source_files(source.kind, _folder(run, source))
            files[f"{source.kind}:{source.path}"] = digest_files(found)
    return [run.config.data.model_dump(), run.config.task.kind, space_of(run.config).rates, files]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The windows, and those without labels where the configuration lists such recordings."""
    windows = run.path / "data" / "windows.npz"
    return (windows, unlabelled_file(run.path)) if run.config.data.unlabelled else (windows,)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Load every source, cut windows, split subjects; writes data/windows.npz, and data/unlabelled.npz if asked for."""
    data = run.config.data
    loaded = [(source, with_remarks(recording)) for source in data.sources for recording in _load(run, source)]
    recordings = [recording for _, recording in loaded]
    print_notes(recordings)
    windows = _windows(run, labelled_recordings(recordings, run.config, str(run.path)))
    if windows.label_kind != run.config.task_kind.label_kind:
        raise RunError(
            f"{run.path}: the task is {run.config.task.kind} but the recordings are labelled with "
            f"{windows.label_kind}; correct task.kind or data.sources"
        )
    if misfit := run.config.task_kind.misfit(windows, run.config.task):
        raise RunError(f"{run.path}: data.sources, {misfit}")
    fold = split(windows, run)
    shares = {one.source: source.share for source, one in loaded if source.share is not None}
    windows = windows.subset(within_shares(windows.source, np.isin(windows.subject, fold.train), shares))
    replace_file(run.path / "data" / "windows.npz", windows.save)
    return {
        "recordings": len(recordings),
        "notes": [f"{recording.name}: {note}" for recording in recordings for note in recording.notes],
        "windows": len(windows),
        "subjects": len(np.unique(windows.subject)),
        "train_subjects": list(fold.train),
        "validation_subjects": list(fold.validation),
        "test_subjects": list(fold.test),
    } | _without_labels(run, fold)


def split(windows: WindowSet, run: RunDirectory) -> Fold:
    """The fold of the configuration: disjoint train, validation and test subjects.

    Simulated people beside real ones train, and are neither validated on nor tested.
    """
    data = run.config.data
    simulated = set(windows.subject[np.char.startswith(windows.source, "synthetic")].tolist())
    beside = simulated if any(source.kind != "synthetic" for source in data.sources) else ()
    folds = subject_folds(
        windows.subject.tolist(),
        data.folds,
        data.split_seed,
        strata=windows.source.tolist(),
        always_training=beside,
    )
    return folds[data.fold]


def _windows(run: RunDirectory, recordings: Sequence[Recording]) -> WindowSet:
    data = run.config.data
    return make_windows(
        recordings,
        rates=sorted(space_of(run.config).rates),
        window_s=data.window_s,
        step_s=data.step_s,
        margin_s=data.margin_s,
    )


def _without_labels(run: RunDirectory, fold: Fold) -> dict[str, Any]:
    """Write the windows of `data.unlabelled` of people who are neither validated on nor tested; figures of them."""
    if not run.config.data.unlabelled:
        return {}
    loaded = [one for source in run.config.data.unlabelled for one in _load(run, source, with_labels=False)]
    recordings = [with_remarks(one).without_labels() for one in loaded]
    print_notes(recordings)
    windows = _windows(run, recordings)
    windows = windows.subset(~np.isin(windows.subject, [*fold.validation, *fold.test]))
    if not len(windows):
        raise RunError(f"{run.path}: data.unlabelled: all of its people are validated on or tested; list others")
    replace_file(unlabelled_file(run.path), windows.save)
    return {
        "unlabelled_recordings": len(recordings),
        "unlabelled_windows": len(windows),
        "unlabelled_subjects": np.unique(windows.subject).tolist(),
    }


def _load(run: RunDirectory, source: Source, with_labels: bool = True) -> list[Recording]:
    if source.kind == "synthetic":
        data, task = run.config.data, run.config.task_kind.label_kind
        return simulate(
            source.subjects, data.split_seed, minutes=source.minutes, task=task, population=source.population
        )
    return load_source(source.kind, _folder(run, source), source.splits, with_labels)


def _folder(run: RunDirectory, source: Source) -> Path:
    if run.data_root is None:
        raise RunError(f"{run.path}: the folder of the recordings is not known; give --data")
    return run.data_root / source.path
