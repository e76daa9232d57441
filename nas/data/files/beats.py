"""Heart rates from beats: annotated ones as PhysioNet writes them, or R waves of an ECG, found by the library wfdb.

Used by the loaders of sets whose reference is beats or an ECG, and no heart rate.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from hwmodels.basics.documents import UndecodableError, refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from hwmodels.signals.filters import rate_ratio
from nas.data.own.labels import HIGHEST_BPM, LOWEST_BPM, Labels
from nas.data.own.tables import open_lines

WINDOW_S = 8.0
STEP_S = 2.0
LEAST_BEATS = 4
LONGEST_GAP_S = 2.0
MOST_UNEVEN = 0.3
"""How far an interval between R waves that a detector found may be from its window's median. Without this bound a fifth
of the windows of Wrist PPG During Exercise are off by more than 5 BPM against its annotations, with it 2.8 %; 72 % of
the windows of that set and 97 % of those of IEEE SPC are kept, with mean errors of 0.36 and 0.27 BPM."""
ECG_HZ = 250.0
"""The rate of the recordings on which the detector was made; at half of it, it misses beats."""
_BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")
"""Codes of beats among WFDB annotations: https://archive.physionet.org/physiobank/annotations.shtml"""
_LEAST_ECG_S = 10.0


def heart_rates(beats_s: NDArray[np.float64], duration_s: float, most_uneven: float = np.inf) -> Labels:
    """Heart rates over the beats inside each window of 8 s, one each 2 s, where beats allow one.

    beats_s: (n,) times from the recording's start, ascending. A window is labelled that holds at least LEAST_BEATS
    beats, between them no gap of more than LONGEST_GAP_S, and whose intervals are all within most_uneven (relative) of
    their median. The label is (beats - 1) / (last beat - first beat).
    """
    starts = np.arange(0.0, duration_s - WINDOW_S + 1e-9, STEP_S)
    first = np.searchsorted(beats_s, starts)
    last = np.searchsorted(beats_s, starts + WINDOW_S)
    times, rates = [], []
    for start, begin, end in zip(starts.tolist(), first.tolist(), last.tolist(), strict=True):
        inside = beats_s[begin:end]
        intervals = np.diff(inside)
        if inside.size < LEAST_BEATS or intervals.max() > LONGEST_GAP_S:
            continue
        usual = np.median(intervals)
        rate = 60.0 * intervals.size / (inside[-1] - inside[0])
        if np.abs(intervals - usual).max() <= most_uneven * usual and LOWEST_BPM <= rate <= HIGHEST_BPM:
            times.append(start + WINDOW_S / 2)
            rates.append(rate)
    return Labels(np.array(times, np.float64), np.array(rates, np.float64))


def heart_rates_of_ecg(ecg: NDArray[np.floating], rate_hz: float, origin: str) -> Labels:
    """Heart rates from an ECG (n,) of any unit, windows with uneven intervals left out; `origin` names it in errors.

    Raises InputError where wfdb, whose XQRS finds the R waves, is not installed, and for an ECG that is none.
    """
    duration_s = ecg.size / rate_hz
    if not np.isfinite(ecg).all() or np.ptp(ecg) == 0:
        raise InputError(f"{origin}: the ECG is constant or not finite; leave this file out, or read it without labels")
    if duration_s < _LEAST_ECG_S:
        return Labels(np.empty(0), np.empty(0))
    processing = _wfdb(origin, "wfdb.processing")
    ratio = rate_ratio(rate_hz, ECG_HZ)
    even = resample_poly(np.asarray(ecg, np.float64) - np.median(ecg), ratio.numerator, ratio.denominator)
    detector = processing.XQRS(sig=even, fs=ECG_HZ)
    detector.detect(verbose=False)
    return heart_rates(np.asarray(detector.qrs_inds, np.float64) / ECG_HZ, duration_s, MOST_UNEVEN)


def read_beats(path: Path, rate_hz: float) -> NDArray[np.float64]:
    """Times (n,) in seconds of the beats of an annotation file (.atr), or of what `rdann` lists of one (.txt).

    rate_hz: the rate in which the file counts samples. Raises InputError naming the file, the row and the remedy.
    """
    refuse_lfs_pointer(path)
    samples = _listed(path) if path.suffix.lower() == ".txt" else _annotated(path)
    if samples.size == 0:
        raise InputError(f"{path}: holds no beats; copy it again, or leave its recording out")
    if (np.diff(samples) < 0).any():
        raise InputError(f"{path}: beats do not follow each other in time; copy it again")
    return samples / rate_hz


def _listed(path: Path) -> NDArray[np.float64]:
    """Samples of beats among rows of time, sample, type and more; a header and notes stand between them."""
    samples = []
    for number, line in enumerate(open_lines(path), start=1):
        fields = line.split()
        if len(fields) < 3 or fields[0] == "Time" or fields[2] not in _BEATS:
            continue
        if not fields[1].isascii() or not fields[1].isdigit() or len(fields[1]) > 12:
            raise UndecodableError(f"{path}: row {number} ({line.strip()[:40]!r}) names no sample; list it again")
        samples.append(int(fields[1]))
    return np.array(samples, np.float64)


def _annotated(path: Path) -> NDArray[np.float64]:
    wfdb = _wfdb(str(path))
    try:
        found = wfdb.rdann(str(path.with_suffix("").absolute()), path.suffix.removeprefix("."))
        return np.array([at for at, kind in zip(found.sample, found.symbol, strict=True) if kind in _BEATS], np.float64)
    except Exception as error:
        # A damaged file makes the library raise nearly any class.
        what = " ".join(str(error).split())[:150] or type(error).__name__
        raise UndecodableError(f"{path}: not a readable annotation file ({what}); copy it again") from None


def _wfdb(origin: str, module: str = "wfdb") -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"{origin}: beats are read by the package wfdb, which is not installed; install it: pip install wfdb "
            "(or 'ppg-nas[formats]')"
        ) from None
