"""Loader of the IEEE Signal Processing Cup 2015 recordings (TROIKA): treadmill and arm exercise, 125 Hz.

Zhang, Pi, Liu, IEEE TBME 62(2), 2015. Heart rate from chest ECG, one label per 8 s window every 2 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.files.matlab import read_variables, visible_files
from nas.data.loader import Loader
from nas.data.recording import Recording, trusted_labels

RATE_HZ = 125
WINDOW_S = 8.0
STEP_S = 2.0
SPLITS = ("training", "extra", "test")

_TRAINING = re.compile(r"DATA_(\d+)_TYPE(\d+)$", re.IGNORECASE)
_EXTRA = re.compile(r"DATA_S(\d+)_T(\d+)$", re.IGNORECASE)
_TEST = re.compile(r"TEST_S(\d+)_T(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class _Entry:
    path: Path
    split: str
    subject: str
    labels: tuple[str, ...]


def _entry(path: Path) -> _Entry | None:
    """What a file name says, or None for a file that is no recording of this set.

    The people of the test records are others than those of the training records, numbers notwithstanding.
    Another common copy of the set keeps the extra record, of test subject 4, as DATA_04_TYPE01.
    """
    if match := _TRAINING.match(path.stem):
        person, kind = match.groups()
        labels: tuple[str, ...] = (f"{path.stem}_BPMtrace", f"REF_{person}_TYPE{kind}")
        if (int(person), int(kind)) == (4, 1):
            return _Entry(path, "extra", "ieee_spc/test04", labels)
        return _Entry(path, "training", f"ieee_spc/train{int(person):02d}", labels)
    for pattern, split in ((_EXTRA, "extra"), (_TEST, "test")):
        if match := pattern.match(path.stem):
            person, trial = match.groups()
            tail = f"S{person}_T{trial}"
            labels = (f"True_{tail}", f"BPM_{tail}", f"REF_{tail}", f"REF_{person}_T{trial}")
            return _Entry(path, split, f"ieee_spc/test{int(person):02d}", labels)
    return None


def find_ieee_spc(folder: Path) -> list[Path]:
    """The recordings (not label files) of this set anywhere under folder, or the file itself."""
    return [path for path in visible_files(folder, ".mat") if _entry(path) is not None]


def find_ieee_spc_labels(folder: Path) -> list[Path]:
    """The label files that belong to the recordings under folder."""
    entries = [entry for path in visible_files(folder, ".mat") if (entry := _entry(path)) is not None]
    named = {name.lower() for entry in entries for name in entry.labels}
    return [path for stem, path in _files_by_stem(folder).items() if stem in named]


def _files_by_stem(folder: Path) -> dict[str, Path]:
    """Every MATLAB file among which labels of the records under folder may be, by its name in lower case."""
    return {path.stem.lower(): path for root in _label_roots(folder) for path in visible_files(root, ".mat")}


def load_ieee_spc(folder: str | Path, with_labels: bool = True, splits: Iterable[str] = SPLITS) -> list[Recording]:
    """Every recording of the chosen splits ("training", "extra", "test") under folder, with its labels.

    Raises InputError for an unknown split, a recording without label file, and damaged files.
    """
    folder = Path(folder)
    wanted = tuple(splits)
    for split in wanted:
        if split not in SPLITS:
            raise InputError(f"ieee_spc: unknown split {split!r}; choose from {', '.join(SPLITS)}")
    label_files = _files_by_stem(folder) if with_labels else None
    recordings: dict[tuple[str, int], Recording] = {}
    for path in find_ieee_spc(folder):
        entry = _entry(path)
        if entry is None or entry.split not in wanted:
            continue
        recording = _load(entry, label_files)
        # The same record can lie there under two names (extra record); a person's records differ in length.
        recordings.setdefault((recording.subject, recording.ppg.shape[1]), recording)
    return list(recordings.values())


def _label_roots(folder: Path) -> list[Path]:
    """Where labels of the records under folder may lie: there, or beside it in the set's own TrueBPM."""
    here = folder.parent if folder.is_file() else folder
    aside = here.parent / "TrueBPM"
    return [here, aside] if aside.is_dir() else [here]


def _load(entry: _Entry, label_files: dict[str, Path] | None) -> Recording:
    (signal,) = read_variables(entry.path, "sig")
    if signal.ndim != 2 or signal.shape[0] not in (5, 6):
        raise InputError(
            f"{entry.path}: variable 'sig' has shape {signal.shape}; expected (6, N), or (5, N) without ECG"
        )
    # Test records carry no ECG, so PPG comes first there.
    first = signal.shape[0] - 5
    signals = Recording(
        name=entry.path.name,
        source="ieee_spc",
        subject=entry.subject,
        ppg=signal[first : first + 2].astype(np.float32),
        ppg_hz=RATE_HZ,
        acc=signal[first + 2 : first + 5].astype(np.float32),
        acc_hz=RATE_HZ,
    )
    return signals if label_files is None else _labelled(entry, signals, label_files)


def _labelled(entry: _Entry, signals: Recording, label_files: dict[str, Path]) -> Recording:
    label_path = next((label_files[name.lower()] for name in entry.labels if name.lower() in label_files), None)
    if label_path is None:
        raise InputError(f"{entry.path}: no label file; expected {entry.labels[0]}.mat beside it")
    (bpm,) = read_variables(label_path, "BPM0")
    bpm = bpm.ravel().astype(np.float64)
    windows = max(0, (signals.ppg.shape[1] - 1000) // 250 + 1)
    if bpm.size > windows:
        raise InputError(
            f"{label_path}: {bpm.size} labels for {windows} windows of {entry.path.name}; "
            "check that both files belong together"
        )
    return replace(
        signals,
        label_times_s=np.arange(bpm.size) * STEP_S + WINDOW_S / 2,
        label_window_s=WINDOW_S,
        heart_rate_bpm=bpm,
        trusted=trusted_labels(bpm),
    )


LOADER = Loader(find_ieee_spc, load_ieee_spc, find_ieee_spc_labels, reference="ECG", splits=SPLITS, is_set=True)
