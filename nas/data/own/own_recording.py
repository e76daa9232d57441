"""What a person's own file holds -> recordings: one for each unbroken stretch, with the labels that lie in it.

The readers of CSV, NPZ, Empatica, WFDB and EDF fill an OwnFile; here all of them are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.signals.filters import exact_ratio
from nas.data.own.acceleration_unit import in_g
from nas.data.own.labels import Labels, Span, usable_labels, within
from nas.data.own.timeline import GAP_S, Regular, Series, common_spans, regular
from nas.data.recording import Recording, trusted_labels

_NETWORK_HZ = 32.0
_SAID_FROM_S = 1.0


@dataclass(frozen=True, eq=False)
class OwnFile:
    """Signals and labels of one file, on its own clock. acc in `acc_unit` ("" to recognize it).

    name, subject: by default the file's. source: the kind of file, before the subject's name.

    has_clock: whether PPG and acceleration carry times of one clock, by which they are cut to what they share.
    segment_s: as in Recording. notes: what the reader has to say.
    """

    path: Path
    ppg: Series
    acc: Series | None = None
    acc_unit: str = ""
    labels: Labels | None = None
    label_window_s: float = 8.0
    name: str = ""
    subject: str = ""
    source: str = "own"
    has_clock: bool = True
    segment_s: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not 0 < self.label_window_s < 3600:
            raise InputError(f"{self.path}: label_window_s is {self.label_window_s:g}; give seconds, above 0")


def recordings_of(file: OwnFile, rhythm_classes: tuple[str, ...] = ()) -> list[Recording]:
    """The recordings of a file. Raises InputError naming it, what does not fit, and the remedy."""
    try:
        return _recordings(file, rhythm_classes)
    except InputError as error:
        known = str(error)
        if str(file.path) not in known:
            known = f"{file.path}: {known.removeprefix(f'{file.name or file.path.name}: ')}"
        raise InputError(known) from None


def _recordings(file: OwnFile, rhythm_classes: tuple[str, ...]) -> list[Recording]:
    ppg, notes = _light(file)
    acc, acc_notes = _acceleration(file, ppg)
    notes += (*acc_notes, *_of_rates(ppg, acc))
    spans, of_spans = _spans(file, ppg, acc)
    notes += of_spans
    labels = None
    if file.labels is not None:
        labels, of_labels = usable_labels(file.labels, _labelled_spans(spans, acc), file.label_window_s)
        notes += of_labels
    made = []
    for span in spans:
        name = file.name or file.path.name
        if len(spans) > 1:
            name = f"{name}@{span[0] - ppg.times_s[0]:.0f}s"
        signals = ppg.cut(span)
        if len(spans) > 1 and (np.ptp(signals, axis=1) == 0).any():
            notes += (f"{name} is left out: its PPG does not change",)
            continue
        motion = None if acc is None else acc.cut(acc.spans[0] if _is_whole(file, ppg, acc) else span)
        still = motion is not None and (np.ptp(motion, axis=1) == 0).all()
        bare = Recording(
            name=name,
            source=file.source,
            subject=f"{file.source}/{file.subject or file.path.stem}",
            ppg=signals,
            ppg_hz=ppg.rate_hz,
            acc=None if still else motion,
            acc_hz=0.0 if acc is None else acc.rate_hz,
            label_window_s=file.label_window_s,
            segment_s=file.segment_s,
        )
        made.append(_labelled(bare, labels, span, rhythm_classes))
    if not made:
        raise InputError("ppg does not change in any stretch; check the sensor")
    return [replace(made[0], notes=(*notes, *made[0].notes)), *made[1:]]


def _light(file: OwnFile) -> tuple[Regular, tuple[str, ...]]:
    ppg = regular(file.ppg, "PPG")
    dead = np.ptp(ppg.values, axis=1) == 0
    if not dead.any() or dead.all():
        return ppg, (*file.notes, *ppg.notes)
    which = ", ".join(str(channel + 1) for channel in np.flatnonzero(dead))
    note = f"PPG channel {which} does not change: left out"
    return replace(ppg, values=ppg.values[~dead]), (*file.notes, *ppg.notes, note)


def _acceleration(file: OwnFile, ppg: Regular) -> tuple[Regular | None, tuple[str, ...]]:
    """The accelerometer in g, or None where there is none, or nothing but one value in it."""
    if file.acc is None:
        return None, ()
    known = file.acc.values[:, np.isfinite(file.acc.values).all(axis=0)]
    if known.shape[1] == 0 or (np.ptp(known, axis=1) == 0).all():
        return None, ("the accelerometer does not change: left out, as if none had been worn",)
    values, note = in_g(file.acc.values.astype(np.float64), file.acc_unit)
    acc = regular(Series(file.acc.times_s, values.astype(np.float32), file.acc.rate_hz), "acceleration")
    # What is said of the PPG's stamps holds for the same ones again.
    is_said = np.array_equal(acc.times_s, ppg.times_s)
    return acc, tuple(filter(None, (note, *(() if is_said else acc.notes))))


def _of_rates(ppg: Regular, acc: Regular | None) -> tuple[str, ...]:
    rates = {"PPG": ppg.rate_hz} | ({} if acc is None else {"acceleration": acc.rate_hz})
    return tuple(
        f"{what} at {rate_hz:g} Hz has no exact ratio to the rates of networks: converted by the nearest, less than "
        "0.1 % off"
        for what, rate_hz in rates.items()
        if not exact_ratio(rate_hz, _NETWORK_HZ)
    )


def _is_whole(file: OwnFile, ppg: Regular, acc: Regular) -> bool:
    """Whether the accelerometer, without times of its own, is taken as it is: Recording judges its length."""
    return not file.has_clock and len(ppg.spans) == len(acc.spans) == 1


def _spans(file: OwnFile, ppg: Regular, acc: Regular | None) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """The stretches that become recordings, and what is to be said of the rest."""
    if acc is None or _is_whole(file, ppg, acc):
        return _long_enough(ppg.spans, file.label_window_s)
    spans = common_spans(ppg.spans, acc.spans)
    lost_s = sum(end - start for start, end in ppg.spans) - sum(end - start for start, end in spans)
    if not spans:
        raise InputError("PPG and acceleration have no time in common; give both times of one clock")
    kept, notes = _long_enough(spans, file.label_window_s)
    if lost_s > _SAID_FROM_S:
        notes = (f"{lost_s:.3g} s of PPG without acceleration left out", *notes)
    return kept, notes


def _labelled_spans(spans: tuple[Span, ...], acc: Regular | None) -> tuple[Span, ...]:
    """The same, none of which goes on after the acceleration's end."""
    end = np.inf if acc is None else acc.spans[-1][1]
    return tuple((span[0], min(span[1], end)) for span in spans)


def _long_enough(spans: tuple[Span, ...], window_s: float) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """Of several stretches those that hold a window; a single one as it is."""
    if len(spans) == 1:
        return spans, ()
    kept = tuple(span for span in spans if span[1] - span[0] >= window_s)
    if not kept:
        raise InputError(
            f"no stretch between gaps of more than {GAP_S:g} s lasts for a window of {window_s:g} s; record it again"
        )
    short = [end - start for start, end in spans if end - start < window_s]
    noun = "stretch" if len(short) == 1 else "stretches"
    note = f"{len(short)} {noun} shorter than a window of {window_s:g} s left out, {sum(short):.3g} s in all"
    return kept, (note,) if short else ()


def _labelled(bare: Recording, labels: Labels | None, span: Span, classes: tuple[str, ...]) -> Recording:
    if labels is None:
        return bare
    here = labels.chosen(within(labels.times_s, span, bare.label_window_s))
    if not here.times_s.size:
        return bare
    bpm, rhythm = here.heart_rate_bpm, None
    if here.rhythm is not None:
        unknown = sorted(set(here.rhythm.tolist()) - set(classes))
        if unknown:
            raise InputError(f"rhythm {unknown[0][:40]!r} is none of {', '.join(classes)}")
        rhythm = np.array([classes.index(name) for name in here.rhythm.tolist()], dtype=np.int64)
    return replace(
        bare,
        label_times_s=here.times_s - span[0],
        heart_rate_bpm=bpm,
        rhythm=rhythm,
        rhythm_classes=classes if rhythm is not None else (),
        activity=here.activity,
        trusted=trusted_labels(bpm) if bpm is not None else None,
    )
