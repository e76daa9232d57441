"""Pickles of PPG-DaLiA and WESAD, S1.pkl and so on: one layout, of an Empatica E4 and a chest belt.

After restricted_pickle, before both loaders.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.recording import Recording

PPG_HZ = 64
ACC_HZ = 32
_ACC_COUNTS_PER_G = 64.0
_LARGEST = 1e12
_PERSON = re.compile(r"S(\d+)", re.IGNORECASE)
_OF_DALIA_ALONE = (b"rpeaks", b"questionnaire")


def is_wesad(path: Path) -> bool:
    """Whether S2.pkl is WESAD's: it holds signals, and none of the fields that PPG-DaLiA has besides."""
    if not _PERSON.fullmatch(path.stem):
        return False
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"signal") >= 0 and all(content.find(word) < 0 for word in _OF_DALIA_ALONE)
    except (OSError, ValueError):
        return False


def with_neighbours(path: Path) -> list[Path]:
    """A person's pickle and what is distributed with it: the rest of the folder S2, or files named S2_..."""
    if path.parent.name == path.stem:
        return [one for one in path.parent.rglob("*") if one.is_file()]
    return [path, *(one for one in path.parent.glob(f"{path.stem}_*") if one.is_file())]


def number_array(path: Path, value: Any, field: str, owner: str) -> NDArray:
    """A field that must be an array of plausible numbers. Raises InputError naming the file and the field."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.size == 0:
        raise InputError(f"{path}: field {field!r} is no array of numbers; is it {owner}'s?")
    if not (np.abs(value) <= _LARGEST).all():
        raise InputError(f"{path}: field {field!r} holds numbers that no sensor gives; copy the file again")
    return value


def sensor(path: Path, content: Any, place: str, owner: str) -> dict[str, Any]:
    """The signals of "wrist" or "chest" by their names."""
    signals = content.get("signal") if isinstance(content, dict) else None
    found = signals.get(place) if isinstance(signals, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"{path}: field 'signal.{place}' is missing; is it {owner}'s?")
    return found


def wrist_signals(path: Path, content: dict[str, Any], source: str, owner: str) -> Recording:
    """The bracelet's light and acceleration, without labels."""
    wrist = sensor(path, content, "wrist", owner)
    ppg = number_array(path, wrist.get("BVP"), "signal.wrist.BVP", owner).reshape(-1)
    acc = number_array(path, wrist.get("ACC"), "signal.wrist.ACC", owner)
    if acc.ndim != 2 or acc.shape[1] != 3:
        raise InputError(f"{path}: field 'signal.wrist.ACC' has shape {acc.shape}; expected (M, 3)")
    return Recording(
        name=path.name,
        source=source,
        subject=f"{source}/{content.get('subject') or path.stem}",
        ppg=ppg.astype(np.float32)[None],
        ppg_hz=PPG_HZ,
        acc=(acc.T / _ACC_COUNTS_PER_G).astype(np.float32),
        acc_hz=ACC_HZ,
    )
