"""Exports of the Empatica E4 bracelet, a folder or a zip: BVP.csv and ACC.csv, each a start, a rate, then samples.

HR.csv and IBI.csv are the bracelet's own estimates from this very light, so they are no labels.
"""

from __future__ import annotations

import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.documents import UndecodableError, refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from nas.data.files.matlab import visible_files
from nas.data.loader import Loader
from nas.data.own.csv_recording import labels_beside, read_labels
from nas.data.own.own_recording import OwnFile, recordings_of
from nas.data.own.tables import MOST_BYTES, MOST_VALUES, bounded_lines, open_lines
from nas.data.own.timeline import Series
from nas.data.recording import Recording

LIGHT, MOTION = "BVP.csv", "ACC.csv"
_MEMBERS = frozenset(("acc.csv", "bvp.csv", "eda.csv", "hr.csv", "ibi.csv", "tags.csv", "temp.csv"))
_ESTIMATES = ("HR.csv", "IBI.csv")
_UNIT = "1/64 g"
_DAMAGED = (OSError, RuntimeError, ValueError, EOFError, zlib.error, zipfile.BadZipFile)
"""What zipfile raises for damaged or encrypted archives and unknown methods."""
Lines = Callable[[str], Iterator[str] | None]
"""Called with a member's name; gives its lines, or None where the export lacks it."""


def is_empatica_file(path: Path) -> bool:
    """Whether a CSV file is part of such an export: by its name, and a number where a header would stand."""
    if path.name.lower() not in _MEMBERS:
        return False
    try:
        with path.open("rb") as stream:
            first = stream.readline(200).split(b",")[0]
        if first:
            float(first)
    except (OSError, ValueError):
        return False
    return True


def find_empatica(path: Path) -> list[Path]:
    """BVP.csv of each export under a folder, and zips that hold one; or that which the file belongs to."""
    if path.is_file():
        if path.suffix.lower() == ".zip":
            return [path]
        return [path.with_name(LIGHT)] if is_empatica_file(path) else []
    folders = [p for p in visible_files(path, ".csv") if p.name.lower() == LIGHT.lower() and is_empatica_file(p)]
    return sorted([*folders, *(p for p in visible_files(path, ".zip") if _sessions(p))])


def find_empatica_parts(path: Path) -> list[Path]:
    """What else is read of those exports."""
    beside = [p.with_name(MOTION) for p in find_empatica(path)] + [labels_beside(p) for p in find_empatica(path)]
    return [p for p in beside if p.exists()]


def load_empatica(path: Path, with_labels: bool = True) -> list[Recording]:
    """Every export under a path. Raises InputError naming the file, the row and the remedy."""
    return [recording for file in find_empatica(Path(path)) for recording in _load(file, with_labels)]


def _load(path: Path, with_labels: bool) -> list[Recording]:
    refuse_lfs_pointer(path)
    if path.suffix.lower() == ".zip":
        return _load_zip(path)
    labels = labels_beside(path)
    file = _export(path, path.absolute().parent.name, _of_folder(path.parent))
    if with_labels and labels.exists():
        file = replace(file, labels=read_labels(labels))
    return recordings_of(file)


def _of_folder(folder: Path) -> Lines:
    return lambda name: open_lines(folder / name) if (folder / name).exists() else None


def _sessions(path: Path) -> list[str]:
    """Folders inside a zip that hold an export, "" for its root; none for what is no such zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == LIGHT]
    except _DAMAGED:
        return []
    return [name.removesuffix(LIGHT) for name in names]


def _load_zip(path: Path) -> list[Recording]:
    sessions = _sessions(path)
    if not sessions:
        raise InputError(f"{path}: no zip of an Empatica E4 export (it holds no {LIGHT}); unpack it, give the folder")
    recordings = []
    try:
        with zipfile.ZipFile(path) as archive:
            for session in sessions:
                name = path.name if len(sessions) == 1 else f"{path.name}/{session.strip('/')}"
                recordings += recordings_of(_export(path, name, _of_zip(archive, session, str(path))))
    except InputError:
        raise
    except _DAMAGED as error:
        raise UndecodableError(f"{path}: damaged or encrypted zip ({' '.join(str(error).split())[:100]})") from None
    return recordings


def _of_zip(archive: zipfile.ZipFile, session: str, origin: str) -> Lines:
    def lines(name: str) -> Iterator[str] | None:
        if session + name not in archive.namelist():
            return None
        if archive.getinfo(session + name).file_size > MOST_BYTES:
            raise UndecodableError(f"{origin}: {name} holds more than {MOST_BYTES:,} bytes")
        return bounded_lines(archive.open(session + name), f"{origin}, {name}")

    return lines


def _export(path: Path, name: str, lines: Lines) -> OwnFile:
    light = lines(LIGHT)
    if light is None:
        raise InputError(f"{path}: {LIGHT} of this Empatica E4 export is missing; put it beside the others")
    motion = lines(MOTION)
    present = [estimate for estimate in _ESTIMATES if lines(estimate) is not None]
    note = f"Empatica E4 export; {' and '.join(present)}: estimates of the bracelet, not used as labels"
    return OwnFile(
        path=path,
        ppg=_series(f"{path}, {LIGHT}", light, 1),
        acc=None if motion is None else _series(f"{path}, {MOTION}", motion, 3),
        acc_unit=_UNIT,
        name=name,
        subject=name.removesuffix(".zip"),
        source="empatica_e4",
        notes=(note,) if present else (),
    )


def _series(origin: str, lines: Iterator[str], columns: int) -> Series:
    start, rate = (_row(origin, number, next(lines, ""), columns)[0] for number in (1, 2))
    samples = array("d")
    for number, line in enumerate(lines, start=3):
        if line.strip():
            samples.extend(_row(origin, number, line, columns))
        if len(samples) > MOST_VALUES:
            raise UndecodableError(f"{origin}: more than {MOST_VALUES:,} values; split the recording")
    if not samples:
        raise UndecodableError(f"{origin}: no samples after the start and the rate; export it again")
    values: NDArray[np.float64] = np.frombuffer(samples, np.float64).reshape(-1, columns).T
    try:
        return Series.at_rate(values, rate, start)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def _row(origin: str, number: int, line: str, columns: int) -> list[float]:
    fields = line.split(",")
    try:
        if len(fields) != columns:
            raise ValueError
        return [float(field) for field in fields]
    except ValueError:
        raise UndecodableError(
            f"{origin}: row {number} ({line.strip()[:40]!r}) is not {columns} numbers; export it again"
        ) from None


LOADER = Loader(find_empatica, load_empatica, find_empatica_parts)
