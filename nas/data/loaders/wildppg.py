"""Loader of WildPPG: sixteen people on a day's trip by train and on foot up to 3,571 m, 13.5 h each, 128 Hz.

Meier, Demirel, Holz, NeurIPS 2024. WildPPG_Part_an0.mat and so on, one structure a sensor site. The wrist's green
light is read, as its authors do; the heart rate comes from the ECG at the sternum.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.files.beats import WINDOW_S, heart_rates_of_ecg
from nas.data.files.matlab import numbers_of, read_structures, visible_files
from nas.data.loader import Loader
from nas.data.own.own_recording import OwnFile, recordings_of
from nas.data.own.timeline import Series
from nas.data.recording import Recording

_NAME = re.compile(r"WildPPG_Part_(\w+)", re.IGNORECASE)
_INTERRUPTED_S = 2.0
"""Light that does not change for longer was not recorded: a sensor that stopped is filled with one value."""


def find_wildppg(path: Path) -> list[Path]:
    """The participants' files under a folder, or the file itself."""
    return [file for file in visible_files(path, ".mat") if _NAME.fullmatch(file.stem)]


def load_wildppg(path: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every participant under a path. Raises InputError naming the file, the field and the remedy."""
    return [one for file in find_wildppg(Path(path)) for one in recordings_of(_read(file, with_labels))]


def _read(path: Path, with_labels: bool) -> OwnFile:
    match = _NAME.fullmatch(path.stem)
    assert match is not None
    wrist, *sternum = read_structures(path, "wrist", *(["sternum"] if with_labels else []))
    light, rate_hz = _signal(path, wrist, "ppg_g")
    light[_runs_of_one_value(light, round(_INTERRUPTED_S * rate_hz))] = np.nan
    axes = [_signal(path, wrist, f"acc_{axis}") for axis in "xyz"]
    if len({(axis.size, hz) for axis, hz in axes}) > 1:
        raise InputError(f"{path}: wrist.acc_x, acc_y and acc_z differ in length or rate; copy the file again")
    labels = None
    if with_labels:
        ecg, ecg_hz = _signal(path, sternum[0], "ecg")
        labels = heart_rates_of_ecg(ecg, ecg_hz, str(path))
    return OwnFile(
        path=path,
        ppg=Series.at_rate(light[None], rate_hz),
        acc=Series.at_rate(np.stack([axis for axis, _ in axes]), axes[0][1]),
        labels=labels,
        label_window_s=WINDOW_S,
        name=path.name,
        subject=match[1].lower(),
        source="wildppg",
    )


def _signal(path: Path, site: dict[str, Any], name: str) -> tuple[NDArray[np.float64], float]:
    """Samples (n,) and the rate in Hz of one sensor."""
    samples = numbers_of(path, site, name, "v").astype(np.float64).reshape(-1)
    return samples, float(numbers_of(path, site, name, "fs").reshape(-1)[0])


def _runs_of_one_value(samples: NDArray[np.float64], length: int) -> NDArray[np.bool_]:
    """Where at least `length` samples (n,) follow each other that are all the same."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(samples)) + 1])
    lengths = np.diff(np.append(starts, samples.size))
    return np.repeat(lengths >= length, lengths)


LOADER = Loader(find_wildppg, load_wildppg, reference="ECG", is_set=True)
