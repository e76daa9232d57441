"""Reading variables out of MATLAB files, with errors that a user can act on.

Used by the loaders of IEEE SPC, BAMI, WildPPG and the Liu set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError


def read_variables(path: Path, *names: str) -> list[NDArray]:
    """The named numeric variables of a MATLAB file (version 7.2 or older), in the order asked for.

    Raises InputError if the file is missing, unreadable, of version 7.3, or lacks a variable.
    """
    content = _content(path, names)
    return [_numbers(path, name, content.get(name)) for name in names]


def read_structures(path: Path, *names: str) -> list[dict[str, Any]]:
    """The named structures of a MATLAB file, fields by name, nested ones too; raises what `read_variables` does."""
    content = _content(path, names, simplify_cells=True)
    for name in names:
        if not isinstance(content.get(name), dict):
            raise InputError(f"{path}: structure {name!r} is missing; is this file of the expected set?")
    return [content[name] for name in names]


def numbers_of(path: Path, structure: Mapping[str, Any], *fields: str) -> NDArray:
    """The numeric field of a structure that is reached by those names, one within the other."""
    found: Any = structure
    for field in fields:
        found = found.get(field) if isinstance(found, Mapping) else None
    return _numbers(path, ".".join(fields), found)


def _content(path: Path, names: Sequence[str], **options: Any) -> Mapping[str, Any]:
    refuse_lfs_pointer(path)
    try:
        content: Mapping[str, Any] = loadmat(path, variable_names=list(names), **options)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except NotImplementedError:
        raise InputError(f"{path}: MATLAB 7.3 (HDF5) file; save it again with -v7") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or 'damaged'}); copy it again") from None
    except Exception as error:
        # A damaged file makes scipy raise nearly anything, zlib and struct errors included.
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable MATLAB file ({what}); copy it again") from None
    return content


def _numbers(path: Path, name: str, value: Any) -> NDArray:
    if value is None:
        raise InputError(f"{path}: variable {name!r} is missing; is this file of the expected set?")
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise InputError(f"{path}: variable {name!r} holds no numbers; is this file of the expected set?")
    return array


def visible_files(folder: Path, suffix: str) -> list[Path]:
    """All files under folder with that suffix (any case), sorted; the `._` junk of macOS left out."""
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; check the path")
    if folder.is_file():
        return [folder] if folder.suffix.lower() == suffix else []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    )
