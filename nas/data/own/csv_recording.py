"""Recordings in CSV files, as loggers write them, with labels in a file beside or in a column of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.own.columns import HEART_RATES, SECONDS, Columns, plain_name, sort_columns, unused_note
from nas.data.own.labels import Labels
from nas.data.own.own_recording import OwnFile
from nas.data.own.tables import Head, Table, open_lines
from nas.data.own.timeline import Series, seconds_per_unit

LABELS_SUFFIX = ".labels.csv"
_LABEL_STEP_S = 1.0
_LEAST_LABEL_STEP = 300.0
"""Labels that are further apart than this many of a unit are in a smaller one: milliseconds, not seconds."""


def labels_beside(path: Path) -> Path:
    """Where the labels of a CSV recording lie, if anywhere."""
    return path.with_name(path.stem + LABELS_SUFFIX)


def read_csv_recording(path: Path, with_labels: bool = True) -> OwnFile:
    """The file's signals and labels. Raises InputError naming the file, the row or column, and the remedy."""
    table = Table(open_lines(path), str(path))
    head = table.head
    columns = _columns(path, head)
    beside = labels_beside(path)
    is_labelled = bool({"heart_rate_bpm", "rhythm"} & columns.labels.keys())
    inside = dict(columns.labels) if is_labelled and with_labels and not beside.exists() else {}
    bpm = [inside["heart_rate_bpm"]] if "heart_rate_bpm" in inside else []
    assert columns.time is not None
    numbers = [columns.time, *columns.ppg, *columns.acc, *bpm]
    texts = [name for kind, name in inside.items() if kind != "heart_rate_bpm"]
    values, words, has_dates = table.read(numbers, texts, columns.time)
    unit_s = 1.0 if has_dates else SECONDS.get(columns.time_unit) or seconds_per_unit(values[columns.time])
    times = values[columns.time] * unit_s
    notes = _notes(columns, head, inside)
    if unit_s != 1.0 and not columns.time_unit:
        notes.append(f"column {columns.time!r} taken as {next(u for u, s in SECONDS.items() if s == unit_s)}")
    labels = None
    if with_labels and beside.exists():
        labels = read_labels(beside)
    elif inside:
        labels = _of_rows(times, {kind: values.get(name, words.get(name)) for kind, name in inside.items()})
    return OwnFile(
        path=path,
        ppg=_where_logged(Series(times, _signals(values, columns.ppg))),
        acc=_where_logged(Series(times, _signals(values, columns.acc))) if columns.acc else None,
        acc_unit=head.settings.get("acc_unit", columns.acc_unit),
        labels=labels,
        label_window_s=_window_s(path, head),
        subject=head.settings.get("subject", ""),
        notes=tuple(notes),
    )


def read_labels(path: Path) -> Labels:
    """The labels of a file of labels: a time, and heart rates or rhythms."""
    table = Table(open_lines(path), str(path))
    columns = _sorted(path, table.head)
    plain = {plain_name(name)[0]: name for name in table.head.names}
    rate = next((plain[name] for name in HEART_RATES if name in plain), None)
    if columns.time is None:
        raise InputError(f"{path}: no column of time; {_found(table.head)}name it time_s")
    if rate is None and "rhythm" not in columns.labels:
        raise InputError(
            f"{path}: neither 'heart_rate_bpm' nor 'rhythm' among its columns; {_found(table.head)}name one of them so"
        )
    texts = [columns.labels[kind] for kind in ("rhythm", "activity") if kind in columns.labels]
    values, words, has_dates = table.read([columns.time, *([rate] if rate else [])], texts, columns.time)
    times = values[columns.time]
    unit_s = 1.0 if has_dates else SECONDS.get(columns.time_unit) or _label_unit(times)

    def named(kind: str) -> NDArray[np.str_] | None:
        return np.array(words[columns.labels[kind]], dtype=np.str_) if kind in columns.labels else None

    return Labels(times * unit_s, values[rate] if rate else None, named("rhythm"), named("activity"))


def _label_unit(times: NDArray[np.float64]) -> float:
    stamps = np.unique(times[np.isfinite(times)])
    step = float(np.median(np.diff(stamps))) if stamps.size > 1 else 1.0
    return next((unit for unit in SECONDS.values() if step * unit < _LEAST_LABEL_STEP), 1.0)


def _of_rows(times: NDArray[np.float64], columns: dict[str, NDArray | Sequence[str] | None]) -> Labels:
    """Labels that stand in a recording's rows: of each second the first that is filled in."""
    bpm = columns.get("heart_rate_bpm")
    filled = np.isfinite(times)
    for kind, values in columns.items():
        if values is not None and kind != "activity":
            filled &= np.isfinite(values) if kind == "heart_rate_bpm" else np.array(values) != ""
    rows = np.flatnonzero(filled)
    _, first = np.unique(np.floor(times[rows] / _LABEL_STEP_S), return_index=True)
    rows = rows[first]

    def named(kind: str) -> NDArray[np.str_] | None:
        return np.array(columns[kind], dtype=np.str_)[rows] if kind in columns else None

    return Labels(times[rows], None if bpm is None else np.asarray(bpm)[rows], named("rhythm"), named("activity"))


def _columns(path: Path, head: Head) -> Columns:
    columns = _sorted(path, head)
    for what, example, present in (("time", "time_s", columns.time), ("the light sensor", "ppg", columns.ppg)):
        if not present:
            raise InputError(
                f"{path}: column {example!r} is missing; {_found(head)}name the one of {what} {example} "
                "(docs/reference/recordings.md lists the names that are known)"
            )
    return columns


def _sorted(path: Path, head: Head) -> Columns:
    try:
        return sort_columns(head.names, head.units)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _found(head: Head) -> str:
    return f"of its columns ({', '.join(head.names)[:200]}), "


def _signals(values: dict[str, NDArray[np.float64]], names: Sequence[str]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.stack([values[name] for name in names]).astype(np.float32)


def _where_logged(series: Series) -> Series:
    """A sensor's samples without the rows that are only another's, or empty."""
    logged = ~np.isnan(series.values).all(axis=0)
    return Series(series.times_s[logged], series.values[:, logged])


def _window_s(path: Path, head: Head) -> float:
    text = head.settings.get("label_window_s", "8")
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{path}: label_window_s is {text[:40]!r}; write seconds, such as 8") from None


def _notes(columns: Columns, head: Head, inside: dict[str, str]) -> list[str]:
    notes = []
    unused = [*columns.unused, *(name for name in columns.labels.values() if name not in inside.values())]
    if unused:
        notes.append(unused_note(sorted(unused, key=head.names.index)))
    if any(plain_name(name)[0].rstrip("0123456789_") != "ppg" for name in columns.ppg):
        notes.append(f"PPG from {'column' if len(columns.ppg) == 1 else 'columns'} {', '.join(columns.ppg)}")
    if inside:
        notes.append(f"labels from {'column' if len(inside) == 1 else 'columns'} {', '.join(inside.values())}")
    return notes
