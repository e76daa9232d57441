"""Loader of BAMI-1 and BAMI-2: wrist PPG in three colours, walking and running, 50 Hz.

Chung et al., IEEE Access 2020. Heart rate from ECG, one label per 8 s window every 2 s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.files.matlab import read_variables, visible_files
from nas.data.loader import Loader
from nas.data.recording import Recording, trusted_labels

RATE_HZ = 50
WINDOW_S = 8.0
STEP_S = 2.0

LABEL_SHIFT_WINDOWS: Mapping[str, int] = MappingProxyType({"BAMI1_5": 4, "BAMI1_15": -3, "BAMI2_23": 4})
"""Documented faults of the set: label i fits window i + shift, found by agreement with the spectrum."""

_NAME = re.compile(r"BAMI(\d+)_(\d+)$", re.IGNORECASE)


def find_bami(folder: Path) -> list[Path]:
    """The recordings of this set anywhere under folder, in the order of their numbers."""
    found = [(match.groups(), path) for path in visible_files(folder, ".mat") if (match := _NAME.match(path.stem))]
    return [path for _, path in sorted(found, key=lambda entry: (tuple(map(int, entry[0])), entry[1]))]


def load_bami(folder: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every BAMI recording under folder; one person per file. Known label shifts are undone and noted.

    The label is `bpm_ecg`; `bpm_proposed` is the authors' own PPG estimate and never read.
    """
    return [_load(path, with_labels) for path in find_bami(Path(folder))]


def _load(path: Path, with_labels: bool) -> Recording:
    ppg, acc = read_variables(path, "rawPPG", "rawAcc")
    for field, signal in (("rawPPG", ppg), ("rawAcc", acc)):
        if signal.ndim != 2 or signal.shape[0] != 3:
            raise InputError(f"{path}: variable {field!r} has shape {signal.shape}; expected (3, N)")
    match = _NAME.match(path.stem)
    assert match is not None
    group, person = (int(part) for part in match.groups())
    signals = Recording(
        name=path.name,
        source=f"bami{group}",
        subject=f"bami{group}/{person:02d}",
        ppg=ppg.astype(np.float32),
        ppg_hz=RATE_HZ,
        acc=((acc.astype(np.float32) - 32768.0) / 4096.0),
        acc_hz=RATE_HZ,
    )
    return _labelled(path, signals, f"BAMI{group}_{person}") if with_labels else signals


def _labelled(path: Path, signals: Recording, record: str) -> Recording:
    (bpm,) = read_variables(path, "bpm_ecg")
    bpm = bpm.ravel().astype(np.float64)
    samples = signals.ppg.shape[1]
    windows = max(0, (samples - 400) // 100 + 1)
    if bpm.size > windows:
        raise InputError(f"{path}: {bpm.size} labels in bpm_ecg for {windows} windows of rawPPG; the file is damaged")
    first_start_s = 0.0
    notes: tuple[str, ...] = ()
    if samples == 36500 and bpm.size == windows - 1:
        # These records carry one label less than windows, and their labels align to the end.
        first_start_s, notes = STEP_S, ("labels aligned to the end of the signal",)
    recording = replace(
        signals,
        label_times_s=np.arange(bpm.size) * STEP_S + first_start_s + WINDOW_S / 2,
        label_window_s=WINDOW_S,
        heart_rate_bpm=bpm,
        trusted=trusted_labels(bpm),
        notes=notes,
    )
    shift = LABEL_SHIFT_WINDOWS.get(record)
    if shift is None:
        return recording
    return recording.with_label_shift(shift * STEP_S, "known fault of this record")


LOADER = Loader(find_bami, load_bami, reference="ECG", is_set=True)
