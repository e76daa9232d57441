"""Recordings of a named kind, or of whatever kinds lie in a folder.

The command line and the pipeline's first stage come in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from nas.data.loader import LOADERS, Loader
from nas.data.recording import Recording


def reference_of(source: str) -> str:
    """What the labels of a recording's `source` were measured with: ECG, or as far as is known."""
    known = {"synthetic": "simulated beats"} | {
        kind: loader.reference for kind, loader in LOADERS.items() if loader.reference
    }
    return next((measured for kind, measured in known.items() if source.startswith(kind)), "the file's labels")


def find_source_files(kind: str, path: str | Path) -> list[Path]:
    """Every file that `load_source` may read, labels included; raises InputError if there is none."""
    loader = _loader(kind)
    files = loader.find(Path(path))
    if not files:
        raise InputError(f"{path}: no recordings of {kind} there; check --data and the source's path")
    return sorted({*files, *loader.labels(Path(path))})


def load_source(
    kind: str, path: str | Path, splits: Sequence[str] | None = None, with_labels: bool = True
) -> list[Recording]:
    """Every recording of that kind under path; of some `splits` alone, for kinds that have such."""
    find_source_files(kind, path)
    loader = _loader(kind)
    splits = loader.splits if splits is None else splits
    chosen = {"splits": splits} if loader.splits else {}
    recordings = loader.load(Path(path), with_labels=with_labels, **chosen)
    if not recordings:
        raise InputError(f"{path}: no recordings of {kind} in splits {', '.join(splits)}; choose others")
    return recordings


def detect_and_load(path: str | Path, needs_labels: bool = True) -> list[Recording]:
    """Every recording of every known kind under path (a folder or one file).

    Where labels are not needed, a recording whose labels cannot be used is loaded without them, and its notes say why.
    """
    path = Path(path)
    recordings: list[Recording] = []
    for loader, files in _kinds_under(path):
        # A folder is loaded as one where all of it is of one kind: its files may bear on each other.
        roots = [path] if files == loader.find(path) else files
        try:
            recordings += [one for root in roots for one in loader.load(root)]
        except InputError:
            if needs_labels:
                raise
            recordings += [one for file in files for one in _with_usable_labels(loader, file)]
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
    for loader, files in _kinds_under(path):
        for file in files:
            try:
                yield file, loader.load(file)
            except InputError as error:
                yield file, error


def _kinds_under(path: Path) -> list[tuple[Loader, list[Path]]]:
    """Each kind that is there, with its files; what a published set claims is left to it."""
    refuse_lfs_pointer(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    claims = {loader: set(loader.claimed(path)) for loader in LOADERS.values()}
    claimed = set().union(*claims.values())
    kinds = [
        (loader, [file for file in loader.find(path) if file in own or not (loader.is_set or file in claimed)])
        for loader, own in claims.items()
    ]
    loaders = [(loader, files) for loader, files in kinds if files]
    if not loaders:
        sets = ", ".join(kind for kind, loader in LOADERS.items() if loader.is_set)
        raise InputError(
            f"{path}: no file of a known kind; recordings are CSV, NPZ, Empatica E4 (folder or zip), WFDB, EDF, or "
            f"of a published set ({sets}); see docs/reference/recordings.md"
        )
    return loaders


def _loader(kind: str) -> Loader:
    if kind not in LOADERS:
        raise InputError(f"data: {LOADERS.unknown(kind)}")
    return LOADERS[kind]
