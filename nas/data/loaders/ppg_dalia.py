"""Loader of PPG-DaLiA: fifteen people in eight daily activities, wrist-worn Empatica E4.

Reiss et al., Sensors 19(14), 2019. Reads the distributed S1.pkl to S15.pkl, and files of ready windows.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.files.bracelet_pickle import is_wesad, number_array, with_neighbours, wrist_signals
from nas.data.files.matlab import visible_files
from nas.data.files.restricted_pickle import load_array_pickle
from nas.data.loader import Loader
from nas.data.recording import Recording, trusted_labels

ACTIVITIES = (
    "transition",
    "sitting",
    "stairs",
    "table soccer",
    "cycling",
    "driving",
    "lunch",
    "walking",
    "working",
)
WINDOW_S = 8.0
STEP_S = 2.0
_ACTIVITY_HZ = 4
_WINDOW_FILE_HZ = 32
_WINDOW_SAMPLES = 256
_STEP_SAMPLES = 64
_OWNER = "PPG-DaLiA"


def find_ppg_dalia(folder: Path) -> list[Path]:
    """The pickles under folder, subjects in the order of their numbers."""

    def key(path: Path) -> tuple[int, str]:
        number = re.match(r"S(\d+)$", path.stem)
        return (int(number.group(1)) if number else 10**6, str(path))

    return sorted(visible_files(folder, ".pkl"), key=key)


def ppg_dalia_claims(path: Path) -> list[Path]:
    """What surely is of this set: pickles that are not WESAD's, with what is distributed beside them."""
    return [one for file in find_ppg_dalia(path) if not is_wesad(file) for one in with_neighbours(file)]


def load_ppg_dalia(path: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every recording of the pickles under a folder, or of one file."""
    return [recording for file in find_ppg_dalia(Path(path)) for recording in load_ppg_dalia_file(file, with_labels)]


def load_ppg_dalia_file(path: Path, with_labels: bool = True) -> list[Recording]:
    """One pickle, in the distributed layout or as a file of windows (X, y, activity, groups)."""
    content = load_array_pickle(path)
    held = set(content) if isinstance(content, dict) else set()
    if "signal" in held and ("label" in held or not with_labels):
        return [_distributed(path, content, with_labels)]
    if "X" in held and ("y" in held or not with_labels):
        return _from_windows(path, content, with_labels)
    raise InputError(f"{path}: neither 'signal' and 'label' nor 'X' and 'y' inside; is it PPG-DaLiA's?")


def _array(path: Path, value: Any, field: str) -> NDArray:
    return number_array(path, value, field, _OWNER)


def _activity_names(path: Path, codes: NDArray) -> NDArray[np.str_]:
    whole = np.rint(codes).astype(np.int64)
    if ((whole < 0) | (whole >= len(ACTIVITIES))).any():
        raise InputError(f"{path}: field 'activity' has values outside 0 to {len(ACTIVITIES) - 1}")
    return np.array(ACTIVITIES)[whole]


def _distributed(path: Path, content: dict[str, Any], with_labels: bool) -> Recording:
    signals = wrist_signals(path, content, "ppg_dalia", _OWNER)
    return _labelled(path, signals, content) if with_labels else signals


def _labelled(path: Path, signals: Recording, content: dict[str, Any]) -> Recording:
    bpm = _array(path, content["label"], "label").ravel().astype(np.float64)
    windows = max(0, int((signals.duration_s - WINDOW_S) // STEP_S) + 1)
    if bpm.size > 20 * max(windows, 1):
        raise InputError(
            f"{path}: field 'label' holds {bpm.size} values for {signals.duration_s:.0f} s, as WESAD's "
            "affective states do; it is no heart rate, read this file as kind wesad"
        )
    if bpm.size > windows:
        raise InputError(f"{path}: {bpm.size} labels for {windows} windows of signal.wrist.BVP; the file is cut short")
    activity = None
    if content.get("activity") is not None:
        codes = _array(path, content["activity"], "activity").reshape(-1)
        names = _activity_names(path, codes)
        centres = np.arange(bpm.size) * STEP_S + WINDOW_S / 2
        activity = names[np.minimum((centres * _ACTIVITY_HZ).astype(int), names.size - 1)]
    return replace(
        signals,
        label_times_s=np.arange(bpm.size) * STEP_S + WINDOW_S / 2,
        label_window_s=WINDOW_S,
        heart_rate_bpm=bpm,
        activity=activity,
        trusted=trusted_labels(bpm),
    )


def _from_windows(path: Path, content: dict[str, Any], with_labels: bool) -> list[Recording]:
    """Windows back into signals: those that overlap their predecessor sample by sample are one recording."""
    windows = _array(path, content["X"], "X").astype(np.float32)
    if windows.ndim != 3 or windows.shape[1:] != (4, _WINDOW_SAMPLES):
        raise InputError(f"{path}: field 'X' has shape {windows.shape}; expected (n, 4, {_WINDOW_SAMPLES})")
    count = windows.shape[0]
    bpm = _array(path, content["y"], "y").ravel().astype(np.float64) if with_labels else np.full(count, np.nan)
    groups = _array(path, content.get("groups", np.zeros(count)), "groups").reshape(-1)
    codes = _array(path, content.get("activity", np.zeros(count)), "activity").reshape(-1)
    for field, values in (("y", bpm), ("groups", groups), ("activity", codes)):
        if values.size != count:
            raise InputError(f"{path}: field {field!r} has {values.size} values for {count} windows of 'X'")
    names = _activity_names(path, codes)
    follows = (windows[1:, :, :-_STEP_SAMPLES] == windows[:-1, :, _STEP_SAMPLES:]).all(axis=(1, 2))
    follows &= groups[1:] == groups[:-1]
    bounds = [0, *(np.flatnonzero(~follows) + 1).tolist(), count]
    runs = [range(first, last) for first, last in pairwise(bounds)]

    def recording(chosen: NDArray[np.int64], signal: NDArray, segment_s: float | None, part: str) -> Recording:
        step_s = STEP_S if segment_s is None else segment_s
        signals = Recording(
            name=f"{path.name}{part}",
            source="ppg_dalia",
            subject=f"ppg_dalia/S{int(groups[chosen[0]])}",
            ppg=signal[:1],
            ppg_hz=_WINDOW_FILE_HZ,
            acc=signal[1:],
            acc_hz=_WINDOW_FILE_HZ,
            segment_s=segment_s,
        )
        if not with_labels:
            return signals
        labels = bpm[chosen]
        return replace(
            signals,
            label_times_s=np.arange(chosen.size) * step_s + WINDOW_S / 2,
            label_window_s=WINDOW_S,
            heart_rate_bpm=labels,
            activity=names[chosen],
            trusted=trusted_labels(labels) if segment_s is None else None,
        )

    recordings = []
    for number, run in enumerate(run for run in runs if len(run) > 1):
        chosen = np.array(run)
        tail = windows[chosen[1:], :, -_STEP_SAMPLES:].transpose(1, 0, 2).reshape(4, -1)
        signal = np.concatenate([windows[chosen[0]], tail], axis=1)
        recordings.append(recording(chosen, signal, None, f"#{number}" if number else ""))
    single = np.array([run[0] for run in runs if len(run) == 1], dtype=np.int64)
    for group in np.unique(groups[single]):
        chosen = single[groups[single] == group]
        signal = windows[chosen].transpose(1, 0, 2).reshape(4, -1)
        recordings.append(recording(chosen, signal, WINDOW_S, f"#S{int(group)} single windows"))
    return recordings


LOADER = Loader(find_ppg_dalia, load_ppg_dalia, claims=ppg_dalia_claims, reference="ECG", is_set=True)
