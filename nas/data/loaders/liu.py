"""Loader of the Liu arrhythmia set: 10 s PPG segments of 100 Hz with one of six rhythms each.

Liu et al., JAHA 11(7):e023555, 2022. One patient per file; every segment is scaled to its own range,
so amplitude is lost, and segments of one file need not follow each other.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.files.matlab import read_variables, visible_files
from nas.data.loader import Loader
from nas.data.recording import Recording

RATE_HZ = 100
SEGMENT_S = 10.0
CLASSES = ("sinus", "PVC", "PAC", "VT", "SVT", "AF")

_NAME = re.compile(r"MPA_\d+$", re.IGNORECASE)


def find_liu(folder: Path) -> list[Path]:
    """The patients' files of this set anywhere under folder, or the file itself."""
    return [path for path in visible_files(folder, ".mat") if _NAME.match(path.stem)]


def load_liu(folder: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every patient of the set under folder, with a rhythm label for each 10 s segment unless labels are not wanted."""
    return [load_liu_file(path, with_labels) for path in find_liu(Path(folder))]


def load_liu_file(path: Path, with_labels: bool = True) -> Recording:
    """One patient. Raises InputError for shapes or labels that are not the set's."""
    (segments,) = read_variables(path, "ppgseg")
    samples = round(SEGMENT_S * RATE_HZ)
    if segments.ndim != 2 or segments.shape[1] != samples:
        raise InputError(f"{path}: variable 'ppgseg' has shape {segments.shape}; expected (n, {samples})")
    signals = Recording(
        name=path.name,
        source="liu",
        subject=f"liu/{path.stem}",
        ppg=segments.astype(np.float32).reshape(1, -1),
        ppg_hz=RATE_HZ,
        segment_s=SEGMENT_S,
    )
    if not with_labels:
        return signals
    (labels,) = read_variables(path, "labels")
    rhythm = labels.ravel().astype(np.int64)
    if rhythm.size != segments.shape[0]:
        raise InputError(f"{path}: {rhythm.size} labels for {segments.shape[0]} segments; check that the file is whole")
    if ((rhythm < 0) | (rhythm >= len(CLASSES))).any():
        raise InputError(f"{path}: variable 'labels' has values outside 0 to {len(CLASSES) - 1}")
    return replace(
        signals,
        label_times_s=(np.arange(rhythm.size) + 0.5) * SEGMENT_S,
        label_window_s=SEGMENT_S,
        rhythm=rhythm,
        rhythm_classes=CLASSES,
        trusted=np.ptp(segments, axis=1) > 0,
    )


LOADER = Loader(find_liu, load_liu, reference="ECG", is_set=True)
