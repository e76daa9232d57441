"""Checkpoints that are whole or absent, and are read without running anything that stands in them."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from hwmodels.basics.atomic_files import replace_file
from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from hwmodels.basics.pickle_scan import scan

_MOST_PICKLE_BYTES = 64 << 20
_DAMAGED = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""What zipfile, pickle and torch raise for files that are cut short, altered or foreign."""


class CheckpointError(InputError):
    """A checkpoint that is damaged or belongs to another training."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain containers to `path` under a temporary name, then rename."""

    def write(temporary: Path) -> None:
        # A stream, as the file's own name would otherwise stand in its bytes.
        with temporary.open("wb") as stream:
            torch.save(content, stream)

    replace_file(path, write)


def _look_through(path: Path) -> None:
    """Raise what a damaged file raises where the pickle in a checkpoint claims or builds more than is sound."""
    with zipfile.ZipFile(path) as archive:
        (member,) = (one for one in archive.infolist() if one.filename.split("/")[-1] == "data.pkl")
        if member.file_size > _MOST_PICKLE_BYTES:
            raise pickle.UnpicklingError("a pickle of many bytes")
        scan(io.BytesIO(archive.read(member)))


def load_checkpoint(path: Path, fingerprint: str | None = None) -> dict[str, Any]:
    """What `save_checkpoint` wrote.

    Raises CheckpointError when the file is missing, damaged, or holds another `fingerprint`.
    """
    refuse_lfs_pointer(path)
    try:
        _look_through(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; give the ppg-nas run command again") from None
    except _DAMAGED:
        raise CheckpointError(
            f"{path}: the checkpoint is truncated or damaged; delete it and give the ppg-nas run command "
            "again to repeat this training"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint of this program; delete it and run again")
    if fingerprint is not None and content.get("fingerprint") != fingerprint:
        raise CheckpointError(f"{path}: belongs to a training with other settings or data; delete it and run again")
    return content
