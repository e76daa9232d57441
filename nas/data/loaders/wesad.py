"""Loader of WESAD: fifteen people sitting and standing under stress, in amusement and in meditation, Empatica E4.

Schmidt et al., ICMI 2018. Heart rate from the chest ECG of S2.pkl to S17.pkl; the wrist's raw exports alone, a folder
S2 or S2_E4_Data.zip, have no labels. `label` of the pickles is the affective state at 700 Hz, taken as the activity.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.files.beats import WINDOW_S, heart_rates_of_ecg
from nas.data.files.bracelet_pickle import is_wesad, number_array, sensor, with_neighbours, wrist_signals
from nas.data.files.matlab import visible_files
from nas.data.files.restricted_pickle import load_array_pickle
from nas.data.loader import Loader
from nas.data.loaders.empatica_e4 import find_empatica, find_empatica_parts, load_empatica
from nas.data.own.labels import within
from nas.data.recording import Recording, trusted_labels

CHEST_HZ = 700
STATES = ("transition", "baseline", "stress", "amusement", "meditation", "", "", "")
"""What the codes of `label` stand for; 5 to 7 are to be ignored, says the readme of the set."""
_OWNER = "WESAD"
_PERSON = re.compile(r"(S\d+)(_E4_Data)?", re.IGNORECASE)


def find_wesad(path: Path) -> list[Path]:
    """The pickles under a folder, and the exports of people whose pickle is not there; or the file itself."""
    pickles = {_person(file): file for file in visible_files(path, ".pkl") if _person(file)}
    exports = [file for file in find_empatica(path) if _person(file) not in ("", *pickles)]
    return sorted([*pickles.values(), *exports])


def find_wesad_parts(path: Path) -> list[Path]:
    """What else is read of those exports."""
    exports = (file for file in find_wesad(path) if file.suffix.lower() == ".csv")
    return [part for file in exports for part in find_empatica_parts(file)]


def wesad_claims(path: Path) -> list[Path]:
    """What surely is of this set: its pickles with what is distributed beside them, and S2_E4_Data.zip."""
    pickles = [one for file in visible_files(path, ".pkl") if is_wesad(file) for one in with_neighbours(file)]
    return pickles + [one for one in visible_files(path, ".zip") if "_" in one.stem and _person(one)]


def load_wesad(path: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every person under a path. Raises InputError naming the file, the field and the remedy."""
    return [one for file in find_wesad(Path(path)) for one in _load(file, with_labels)]


def _person(path: Path) -> str:
    """S2 of S2.pkl, S2_E4_Data.zip, S2/BVP.csv and S2_E4_Data/BVP.csv; "" for another file."""
    match = _PERSON.fullmatch(path.absolute().parent.name if path.suffix.lower() == ".csv" else path.stem)
    return match[1].upper() if match else ""


def _load(path: Path, with_labels: bool) -> list[Recording]:
    if path.suffix.lower() == ".pkl":
        return [_load_pickle(path, with_labels)]
    subject = f"wesad/{_person(path)}"
    return [replace(one, source="wesad", subject=subject) for one in load_empatica(path, with_labels)]


def _load_pickle(path: Path, with_labels: bool) -> Recording:
    content = load_array_pickle(path)
    signals = wrist_signals(path, content, "wesad", _OWNER)
    return _labelled(path, signals, content) if with_labels else signals


def _labelled(path: Path, signals: Recording, content: dict[str, Any]) -> Recording:
    ecg = number_array(path, sensor(path, content, "chest", _OWNER).get("ECG"), "signal.chest.ECG", _OWNER).reshape(-1)
    codes = number_array(path, content.get("label"), "label", _OWNER).reshape(-1)
    if codes.size != ecg.size:
        raise InputError(
            f"{path}: field 'label' has {codes.size} values for {ecg.size} of signal.chest.ECG; WESAD's are states at "
            "700 Hz (kind ppg_dalia reads heart rates)"
        )
    whole = np.rint(codes).astype(np.int64)
    if ((whole < 0) | (whole >= len(STATES))).any():
        raise InputError(f"{path}: field 'label' has values outside 0 to {len(STATES) - 1}; is it WESAD's?")
    labels = heart_rates_of_ecg(ecg, CHEST_HZ, str(path))
    labels = labels.chosen(within(labels.times_s, (0.0, signals.duration_s), WINDOW_S))
    assert labels.heart_rate_bpm is not None
    return replace(
        signals,
        label_times_s=labels.times_s,
        label_window_s=WINDOW_S,
        heart_rate_bpm=labels.heart_rate_bpm,
        activity=np.array(STATES)[whole[(labels.times_s * CHEST_HZ).astype(np.int64)]],
        trusted=trusted_labels(labels.heart_rate_bpm),
    )


LOADER = Loader(find_wesad, load_wesad, find_wesad_parts, claims=wesad_claims, reference="ECG", is_set=True)
