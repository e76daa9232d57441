"""Reading NPZ files that anyone may have written: nothing is unpickled, and no more is allocated than it holds."""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hwmodels.basics.documents import DocumentError, UndecodableError, refuse_lfs_pointer

MOST_BYTES = 4 << 30
_LAST_CHARACTER = 0x10FFFF
_DAMAGED = (
    ValueError,
    LookupError,
    EOFError,
    OSError,
    RuntimeError,
    TypeError,
    SyntaxError,
    TokenError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What zipfile and numpy raise for damaged streams, encrypted or unknown methods, and headers that are none."""


def read_npz(path: str | Path, most_bytes: int = MOST_BYTES) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file by name, none of objects.

    Raises DocumentError when there is no such file, UndecodableError when it is no NPZ file, is damaged, or holds more
    than `most_bytes`.
    """
    refuse_lfs_pointer(path)
    if not Path(path).is_file():
        raise DocumentError(f"{path}: No such file or directory")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > most_bytes:
                raise UndecodableError(f"{path}: holds more than {most_bytes:,} bytes")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except UndecodableError as error:
        raise UndecodableError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UndecodableError(f"{path}: not a readable NPZ file ({reason[:120]})") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, whose header claims just as many bytes as there are."""
    with archive.open(member) as stream:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged header may be code that Python warns of
            shape, is_fortran, dtype = _header(stream)
        if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
            raise UndecodableError(f"array {member.filename}: holds no plain numbers or text")
        claimed = math.prod(shape) * dtype.itemsize
        content = stream.read(member.file_size)
        if claimed != len(content) or dtype.itemsize == 0:
            raise UndecodableError(f"array {member.filename}: cut short, or of another shape than it says")
    if dtype.kind == "U":
        codes = np.frombuffer(content, np.dtype("u4").newbyteorder(dtype.byteorder))
        if ((codes > _LAST_CHARACTER) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise UndecodableError(f"array {member.filename}: holds characters that are none")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C").copy(order="C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise UndecodableError(f"array of format {version}, expected (1, 0) or (2, 0)")
