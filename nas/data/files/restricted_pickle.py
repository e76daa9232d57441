"""A reader of pickles that admits arrays, numbers, text and plain containers, and nothing else.

PPG-DaLiA and WESAD are distributed as Python 2 pickles; a pickle may otherwise run any code it likes. Arrays are not
built by the pickle: it fills records, of which arrays are made here once their shape, kind and bytes agree.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from hwmodels.basics.pickle_scan import scan

_PLAIN_DTYPE = re.compile(r"[<>|=]?(b1|\?|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}|[biuf])")
_DAMAGED = (
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    ArithmeticError,
    ImportError,
    MemoryError,
    RecursionError,
    struct.error,
)
"""What the reader of pickles raises for damaged ones, besides its own error."""


class ForbiddenPickleError(InputError):
    """A pickle that asks for something other than arrays and plain containers."""


class _Dtype:
    """A kind of numbers as a pickle spells it."""

    def __init__(self, code: Any = None, align: Any = False, copy: Any = True) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _PLAIN_DTYPE.fullmatch(text):
            raise ForbiddenPickleError(f"pickle holds an array of {str(text)[:20]!r}, not of numbers or text")
        self._code = text
        self._order = "|"

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        order = order.decode("latin1") if isinstance(order, bytes) else order
        if order not in ("<", ">", "|", "=") or any(part not in (None, 0) for part in state[2:5]):
            raise pickle.UnpicklingError("array of records")
        self._order = order

    @property
    def dtype(self) -> np.dtype[Any]:
        """As NumPy has it."""
        return np.dtype(self._code).newbyteorder(self._order)  # type: ignore[arg-type]


class _Array:
    """An array as a pickle fills it."""

    def __init__(self, *given: Any) -> None:
        # NumPy asks for an empty array here and fills it by its state; nothing larger is honest.
        raise pickle.UnpicklingError("not an array as NumPy writes it")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Dtype):
            raise pickle.UnpicklingError("not an array as NumPy writes it")
        _, shape, kind, is_fortran, content = state
        self.value = _filled(content, kind, shape, "F" if is_fortran else "C")


def _filled(content: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    """An array whose bytes are just as many as its shape and kind ask for."""
    raw = content.encode("latin1") if isinstance(content, str) else content
    dims = shape if isinstance(shape, tuple) else ()
    is_sound = isinstance(kind, _Dtype) and isinstance(raw, bytes | bytearray) and isinstance(shape, tuple)
    if not is_sound or len(dims) > 8 or not all(type(length) is int and length >= 0 for length in dims):
        raise pickle.UnpicklingError("not an array as NumPy writes it")
    dtype: np.dtype[Any] = kind.dtype
    if math.prod(dims) * dtype.itemsize != len(raw) or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array of another size than it says")
    return np.frombuffer(raw, dtype).reshape(dims, order=order)


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
    class Array(_Array):
        pass

    class Dtype(_Dtype):
        pass

    def reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
        if kind is not Array or shape != (0,):
            raise pickle.UnpicklingError("not an array as NumPy writes it")
        return Array.__new__(Array)

    def from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
        return _filled(buffer, dtype, shape, order)

    def scalar(dtype: Any, content: Any = b"") -> Any:
        return _filled(content, dtype, (1,), "C")[0]

    def encode(text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf8", "utf-8", "ascii"):
            raise pickle.UnpicklingError("text of another encoding")
        return text.encode(encoding)

    def buffer(content: Any = b"") -> bytearray:
        if not isinstance(content, bytes):
            raise pickle.UnpicklingError("a buffer of something else than bytes")
        return bytearray(content)

    return {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy.core.multiarray", "scalar"): scalar,
        ("numpy.core.numeric", "_frombuffer"): from_buffer,
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
        ("_codecs", "encode"): encode,
        ("builtins", "bytearray"): buffer,
        ("builtins", "set"): set,
        ("builtins", "frozenset"): frozenset,
        ("builtins", "complex"): complex,
    }


def _with_arrays(content: Any, made: dict[int, Any]) -> Any:
    """The content with its records of arrays replaced, containers alone being entered, each once."""
    if isinstance(content, _Array):
        if not hasattr(content, "value"):
            raise pickle.UnpicklingError("an array without content")
        return content.value
    if not isinstance(content, dict | list | tuple):
        return content
    if id(content) not in made:
        made[id(content)] = None  # a container within itself
        if isinstance(content, dict):
            made[id(content)] = {key: _with_arrays(value, made) for key, value in content.items()}
        else:
            made[id(content)] = type(content)(_with_arrays(value, made) for value in content)
    return made[id(content)]


def load_array_pickle(path: str | Path) -> Any:
    """The content of a pickle made of arrays, scalars, text and plain containers.

    Raises ForbiddenPickleError, naming what was asked for, before anything foreign is called;
    InputError for a missing, truncated or damaged file, or one that claims more than it holds.
    """
    path = Path(path)
    refuse_lfs_pointer(path)
    try:
        with path.open("rb") as stream:
            scan(stream)
            return _with_arrays(_ArrayUnpickler(stream, path).load(), {})
    except ForbiddenPickleError as error:
        raise ForbiddenPickleError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except _DAMAGED as error:
        what = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable pickle ({what}); copy it again") from None
