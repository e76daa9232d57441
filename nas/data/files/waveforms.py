"""WFDB records (.hea, .dat) and EDF or BDF files, read by the libraries wfdb and edfio where these are installed.

Signals are known by their names, acceleration also by its unit; labels may lie in NAME.labels.csv beside.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.documents import UndecodableError, refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from nas.data.files.matlab import visible_files
from nas.data.own.acceleration_unit import counts_per_g
from nas.data.own.columns import Columns, sort_columns, unused_note
from nas.data.own.csv_recording import labels_beside, read_labels
from nas.data.own.own_recording import OwnFile, recordings_of
from nas.data.own.tables import MOST_BYTES, MOST_VALUES
from nas.data.own.timeline import Series
from nas.data.recording import Recording

_MOST_SHOWN = 150
_EDF_SUFFIXES = (".edf", ".bdf")
_PLAIN_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Signal:
    """One signal of a file: its name, unit, rate, length, and how to read its samples (n,)."""

    name: str
    unit: str
    rate_hz: float
    samples: int
    read: Callable[[], NDArray[Any]]


def find_wfdb(path: Path) -> list[Path]:
    """The header files of WFDB records under a folder; or that of the record which the file belongs to."""
    if path.is_file() and path.suffix.lower() == ".dat" and path.with_suffix(".hea").exists():
        return [path.with_suffix(".hea")]
    return visible_files(path, ".hea")


def find_edf(path: Path) -> list[Path]:
    """The EDF and BDF files under a folder, or the file itself."""
    return sorted(file for suffix in _EDF_SUFFIXES for file in visible_files(path, suffix))


def find_wfdb_parts(path: Path) -> list[Path]:
    """The signal files and labels of those records."""
    parts = [part for file in find_wfdb(path) for part in (file.with_suffix(".dat"), labels_beside(file))]
    return [part for part in parts if part.exists()]


def find_edf_labels(path: Path) -> list[Path]:
    """The label files beside those files."""
    return [labels for file in find_edf(path) if (labels := labels_beside(file)).exists()]


def load_wfdb(path: Path, with_labels: bool = True) -> list[Recording]:
    """Every WFDB record under a path. Raises InputError naming the file and the remedy."""
    return [one for file in find_wfdb(Path(path)) for one in _load(file, with_labels)]


def load_edf(path: Path, with_labels: bool = True) -> list[Recording]:
    """Every EDF or BDF file under a path. Raises InputError naming the file and the remedy."""
    return [one for file in find_edf(Path(path)) for one in _load(file, with_labels)]


def _load(path: Path, with_labels: bool) -> list[Recording]:
    file = read_waveforms(path)
    labels = labels_beside(path)
    if with_labels and labels.exists():
        file = replace(file, labels=read_labels(labels))
    return recordings_of(file)


def read_waveforms(path: Path) -> OwnFile:
    """The light and the acceleration of one WFDB header's record, EDF or BDF file, without labels.

    Raises InputError naming the file and the remedy, also where the library that reads it is not installed.
    """
    refuse_lfs_pointer(path)
    kind, package, signals_of = _READERS[path.suffix.lower()]
    try:
        library = importlib.import_module(package)
    except ImportError:
        raise InputError(
            f"{path}: {kind.upper()} files are read by the package {package}, which is not installed; install it: "
            f"pip install {package} (or 'ppg-nas[formats]')"
        ) from None
    try:
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always")
            file = _own_file(path, kind, signals_of(library, path))
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:
        # A damaged file makes these libraries raise nearly any class.
        what = " ".join(str(error).split())[:_MOST_SHOWN] or type(error).__name__
        raise UndecodableError(f"{path}: not a readable {kind.upper()} file ({what}); copy it again") from None
    said = (" ".join(str(remark.message).split())[:_MOST_SHOWN] for remark in remarks)
    return replace(file, notes=(*file.notes, *dict.fromkeys(said)))


def _wfdb_signals(wfdb: Any, path: Path) -> list[Signal]:
    record = str(path.with_suffix("").absolute())
    header = wfdb.rdheader(record)
    files = getattr(header, "file_name", None)
    if not files or not header.sig_name:
        raise InputError("holds no signals of its own; give the headers of its segments")
    if any(not _PLAIN_FILE.fullmatch(name) for name in files):
        raise InputError("names signal files in other places; put them beside the header")
    if sum((path.parent / name).stat().st_size for name in set(files) if (path.parent / name).exists()) > MOST_BYTES:
        raise InputError(f"its signal files hold more than {MOST_BYTES:,} bytes; split the record")

    def signal(channel: int) -> Signal:
        per_frame = header.samps_per_frame[channel]

        def read() -> NDArray[Any]:
            part = wfdb.rdrecord(record, channels=[channel], smooth_frames=False)
            values: NDArray[Any] = part.e_p_signal[0]
            return values

        rate_hz, samples = header.fs * per_frame, (header.sig_len or 0) * per_frame
        return Signal(header.sig_name[channel], header.units[channel] or "", rate_hz, samples, read)

    return [signal(channel) for channel in range(len(header.sig_name))]


def _edf_signals(edfio: Any, path: Path) -> list[Signal]:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"holds more than {MOST_BYTES:,} bytes; split it")
    read = edfio.read_bdf if path.suffix.lower() == ".bdf" else edfio.read_edf

    def signal(held: Any) -> Signal:
        samples = round(held.sampling_frequency * content.duration)
        return Signal(held.label, held.physical_dimension, held.sampling_frequency, samples, lambda: held.data)

    content = read(path)
    return [signal(held) for held in content.signals]


_READERS: Mapping[str, tuple[str, str, Callable[[Any, Path], list[Signal]]]] = {
    ".hea": ("wfdb", "wfdb", _wfdb_signals),
    **dict.fromkeys(_EDF_SUFFIXES, ("edf", "edfio", _edf_signals)),
}
"""By suffix: the kind, the package that reads it, and how its signals are had from there."""


def _own_file(path: Path, kind: str, signals: Sequence[Signal]) -> OwnFile:
    named = _distinct(signals)
    columns = sort_columns(list(named), {name: one.unit for name, one in named.items()})
    acc = columns.acc or _by_unit(named)
    if not columns.ppg:
        raise InputError(f"none of its signals is light by its name ({', '.join(named)[:200]}); name one of them ppg")
    unused = [name for name in named if name not in (*columns.ppg, *acc)]
    return OwnFile(
        path=path,
        ppg=_series(columns.ppg, named),
        acc=_series(acc, named) if acc else None,
        acc_unit=_unit(acc, columns, named),
        source=kind,
        notes=(unused_note(unused).replace("column", "signal"),) if unused else (),
    )


def _distinct(signals: Sequence[Signal]) -> dict[str, Signal]:
    """Signals by name; those of a name that stands there already are numbered."""
    named: dict[str, Signal] = {}
    for one in signals:
        name, number = one.name, 1
        while name in named:
            number += 1
            name = f"{one.name}#{number}"
        named[name] = one
    return named


def _by_unit(named: dict[str, Signal]) -> tuple[str, ...]:
    """Three signals of one stem in a unit of acceleration: formats with short names cut the axis off."""
    groups: dict[str, list[str]] = {}
    for name, one in named.items():
        if counts_per_g(one.unit) is not None:
            groups.setdefault(re.sub(r"[_\W]*[xyzXYZ123]?$", "", one.name), []).append(name)
    return next((tuple(names) for names in groups.values() if len(names) == 3), ())


def _unit(acc: tuple[str, ...], columns: Columns, named: dict[str, Signal]) -> str:
    if not acc or columns.acc_unit:
        return columns.acc_unit if acc else ""
    unit = named[acc[0]].unit
    return unit if counts_per_g(unit) is not None else ""


def _series(names: Sequence[str], named: dict[str, Signal]) -> Series:
    chosen = [named[name] for name in names]
    rates = {one.rate_hz for one in chosen}
    if len(rates) > 1:
        raise InputError(f"signals {', '.join(names)} differ in rate; keep those of one rate")
    if sum(one.samples for one in chosen) > MOST_VALUES:
        raise InputError(f"signals {', '.join(names)} hold more than {MOST_VALUES:,} samples; split the record")
    return Series.at_rate(np.stack([one.read() for one in chosen]), chosen[0].rate_hz)
