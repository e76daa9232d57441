"""Files that are whole or absent: written under a temporary name, then renamed. All floors write so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".partial-"


def temporary_beside(path: Path) -> Path:
    """The temporary name that this process writes `path` under; the suffix stays.

    np.savez appends ".npz" to names without it, and pictures take their format from the suffix.
    """
    return path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, then rename it over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    temporary.unlink(missing_ok=True)  # a link that someone left there would be written through
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
