"""Loader of GalaxyPPG: 24 people, seated tasks under stress, typing, walking, jogging, running; Galaxy Watch 5, 25 Hz.

KAIST ICLab, Scientific Data, 2025. P01 to P24, each with GalaxyWatch/, PolarH10/ and Event.csv. Heart rate from the
chest strap's ECG, or from its own heart rate where there is no ECG; the watch's HR.csv and the E4's are estimates.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.files.beats import STEP_S, WINDOW_S, heart_rates_of_ecg
from nas.data.files.matlab import visible_files
from nas.data.loader import Loader
from nas.data.own.labels import Labels
from nas.data.own.own_recording import OwnFile, recordings_of
from nas.data.own.tables import Table, open_lines
from nas.data.own.timeline import Series, regular
from nas.data.recording import Recording

WATCH, STRAP = "GalaxyWatch", "PolarH10"
ACC_COUNTS_PER_G = 4096
"""Samsung Health Sensor SDK: m/s^2 = 9.81 / (16383.75 / 4) * counts."""
_AHEAD_S = 9 * 3600.0
"""The strap's times are those of the phone in Korea, UTC+9; the watch's and the events' are UTC."""
_LIGHT = "PPG.csv"
_PERSON = re.compile(r"P\d+", re.IGNORECASE)


def find_galaxy_ppg(path: Path) -> list[Path]:
    """PPG.csv of each participant's watch under a folder; or that which a file of the watch belongs to."""
    if path.is_file():
        beside = path.with_name(_LIGHT)
        return [beside] if beside.exists() and _person(beside) else []
    return [file for file in visible_files(path, ".csv") if file.name.lower() == _LIGHT.lower() and _person(file)]


def find_galaxy_ppg_parts(path: Path) -> list[Path]:
    """What else is read of those participants."""
    return [part for file in find_galaxy_ppg(path) for part in _parts(file).values() if part.exists()]


def galaxy_ppg_claims(path: Path) -> list[Path]:
    """All that lies in those participants' folders, and Meta.csv beside these."""
    folders = {file.parents[1] for file in find_galaxy_ppg(path)}
    tables = [table for folder in folders for table in visible_files(folder, ".csv")]
    return tables + [folder.with_name("Meta.csv") for folder in folders]


def load_galaxy_ppg(path: str | Path, with_labels: bool = True) -> list[Recording]:
    """Every participant under a path. Raises InputError naming the file, the row or column, and the remedy."""
    return [one for file in find_galaxy_ppg(Path(path)) for one in recordings_of(_read(file, with_labels))]


def _person(light: Path) -> str:
    """P02 of P02/GalaxyWatch/PPG.csv; "" for another file."""
    whole = light.absolute()
    is_watch = whole.parent.name.lower() == WATCH.lower() and _PERSON.fullmatch(whole.parents[1].name)
    return whole.parents[1].name.upper() if is_watch else ""


def _parts(light: Path) -> dict[str, Path]:
    folder = light.parents[1]
    return {
        "acc": light.with_name("ACC.csv"),
        "ecg": folder / STRAP / "ECG.csv",
        "hr": folder / STRAP / "HR.csv",
        "events": folder / "Event.csv",
    }


def _columns(path: Path, time: str, *names: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (n,) in seconds and the named columns (names, n); rows without a time are left out."""
    table = Table(open_lines(path), str(path))
    for name in (time, *names):
        if name not in table.head.names:
            raise InputError(f"{path}: column {name!r} is missing; is this file GalaxyPPG's?")
    values, _, _ = table.read([time, *names])
    kept = np.isfinite(values[time])
    return values[time][kept] / 1000.0, np.stack([values[name][kept] for name in names])


def _read(path: Path, with_labels: bool) -> OwnFile:
    parts = _parts(path)
    times, light = _columns(path, "timestamp", "ppg")
    if not times.size:
        raise InputError(f"{path}: no samples; copy it again")
    acc, acc_unit = None, ""
    if parts["acc"].exists():
        acc_times, counts = _columns(parts["acc"], "timestamp", "x", "y", "z")
        acc = Series(acc_times, counts.astype(np.float32))
        if np.nanmedian(np.linalg.norm(counts, axis=0)) > ACC_COUNTS_PER_G / 2:
            acc_unit = f"1/{ACC_COUNTS_PER_G} g"
    return OwnFile(
        path=path,
        ppg=Series(times, light.astype(np.float32)),
        acc=acc,
        acc_unit=acc_unit,
        labels=_labels(path, float(times[0])) if with_labels else None,
        label_window_s=WINDOW_S,
        name=f"{_person(path)} {WATCH}",
        subject=_person(path),
        source="galaxy_ppg",
    )


def _labels(path: Path, start_s: float) -> Labels:
    parts = _parts(path)
    if parts["ecg"].exists():
        labels = _of_ecg(parts["ecg"], start_s)
    elif parts["hr"].exists():
        labels = _of_strap(parts["hr"], start_s)
    else:
        raise InputError(f"{path}: no {STRAP}/ECG.csv, nor HR.csv, beside {WATCH}; the heart rate comes from there")
    activity = _activities(parts["events"], labels.times_s) if parts["events"].exists() else None
    return Labels(labels.times_s, labels.heart_rate_bpm, activity=activity)


def _on_the_watchs_clock(times: NDArray[np.float64], start_s: float) -> NDArray[np.float64]:
    return times - _AHEAD_S if times.size and times[0] - start_s > _AHEAD_S / 2 else times


def _of_ecg(path: Path, start_s: float) -> Labels:
    times, ecg = _columns(path, "phoneTimestamp", "ecg")
    even = regular(Series(_on_the_watchs_clock(times, start_s), ecg.astype(np.float32)), f"{path}: the ECG")
    found = []
    for begin, end in even.spans:
        labels = heart_rates_of_ecg(even.cut((begin, end))[0], even.rate_hz, str(path))
        found.append(Labels(labels.times_s + begin, labels.heart_rate_bpm))
    rates = [labels.heart_rate_bpm for labels in found if labels.heart_rate_bpm is not None]
    return Labels(np.concatenate([labels.times_s for labels in found]), np.concatenate(rates))


def _of_strap(path: Path, start_s: float) -> Labels:
    """Means of what the strap says once a second, over windows of which it speaks at least every 2 s."""
    times, (bpm,) = _columns(path, "phoneTimestamp", "hr")
    known = np.isfinite(bpm) & (bpm > 0)
    times, bpm = _on_the_watchs_clock(times, start_s)[known], bpm[known]
    order = np.argsort(times, kind="stable")
    times, bpm = times[order], bpm[order]
    least = round(WINDOW_S / STEP_S)
    # Windows begin where something was said: damaged times may be far apart.
    starts = np.unique((times - times[:1]) // STEP_S) * STEP_S + times[:1]
    starts = starts[starts + WINDOW_S <= times[-1:] + STEP_S / 2]
    first, last = np.searchsorted(times, starts), np.searchsorted(times, starts + WINDOW_S)
    means = [bpm[a:b].mean() if b - a >= least else np.nan for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    rates = np.array(means, np.float64)
    return Labels(starts + WINDOW_S / 2, rates).chosen(np.isfinite(rates))


def _activities(path: Path, times_s: NDArray[np.float64]) -> NDArray[np.str_]:
    """The session at each of those times, "" between sessions."""
    table = Table(open_lines(path), str(path))
    for name in ("timestamp", "session", "status"):
        if name not in table.head.names:
            raise InputError(f"{path}: column {name!r} is missing; is this file GalaxyPPG's?")
    values, words, _ = table.read(["timestamp"], ["session", "status"])
    activity = np.full(times_s.size, "", dtype="<U64")
    entered: dict[str, float] = {}
    rows = zip(values["timestamp"].tolist(), words["session"], words["status"], strict=True)
    for time, session, status in sorted(row for row in rows if np.isfinite(row[0])):
        if status.upper() == "ENTER":
            entered[session] = time / 1000.0
        elif session in entered:
            activity[(times_s >= entered.pop(session)) & (times_s < time / 1000.0)] = session
    return activity


LOADER = Loader(
    find_galaxy_ppg, load_galaxy_ppg, find_galaxy_ppg_parts, claims=galaxy_ppg_claims, reference="ECG", is_set=True
)
