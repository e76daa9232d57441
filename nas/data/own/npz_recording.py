"""Recordings in NPZ files: docs/reference/recordings.md, read into an OwnFile and written from a Recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.arrays import read_npz
from hwmodels.basics.errors import InputError
from hwmodels.signals.filters import require_usable_rate
from nas.data.own.columns import unused_note
from nas.data.own.labels import Labels
from nas.data.own.own_recording import OwnFile
from nas.data.own.tables import MOST_BYTES
from nas.data.own.timeline import Series
from nas.data.recording import Recording

_STEP_S = 2.0
_LABELS = ("label_times_s", "heart_rate_bpm", "rhythm", "activity", "rhythm_classes")
_FIELDS = ("ppg", "ppg_hz", "acc", "acc_hz", "acc_unit", "subject", "label_window_s", "segment_s", *_LABELS)
Content = Mapping[str, NDArray]


def read_npz_recording(path: Path, with_labels: bool = True) -> tuple[OwnFile, tuple[str, ...]]:
    """The file's signals and labels, and the order of rhythm classes that it gives (empty if none).

    Raises InputError naming the file, the field and the remedy.
    """
    content = read_npz(path, MOST_BYTES)
    try:
        return _file(path, content, with_labels)
    except InputError as error:
        known = str(error)
        raise InputError(known if str(path) in known else f"{path}: {known}") from None


def _file(path: Path, content: Content, with_labels: bool) -> tuple[OwnFile, tuple[str, ...]]:
    for field in ("ppg", "ppg_hz"):
        if field not in content:
            raise InputError(f"array {field!r} is missing; add it as docs/reference/recordings.md describes")
    ppg_hz = _number(content, "ppg_hz", 0.0)
    require_usable_rate("ppg_hz", ppg_hz)
    acc = None
    if "acc" in content:
        acc_hz = _number(content, "acc_hz", ppg_hz)
        require_usable_rate("acc_hz", acc_hz)
        acc = Series.at_rate(_axes(_numbers(content, "acc")), acc_hz)
    window_s = _number(content, "label_window_s", 8.0)
    unused = [name for name in content if name not in _FIELDS]
    file = OwnFile(
        path=path,
        ppg=Series.at_rate(_channels(_numbers(content, "ppg")), ppg_hz),
        acc=acc,
        acc_unit=_text(content, "acc_unit"),
        labels=_labels(content, window_s) if with_labels else None,
        label_window_s=window_s,
        subject=_text(content, "subject"),
        has_clock=False,
        segment_s=_number(content, "segment_s", 0.0) or None,
        notes=(unused_note(unused).replace("column", "array"),) if unused else (),
    )
    classes = _texts(content, "rhythm_classes") if with_labels and "rhythm_classes" in content else ()
    return file, tuple(map(str, classes))


def _labels(content: Content, window_s: float) -> Labels | None:
    bpm = _numbers(content, "heart_rate_bpm").reshape(-1) if "heart_rate_bpm" in content else None
    rhythm = _texts(content, "rhythm") if "rhythm" in content else None
    count = bpm.size if bpm is not None else rhythm.size if rhythm is not None else 0
    if not count:
        return None
    times = np.asarray(np.arange(count) * _STEP_S + window_s / 2, np.float64)
    if "label_times_s" in content:
        times = np.asarray(_numbers(content, "label_times_s"), np.float64).reshape(-1)
    activity = _texts(content, "activity") if "activity" in content else None
    for field, values in (("heart_rate_bpm", bpm), ("rhythm", rhythm), ("activity", activity)):
        if values is not None and values.size != times.size:
            raise InputError(f"{field} has {values.size} values for {times.size} labels; give one for each")
    return Labels(times, None if bpm is None else np.asarray(bpm, np.float64), rhythm, activity)


def _channels(ppg: NDArray) -> NDArray:
    if ppg.ndim not in (1, 2) or ppg.size == 0:
        raise InputError(f"ppg has shape {ppg.shape}; expected (n,) or (channels, n)")
    return np.atleast_2d(ppg)


def _axes(acc: NDArray) -> NDArray:
    if acc.ndim == 2 and acc.shape[0] != 3 == acc.shape[1]:
        acc = acc.T
    if acc.ndim != 2 or acc.shape[0] != 3 or acc.size == 0:
        raise InputError(f"acc has shape {acc.shape}; expected (3, n)")
    return acc


def _numbers(content: Content, field: str) -> NDArray:
    if content[field].dtype.kind not in "iuf":
        raise InputError(f"{field} holds no numbers but {content[field].dtype.name}; repair it")
    return content[field]


def _number(content: Content, field: str, default: float) -> float:
    if field not in content:
        return default
    if content[field].size != 1 or content[field].dtype.kind not in "iufSU":
        raise InputError(f"{field} is not one number; repair it")
    try:
        value = float(content[field].item())
    except (ValueError, OverflowError):
        raise InputError(f"{field} is not one number; repair it") from None
    if not np.isfinite(value):
        raise InputError(f"{field} is {value}; give a number")
    return value


def _text(content: Content, field: str) -> str:
    return "" if field not in content else str(_texts(content, field)[0])


def _texts(content: Content, field: str) -> NDArray[np.str_]:
    values = content[field]
    if values.dtype.kind not in "USiufb" or values.size == 0:
        raise InputError(f"{field} holds no text; repair it")
    try:
        return np.strings.strip(values.reshape(-1).astype(np.str_))
    except UnicodeDecodeError:
        raise InputError(f"{field} holds bytes that are no text; save it as text") from None


def save_recording(path: Path, recording: Recording) -> None:
    """Write a recording in the NPZ layout that `load_tabular` reads."""
    content: dict[str, NDArray] = {
        "ppg": np.asarray(recording.ppg),
        "ppg_hz": np.array(recording.ppg_hz),
        "subject": np.array(recording.subject),
        "label_window_s": np.array(recording.label_window_s),
    }
    if recording.acc is not None:
        acc = {"acc": np.asarray(recording.acc), "acc_hz": np.array(recording.acc_hz), "acc_unit": np.array("g")}
        content |= acc
    if recording.heart_rate_bpm is not None:
        content["heart_rate_bpm"] = np.asarray(recording.heart_rate_bpm)
    if recording.rhythm is not None:
        content["rhythm"] = np.array(recording.rhythm_classes)[recording.rhythm]
        content["rhythm_classes"] = np.array(recording.rhythm_classes)
    if recording.label_times_s is not None:
        content["label_times_s"] = np.asarray(recording.label_times_s)
    if recording.activity is not None:
        content["activity"] = np.asarray(recording.activity)
    if recording.segment_s is not None:
        content["segment_s"] = np.array(recording.segment_s)
    np.savez(path, allow_pickle=False, **content)
