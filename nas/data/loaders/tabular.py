"""People's own recordings: CSV or NPZ in the plain layout described here and in docs/reference/recordings.md.

CSV. `NAME.csv` has a header line naming its columns: `time_s` (uniform), `ppg` (and `ppg_2`, ...), and,
if worn, `acc_x,acc_y,acc_z` in g. Lines before the header of the form `# key: value` may give `subject`
(default: NAME) and `label_window_s` (default 8). Labels lie in `NAME.labels.csv`: `time_s` (centre of the
labelled window) and `heart_rate_bpm`, or `rhythm` (a class name); optionally `activity`.

NPZ. `ppg` (n,) or (channels, n), `ppg_hz`; optionally `acc` (3, n) in g, `acc_hz` (default ppg_hz),
`subject`, `label_window_s` (default 8), `heart_rate_bpm` or `rhythm` (W,), `label_times_s` (W,), which
defaults to one label every 2 s from the first window's centre, `activity` (W,), `rhythm_classes` (their
order), and `segment_s` if the signal is independent segments of that length, one after another.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.loaders.matlab import visible_files
from nas.data.recording import Recording, trusted_labels

_LABELS_SUFFIX = ".labels.csv"
_AXES = ("acc_x", "acc_y", "acc_z")
_TIME_JITTER = 0.5
_LABELS = ("heart_rate_bpm", "rhythm", "rhythm_classes", "label_times_s", "activity")


def find_tabular(folder: Path) -> list[Path]:
    """The CSV and NPZ recordings (not label files) under folder, or the file itself."""
    tables = [p for p in visible_files(folder, ".csv") if not p.name.lower().endswith(_LABELS_SUFFIX)]
    return sorted([*tables, *visible_files(folder, ".npz")])


def find_tabular_labels(folder: Path) -> list[Path]:
    """The label files that lie beside CSV recordings under folder."""
    beside = [_labels_of(path) for path in find_tabular(folder) if path.suffix.lower() == ".csv"]
    return [path for path in beside if path.exists()]


def _labels_of(path: Path) -> Path:
    return path.with_name(path.stem + _LABELS_SUFFIX)


def load_tabular(path: str | Path, with_labels: bool = True, rhythm_classes: tuple[str, ...] = ()) -> list[Recording]:
    """Every CSV or NPZ recording under a folder, or one file.

    rhythm_classes fixes the order of the classes; by default it is the one that NPZ files give, else the
    sorted names found in all files. Raises InputError for files that give different orders.
    """
    files = find_tabular(Path(path))
    contents = [_read_npz(file) if file.suffix.lower() == ".npz" else _read_csv(file, with_labels) for file in files]
    if not with_labels:
        contents = [{name: held for name, held in content.items() if name not in _LABELS} for content in contents]
    named = {str(name) for content in contents if "rhythm" in content for name in content["rhythm"]}
    given = {tuple(map(str, content["rhythm_classes"])) for content in contents if "rhythm_classes" in content}
    if len(given) > 1:
        raise InputError(f"{path}: files give different rhythm_classes; make them alike")
    classes = rhythm_classes or next(iter(given), tuple(sorted(named)))
    return [_recording(file, content, classes) for file, content in zip(files, contents, strict=True)]


def _read_npz(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: not a readable NPZ file without pickles; save it with numpy.savez") from None
    for field in ("ppg", "ppg_hz"):
        if field not in content:
            raise InputError(f"{path}: array {field!r} is missing; add it as docs/reference/recordings.md describes")
    if content["ppg"].ndim == 1:
        content["ppg"] = content["ppg"][None]
    if "acc" in content and content["acc"].ndim == 2 and content["acc"].shape[0] != 3 == content["acc"].shape[1]:
        content["acc"] = content["acc"].T
    return content


def _read_table(path: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Settings of the `# key: value` lines, and the columns as text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: cannot be read as text; save it as UTF-8 CSV") from None
    settings, lines = {}, text.splitlines()
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        key, _, value = lines.pop(0).lstrip("#").partition(":")
        settings[key.strip()] = value.strip()
    rows = [row for row in csv.reader(lines) if row]
    if len(rows) < 2:
        raise InputError(f"{path}: no rows; expected a header line and samples")
    header = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} fields, the header {len(header)}; repair it")
    columns = zip(*rows[1:], strict=True)
    return settings, {name: list(column) for name, column in zip(header, columns, strict=True)}


def _numbers(path: Path, columns: Mapping[str, list[str]], name: str) -> NDArray[np.float64]:
    if name not in columns:
        raise InputError(f"{path}: column {name!r} is missing; found {', '.join(columns)}")
    try:
        return np.array([float(field) if field.strip() else np.nan for field in columns[name]])
    except ValueError as error:
        raise InputError(f"{path}: column {name!r} is not numeric ({error}); repair it") from None


def _read_csv(path: Path, with_labels: bool) -> dict[str, NDArray]:
    settings, columns = _read_table(path)
    time_s = _numbers(path, columns, "time_s")
    steps = np.diff(time_s)
    period_s = float(np.median(steps)) if steps.size else 0.0
    if not period_s > 0 or not np.isfinite(steps).all():
        raise InputError(f"{path}: column 'time_s' does not rise; give seconds from the start")
    mean_period_s = float(time_s[-1] - time_s[0]) / steps.size
    if (np.abs(steps - period_s) > _TIME_JITTER * period_s).any():
        gap = int(np.abs(steps - period_s).argmax())
        raise InputError(
            f"{path}: column 'time_s' has a gap of {steps[gap]:.3f} s at {time_s[gap]:.3f} s; "
            "resample it to a uniform rate or split the file"
        )
    sensors = [name for name in columns if name == "ppg" or name.startswith("ppg_")]
    if not sensors:
        raise InputError(f"{path}: column 'ppg' is missing; found {', '.join(columns)}")
    rate_hz = np.round(1.0 / mean_period_s, 2)
    content: dict[str, NDArray] = {
        "ppg": np.stack([_numbers(path, columns, name) for name in sensors]),
        "ppg_hz": np.array(rate_hz),
    }
    if any(axis in columns for axis in _AXES):
        content["acc"] = np.stack([_numbers(path, columns, axis) for axis in _AXES])
    content |= {key: np.array(value) for key, value in settings.items() if key in ("subject", "label_window_s")}
    labels = _labels_of(path)
    if with_labels and labels.exists():
        _, label_columns = _read_table(labels)
        content["label_times_s"] = _numbers(labels, label_columns, "time_s") - time_s[0]
        if "heart_rate_bpm" in label_columns:
            content["heart_rate_bpm"] = _numbers(labels, label_columns, "heart_rate_bpm")
        for field in ("rhythm", "activity"):
            if field in label_columns:
                content[field] = np.array([name.strip() for name in label_columns[field]])
        if not {"heart_rate_bpm", "rhythm"} & label_columns.keys():
            raise InputError(f"{labels}: neither 'heart_rate_bpm' nor 'rhythm' among its columns; add one")
    return content


def _recording(path: Path, content: Mapping[str, NDArray], classes: tuple[str, ...]) -> Recording:
    def number(field: str, default: float) -> float:
        try:
            return float(content[field].item()) if field in content else default
        except (ValueError, TypeError):
            raise InputError(f"{path}: {field} is not one number; repair it") from None

    def signal(field: str) -> NDArray[np.float32]:
        if content[field].dtype.kind not in "iuf":
            raise InputError(f"{path}: {field} holds no numbers; repair it")
        return content[field].astype(np.float32)

    ppg_hz, window_s = number("ppg_hz", 0.0), number("label_window_s", 8.0)
    bpm = content["heart_rate_bpm"].astype(np.float64).reshape(-1) if "heart_rate_bpm" in content else None
    rhythm = None
    if "rhythm" in content:
        names = [str(name) for name in content["rhythm"].reshape(-1)]
        unknown = sorted(set(names) - set(classes))
        if unknown:
            raise InputError(f"{path}: rhythm {unknown[0]!r} is none of {', '.join(classes)}")
        rhythm = np.array([classes.index(name) for name in names], dtype=np.int64)
    count = bpm.size if bpm is not None else rhythm.size if rhythm is not None else 0
    times = content.get("label_times_s")
    if times is None and count:
        times = np.arange(count) * 2.0 + window_s / 2
    subject = str(content["subject"].item()) if "subject" in content else path.stem
    return Recording(
        name=path.name,
        source="own",
        subject=f"own/{subject}",
        ppg=signal("ppg"),
        ppg_hz=ppg_hz,
        acc=signal("acc") if "acc" in content else None,
        acc_hz=number("acc_hz", ppg_hz),
        label_times_s=None if times is None else np.asarray(times, dtype=np.float64).reshape(-1),
        label_window_s=window_s,
        heart_rate_bpm=bpm,
        rhythm=rhythm,
        rhythm_classes=classes if rhythm is not None else (),
        activity=content["activity"].astype(np.str_).reshape(-1) if "activity" in content else None,
        trusted=trusted_labels(bpm) if bpm is not None else None,
        segment_s=number("segment_s", 0.0) or None,
    )


def save_recording(path: Path, recording: Recording) -> None:
    """Write a recording in the NPZ layout that `load_tabular` reads."""
    content: dict[str, NDArray] = {
        "ppg": np.asarray(recording.ppg),
        "ppg_hz": np.array(recording.ppg_hz),
        "subject": np.array(recording.subject),
        "label_window_s": np.array(recording.label_window_s),
    }
    if recording.acc is not None:
        content |= {"acc": np.asarray(recording.acc), "acc_hz": np.array(recording.acc_hz)}
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
