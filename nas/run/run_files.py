"""Files and folders of a run: written whole, read with a remedy, digested; leftovers of killed processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.atomic_files import PARTIAL, replace_file, temporary_beside
from hwmodels.basics.errors import InputError

__all__ = [
    "FileError",
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


class FileError(InputError):
    """A file of a run that is missing or damaged; the message names it and the remedy."""


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is whole or absent."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON with a stable layout so that it is whole or absent."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str) -> Any:
    """Parsed JSON. Raises FileError, ending in `remedy`, when the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(f"{path}: missing; {remedy}") from None
    except (OSError, ValueError):
        raise FileError(f"{path}: damaged; {remedy}") from None


def read_arrays(path: Path, remedy: str) -> dict[str, NDArray[Any]]:
    """Arrays of an NPZ file. Raises FileError, ending in `remedy`, when it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except FileNotFoundError:
        raise FileError(f"{path}: missing; {remedy}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise FileError(f"{path}: damaged; {remedy}") from None


def replace_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` fill a temporary folder beside `path`, then put it in `path`'s place.

    At no instant does `path` hold a part of either: it is the old folder, absent, or the new one.
    """
    remove_leftovers(path.parent)
    temporary, old = temporary_beside(path), temporary_beside(path.with_name(f"old-{path.name}"))
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left half written in `folder` itself."""
    for path in folder.glob(f"{PARTIAL}*"):
        if _is_running(path.name.removeprefix(PARTIAL).partition("-")[0]):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a path is a temporary of this module, by its name."""
    return path.name.startswith(PARTIAL)


def _is_running(process: str) -> bool:
    """Whether another process has this number; one's own is free when nothing is being written."""
    if not process.isdecimal() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
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
