"""A reader of pickles that admits arrays, numbers, text and plain containers, and nothing else.

PPG-DaLiA and WESAD are distributed as Python 2 pickles; a pickle may otherwise run any code it likes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError

_NUMERIC_KINDS = "biufcSU"


class ForbiddenPickleError(InputError):
    """A pickle that asks for something other than arrays and plain containers."""


class _ArrayUnpickler(pickle.Unpickler):
    """Resolves the few names that array pickles of any NumPy version use; refuses every other name.

    Functions are made anew for every file, so that nothing a pickle does to them outlives it.
    """

    def __init__(self, stream: BinaryIO, origin: Path) -> None:
        super().__init__(stream, encoding="latin1")
        self._origin = origin
        self._admitted = _admitted_names()

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        try:
            return self._admitted[module, name]
        except KeyError:
            raise ForbiddenPickleError(
                f"{self._origin}: pickle asks for {module}.{name}, only arrays and plain containers are "
                "admitted; do not open this file, get it from its authors"
            ) from None


def _admitted_names() -> dict[tuple[str, str], Any]:
    def reconstruct(kind: type, shape: tuple[int, ...], code: Any) -> NDArray:
        # NumPy asks for an empty array here and fills it by __setstate__; nothing larger is honest.
        if kind is not np.ndarray or shape != (0,):
            raise pickle.UnpicklingError("not an array as NumPy writes it")
        return np.ndarray((0,), dtype=np.int8)

    def from_buffer(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> NDArray:
        _require_numbers(dtype)
        return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)

    def scalar(dtype: np.dtype, content: Any = b"") -> Any:
        _require_numbers(dtype)
        raw = content.encode("latin1") if isinstance(content, str) else content
        return np.frombuffer(raw, dtype=dtype, count=1)[0]

    def encode(text: str, encoding: str = "latin1") -> bytes:
        if encoding.lower().replace("-", "") not in ("latin1", "utf8", "ascii"):
            raise pickle.UnpicklingError(f"text encoding {encoding}")
        return text.encode(encoding)

    functions: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy.core.multiarray", "scalar"): scalar,
        ("numpy.core.numeric", "_frombuffer"): from_buffer,
        ("_codecs", "encode"): encode,
    }
    classes = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    plain = {("builtins", kind.__name__): kind for kind in (set, frozenset, bytearray, complex)}
    return functions | classes | plain


def _require_numbers(dtype: np.dtype) -> None:
    if dtype.kind not in _NUMERIC_KINDS:
        raise pickle.UnpicklingError(f"array of {dtype}")


def load_array_pickle(path: str | Path) -> Any:
    """The content of a pickle made of arrays, scalars, text and plain containers.

    Raises ForbiddenPickleError, naming what was asked for, before anything foreign is called;
    InputError for a missing, truncated or damaged file.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            return _ArrayUnpickler(stream, path).load()
    except ForbiddenPickleError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except Exception as error:
        # A damaged pickle makes the reader raise nearly any class.
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable pickle ({what}); copy it again") from None
