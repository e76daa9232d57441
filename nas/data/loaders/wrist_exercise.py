"""Loader of "Wrist PPG During Exercise": walking, running, two resistances of an exercise bike, 256 Hz, EDF or WFDB.

Jarchi, Casson, Data 2(1), 2017; PhysioNet, version 1.0.0, ODC-BY. Heart rate from annotated beats of a chest ECG.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.files.beats import WINDOW_S, heart_rates, read_beats
from nas.data.files.matlab import visible_files
from nas.data.files.waveforms import read_waveforms
from nas.data.loader import Loader
from nas.data.own.own_recording import OwnFile, recordings_of
from nas.data.recording import Recording

ACTIVITIES = {
    "walk": "walking",
    "run": "running",
    "low_resistance_bike": "low resistance bike",
    "high_resistance_bike": "high resistance bike",
}
_NAME = re.compile(rf"(s\d+)_({'|'.join(ACTIVITIES)})", re.IGNORECASE)
_SIGNALS = (".hea", ".edf")
_BEATS = (".atr", ".beats.txt")
_PARTS = (*_SIGNALS, ".dat", *_BEATS)


def find_wrist_exercise(path: Path) -> list[Path]:
    """The header or EDF file of each record under a folder, or of the record that a file belongs to."""
    if path.is_file():
        records = {path.with_name(stem)} if (stem := _record(path)) else set()
    else:
        files = [file for suffix in _SIGNALS for file in visible_files(path, suffix) if _record(file)]
        records = {file.with_name(_record(file)) for file in files}
    return sorted(file for record in records if (file := _first(record, _SIGNALS)) is not None)


def find_wrist_exercise_parts(path: Path) -> list[Path]:
    """What else there is of those records: samples, beats, and the other format."""
    records = [file.with_suffix("") for file in find_wrist_exercise(path)]
    parts = (record.with_name(record.name + suffix) for record in records for suffix in _PARTS)
    return [part for part in parts if part.exists()]


def load_wrist_exercise(path: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every record under a path; one label each 2 s, over the beats inside windows of 8 s.

    Raises InputError naming the file and the remedy, also for a record without beats.
    """
    return [one for file in find_wrist_exercise(Path(path)) for one in recordings_of(_read(file, with_labels))]


def _record(path: Path) -> str:
    """A file's name without what tells the files of one record apart; "" for what is no record of this set."""
    suffix = next((one for one in _PARTS if path.name.lower().endswith(one)), "")
    stem = path.name[: len(path.name) - len(suffix)]
    return stem if suffix and _NAME.fullmatch(stem) else ""


def _first(record: Path, suffixes: tuple[str, ...]) -> Path | None:
    files = (record.with_name(record.name + suffix) for suffix in suffixes)
    return next((file for file in files if file.exists()), None)


def _read(path: Path, with_labels: bool) -> OwnFile:
    match = _NAME.fullmatch(path.stem)
    assert match is not None
    signals = read_waveforms(path)
    file = replace(signals, name=path.name, subject=match[1].lower(), source="wrist_exercise", notes=())
    if not with_labels:
        return file
    beats = _first(path.with_suffix(""), _BEATS)
    if beats is None:
        raise InputError(f"{path}: no beats; expected {path.stem}.atr or {path.stem}.beats.txt beside it")
    assert file.ppg.rate_hz is not None
    labels = heart_rates(read_beats(beats, file.ppg.rate_hz), file.ppg.times_s.size / file.ppg.rate_hz)
    activity = np.full(labels.times_s.size, ACTIVITIES[match[2].lower()])
    return replace(file, labels=replace(labels, activity=activity), label_window_s=WINDOW_S)


LOADER = Loader(find_wrist_exercise, load_wrist_exercise, find_wrist_exercise_parts, reference="ECG", is_set=True)
