"""What every loader must hold; for those that come with the program, and for anybody's own."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.loader import Loader
from nas.data.recording import Recording


def check_loader(loader: Loader, folder: Path) -> None:
    """Load a folder of whole recordings, parts of it, and damaged copies. Raises AssertionError."""
    files = loader.find(folder)
    assert files and files == sorted(files), "files are found, in order"
    assert all(file.is_relative_to(folder) for file in files), "only what lies under the path is found"
    with tempfile.TemporaryDirectory() as empty:
        assert loader.find(Path(empty)) == [], "an empty folder holds nothing"
    recordings = loader.load(folder)
    assert recordings and all(isinstance(one, Recording) for one in recordings)
    names = [one.name for one in recordings]
    assert len(set(names)) == len(names), "every recording has a name of its own"
    assert _same(recordings, loader.load(folder)), "loading again gives the same"
    apart = [one for file in files for one in loader.load(file)]
    by_name = {one.name: one for one in apart}
    assert sorted(by_name) == sorted(names), "files one by one hold the same recordings as their folder"
    assert _same(recordings, [by_name[name] for name in names]), "a recording is the same by its file and its folder"
    unlabelled = {one.name: one for one in loader.load(folder, with_labels=False)}
    for one in recordings:
        assert np.array_equal(one.ppg, unlabelled[one.name].ppg), "labels must not change the signals"
    for share in (0.0, 0.4):
        _check_damaged(loader, folder, files[0].relative_to(folder), share)


def _check_damaged(loader: Loader, folder: Path, file: Path, share: float) -> None:
    """A file that was cut loads to what is left of it, or is refused by name; nothing else may happen."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "recordings"
        shutil.copytree(folder, copy)
        whole = (copy / file).read_bytes()
        (copy / file).write_bytes(whole[: int(share * len(whole))])
        try:
            loader.load(copy)
        except InputError as error:
            assert file.name in str(error) or file.stem in str(error), f"an error must name the file: {error}"


def _same(ours: list[Recording], others: list[Recording]) -> bool:
    names = [field.name for field in fields(Recording)]
    return len(ours) == len(others) and all(
        _equal(getattr(one, name), getattr(other, name))
        for one, other in zip(ours, others, strict=True)
        for name in names
    )


def _equal(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return bool(one == other)
