"""Reading variables out of MATLAB files, with errors that a user can act on.

Used by the loaders of IEEE SPC, BAMI and the Liu set.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError


def read_variables(path: Path, *names: str) -> list[NDArray]:
    """The named numeric variables of a MATLAB file (version 7.2 or older), in the order asked for.

    Raises InputError if the file is missing, unreadable, of version 7.3, or lacks a variable.
    """
    refuse_lfs_pointer(path)
    try:
        content = loadmat(path, variable_names=list(names))
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
    arrays = []
    for name in names:
        if name not in content:
            raise InputError(f"{path}: variable {name!r} is missing; is this file of the expected set?")
        array = np.asarray(content[name])
        if array.dtype.kind not in "iuf" or array.size == 0:
            raise InputError(f"{path}: variable {name!r} holds no numbers; is this file of the expected set?")
        arrays.append(array)
    return arrays


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
