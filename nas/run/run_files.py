"""Files and folders of a run: written whole, read with a remedy, digested; leftovers of killed processes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hwmodels.basics import documents
from hwmodels.basics.arrays import MOST_BYTES, read_npz
from hwmodels.basics.atomic_files import PARTIAL, replace_file, temporary_beside
from hwmodels.basics.errors import InputError

__all__ = [
    "FileError",
    "append_line",
    "digest",
    "digest_files",
    "is_temporary",
    "read_arrays",
    "read_json",
    "remove_leftovers",
    "replace_file",
    "replace_folder",
    "write_json",
    "write_text",
]


MARKER = ".ppg-nas"
"""A file in every folder that is being filled, by which a leftover is known as this program's."""


class FileError(InputError):
    """A file of a run that is missing or damaged; the message names it and the remedy."""


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is whole or absent."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def append_line(path: Path, line: str) -> None:
    """Add one line to a text file. Raises FileError where the path is a link."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileError(f"{path}: is a link; remove it and give the command again") from None
        raise
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def write_json(path: Path, content: Any) -> None:
    """Write JSON with a stable layout so that it is whole or absent."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str) -> Any:
    """Parsed JSON. Raises FileError, ending in `remedy`, when the file is missing or damaged."""
    if not path.exists():
        raise FileError(f"{path}: missing; {remedy}")
    try:
        return documents.read_json(path)
    except InputError:
        raise FileError(f"{path}: damaged; {remedy}") from None


def read_arrays(path: Path, remedy: str, most_bytes: int = MOST_BYTES) -> dict[str, NDArray[Any]]:
    """Arrays of an NPZ file. Raises FileError, ending in `remedy`, when it is missing or damaged."""
    if not path.exists():
        raise FileError(f"{path}: missing; {remedy}")
    try:
        return read_npz(path, most_bytes)
    except InputError:
        raise FileError(f"{path}: damaged; {remedy}") from None


def replace_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` fill a temporary folder beside `path`, then put it in `path`'s place.

    At no instant does `path` hold a part of either: it is the old folder, absent, or the new one.
    """
    _remove_folders(path.parent)
    temporary, old = temporary_beside(path), temporary_beside(path.with_name(f"old-{path.name}"))
    temporary.mkdir(parents=True)
    (temporary / MARKER).touch()
    try:
        fill(temporary)
        if path.exists():
            (path / MARKER).touch()
            os.replace(path, old)
        os.replace(temporary, path)
        (path / MARKER).unlink()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half written in `folder` itself, which must be this program's own."""
    _remove_folders(folder)
    for path in folder.glob(f"{PARTIAL}*"):
        if is_temporary(path) and not path.is_dir() and not _is_running(path):
            path.unlink(missing_ok=True)


def _remove_folders(folder: Path) -> None:
    """Remove folders that `replace_folder` began and a killed process left; its marker lies in each."""
    for path in folder.glob(f"{PARTIAL}*"):
        is_ours = is_temporary(path) and not path.is_symlink() and (path / MARKER).is_file()
        if is_ours and not _is_running(path):
            shutil.rmtree(path, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Whether a path is named as this module names what it is writing: with the number of a process."""
    return _process(path) is not None


def _process(path: Path) -> int | None:
    number = path.name.removeprefix(PARTIAL).partition("-")[0]
    is_number = path.name.startswith(PARTIAL) and number.isdecimal() and len(number) < 10
    return int(number) if is_number else None


def _is_running(path: Path) -> bool:
    """Whether another process is writing a temporary; one's own is free when nothing is being written."""
    process = _process(path)
    if process is None or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def digest(*parts: Any) -> str:
    """Sixteen hexadecimal digits over JSON-able parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_files(paths: Iterable[Path]) -> str:
    """A digest over names and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.name.encode() + b"\0")
        content = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                content.update(block)
        total.update(content.digest())
    return total.hexdigest()[:16]
