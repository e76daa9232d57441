"""A Git LFS pointer in the place of a file is named as one by every reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwmodels.basics.arrays import read_npz
from hwmodels.basics.errors import InputError
from hwmodels.cost import lut
from hwmodels.device.device import load_device
from hwmodels.firmware.tracker import load_tracker
from hwmodels.foreign.tflite_reader import read_tflite
from hwmodels.network.interpreter import load_model
from nas.data.sources import detect_and_load
from nas.run.config import load_config
from search.archive.archive import Archive
from supernet.space.search_space import load_space
from supernet.training.checkpoint import load_checkpoint

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
READERS: dict[str, Callable[[Path], object]] = {
    "a.yaml": load_config,
    "device.yaml": load_device,
    "space.yaml": load_space,
    "table.json": lut.load,
    "tracker.json": load_tracker,
    "model.npz": load_model,
    "arrays.npz": read_npz,
    "network.tflite": read_tflite,
    "weights.pt": load_checkpoint,
    "archive.sqlite": lambda path: Archive(path, create=False),
    "walk.csv": detect_and_load,
    "walk.npz": detect_and_load,
    "DATA_01_TYPE01.mat": detect_and_load,
    "S1.pkl": detect_and_load,
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_names_a_pointer_and_how_to_fetch_the_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(InputError, match=r"is a Git LFS pointer.*git lfs pull"):
        READERS[name](tmp_path / name)
