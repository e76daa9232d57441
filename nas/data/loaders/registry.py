"""Which loader reads what: one entry per kind of data set, and detection of what lies in a folder.

The command line and the pipeline's first stage come in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from nas.data.loaders.bami import find_bami, load_bami
from nas.data.loaders.empatica import find_empatica, find_empatica_parts, load_empatica
from nas.data.loaders.ieee_spc import SPLITS, find_ieee_spc, find_ieee_spc_labels, load_ieee_spc
from nas.data.loaders.liu import find_liu, load_liu
from nas.data.loaders.ppg_dalia import find_ppg_dalia, load_ppg_dalia
from nas.data.loaders.tabular import find_tabular, find_tabular_labels, load_tabular
from nas.data.loaders.waveforms import (
    find_edf,
    find_edf_labels,
    find_wfdb,
    find_wfdb_parts,
    load_edf,
    load_wfdb,
)
from nas.data.recording import Recording


def _no_files(_: Path) -> list[Path]:
    return []


class Load(Protocol):
    """Reads every recording of one kind under a path, with its labels or without."""

    def __call__(self, path: Path, /, with_labels: bool = True) -> list[Recording]:
        """Raises InputError naming file and field for whatever does not fit."""
        ...


@dataclass(frozen=True)
class Loader:
    """One kind of data set: finds its files under a path (folder or file), loads everything under a path.

    load(path, with_labels=False) reads the signals alone, whatever lies where labels should be.
    labels: finds the label files that lie apart from the recordings, for kinds that have such.
    reference: what the labels were measured with, for legends; "" where the kind does not say.
    """

    kind: str
    find: Callable[[Path], list[Path]]
    load: Load
    labels: Callable[[Path], list[Path]] = _no_files
    reference: str = ""


LOADERS: Mapping[str, Loader] = MappingProxyType(
    {
        loader.kind: loader
        for loader in (
            Loader("ieee_spc", find_ieee_spc, load_ieee_spc, find_ieee_spc_labels, reference="ECG"),
            Loader("bami", find_bami, load_bami, reference="ECG"),
            Loader("liu", find_liu, load_liu, reference="ECG"),
            Loader("ppg_dalia", find_ppg_dalia, load_ppg_dalia, reference="ECG"),
            Loader("empatica_e4", find_empatica, load_empatica, find_empatica_parts),
            Loader("wfdb", find_wfdb, load_wfdb, find_wfdb_parts),
            Loader("edf", find_edf, load_edf, find_edf_labels),
            Loader("tabular", find_tabular, load_tabular, find_tabular_labels),
        )
    }
)


_FORMATS = ("empatica_e4", "wfdb", "edf", "tabular")


def reference_of(source: str) -> str:
    """What the labels of a recording's `source` were measured with: ECG, or as far as is known."""
    known = {"synthetic": "simulated beats"} | {
        loader.kind: loader.reference for loader in LOADERS.values() if loader.reference
    }
    return next((measured for kind, measured in known.items() if source.startswith(kind)), "the file's labels")


def find_source_files(kind: str, path: str | Path) -> list[Path]:
    """Every file that `load_source` may read, labels included; raises InputError if there is none."""
    loader = _loader(kind)
    files = loader.find(Path(path))
    if not files:
        raise InputError(f"{path}: no recordings of {kind} there; check --data and the source's path")
    return sorted({*files, *loader.labels(Path(path))})


def load_source(kind: str, path: str | Path, splits: Sequence[str] = SPLITS) -> list[Recording]:
    """Every recording of that kind under path. `splits` matters to ieee_spc alone."""
    find_source_files(kind, path)
    load = partial(load_ieee_spc, splits=splits) if kind == "ieee_spc" else _loader(kind).load
    recordings = load(Path(path))
    if not recordings:
        raise InputError(f"{path}: no recordings of {kind} in splits {', '.join(splits)}; choose others")
    return recordings


def detect_and_load(path: str | Path, needs_labels: bool = True) -> list[Recording]:
    """Every recording of every known kind under path (a folder or one file).

    Where labels are not needed, a recording whose labels cannot be used is loaded without them, and its notes say why.
    """
    path = Path(path)
    recordings: list[Recording] = []
    for loader in _kinds_under(path):
        try:
            recordings += loader.load(path)
        except InputError:
            if needs_labels:
                raise
            recordings += [one for file in loader.find(path) for one in _with_usable_labels(loader, file)]
    return recordings


def _with_usable_labels(loader: Loader, file: Path) -> list[Recording]:
    try:
        return loader.load(file)
    except InputError as error:
        # If it is the signals that are at fault, this says so again.
        signals = loader.load(file, with_labels=False)
        return [replace(one, notes=(*one.notes, f"labels not used: {error}")) for one in signals]


def load_each(path: str | Path) -> Iterator[tuple[Path, list[Recording] | InputError]]:
    """File by file what is under path: its recordings, or the error it ended in.

    Raises InputError if path does not exist or holds no file of a known kind.
    """
    path = Path(path)
    for loader in _kinds_under(path):
        for file in loader.find(path):
            try:
                yield file, loader.load(file)
            except InputError as error:
                yield file, error


def _kinds_under(path: Path) -> list[Loader]:
    refuse_lfs_pointer(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    found = [loader for loader in LOADERS.values() if loader.find(path)]
    if not found:
        raise InputError(
            f"{path}: no file of a known kind; recordings are CSV, NPZ, Empatica E4 (folder or zip), WFDB, EDF, or "
            f"of a published set ({', '.join(kind for kind in LOADERS if kind not in _FORMATS)}); see docs/data.md"
        )
    return found


def _loader(kind: str) -> Loader:
    if kind not in LOADERS:
        raise InputError(f"data: unknown kind {kind!r}; choose from {', '.join(LOADERS)}, synthetic")
    return LOADERS[kind]
