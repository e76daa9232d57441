"""People's own recordings: every CSV and NPZ file under a folder, as docs/reference/recordings.md describes."""

from __future__ import annotations

from pathlib import Path

from hwmodels.basics.errors import InputError
from nas.data.files.matlab import visible_files
from nas.data.loader import Loader
from nas.data.loaders.empatica_e4 import is_empatica_file
from nas.data.own.csv_recording import LABELS_SUFFIX, labels_beside, read_csv_recording
from nas.data.own.npz_recording import read_npz_recording, save_recording
from nas.data.own.own_recording import OwnFile, recordings_of
from nas.data.recording import Recording

__all__ = ["find_tabular", "find_tabular_labels", "load_tabular", "save_recording"]


def find_tabular(folder: Path) -> list[Path]:
    """The CSV and NPZ recordings (not label files, nor those of a bracelet's export) under folder, or the file."""
    tables = [p for p in visible_files(folder, ".csv") if not p.name.lower().endswith(LABELS_SUFFIX)]
    return sorted([*(p for p in tables if not is_empatica_file(p)), *visible_files(folder, ".npz")])


def find_tabular_labels(folder: Path) -> list[Path]:
    """The label files that lie beside CSV recordings under folder."""
    beside = [labels_beside(path) for path in find_tabular(folder) if path.suffix.lower() == ".csv"]
    return [path for path in beside if path.exists()]


def load_tabular(path: str | Path, with_labels: bool = True, rhythm_classes: tuple[str, ...] = ()) -> list[Recording]:
    """Every CSV or NPZ recording under a folder, or one file; one for each stretch without a long gap.

    rhythm_classes fixes the order of the classes; by default it is the one that NPZ files give, else the
    sorted names found in all files. Raises InputError for files that give different orders.
    """
    files = [_read(file, with_labels) for file in find_tabular(Path(path))]
    given = {classes for _, classes in files if classes}
    if len(given) > 1:
        raise InputError(f"{path}: files give different rhythm_classes; make them alike")
    classes = rhythm_classes or next(iter(given), _named_in([file for file, _ in files]))
    return [recording for file, _ in files for recording in recordings_of(file, classes)]


def _read(path: Path, with_labels: bool) -> tuple[OwnFile, tuple[str, ...]]:
    if path.suffix.lower() == ".npz":
        return read_npz_recording(path, with_labels)
    return read_csv_recording(path, with_labels), ()


def _named_in(files: list[OwnFile]) -> tuple[str, ...]:
    labels = [file.labels.rhythm for file in files if file.labels is not None and file.labels.rhythm is not None]
    return tuple(sorted({name for rhythm in labels for name in rhythm.tolist() if name}))


LOADER = Loader(find_tabular, load_tabular, find_tabular_labels)
