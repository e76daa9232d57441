"""WindowSet: labelled windows at each network rate, cut from recordings; training and evaluation read it.

After preprocess, before folds and networks. A window may carry a margin for time-stretch augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.arrays import read_npz
from hwmodels.basics.atomic_files import replace_file
from hwmodels.basics.errors import InputError
from hwmodels.network.preparation import normalized_windows
from nas.data.preprocess import BAND_HZ, acceleration_at, pulse_at
from nas.data.recording import Recording
from supernet.windows.step_numbers import step_numbers

_SMALLEST_DEVIATION = 1e-8
_PER_WINDOW = (
    "has_acc",
    "heart_rate_bpm",
    "rhythm",
    "subject",
    "source",
    "activity",
    "start_s",
    "recording",
    "trusted",
)


@dataclass(frozen=True, eq=False)
class WindowSet:
    """n windows of one length at one or more rates.

    inputs: rate in Hz -> float32 (n, 4, samples), samples = (window_s + 2 margin_s) * rate. Channel 0 is the
    band-passed PPG, its sensor channels each standardized over the window and averaged; 1 to 3 are the
    accelerometer in g (zeros where has_acc is False). heart_rate_bpm: (n,) float32, NaN where unknown;
    rhythm: (n,) class index named by rhythm_classes, -1 where unknown. subject, source, activity: (n,) names
    ("" for an unknown activity). start_s: (n,) start of the window proper within its recording.
    recording: (n,) index into recording_names. trusted: (n,) False where the label is a glitch.
    """

    inputs: Mapping[int, NDArray[np.float32]]
    window_s: float
    margin_s: float
    has_acc: NDArray[np.bool_]
    heart_rate_bpm: NDArray[np.float32]
    rhythm: NDArray[np.int64]
    subject: NDArray[np.str_]
    source: NDArray[np.str_]
    activity: NDArray[np.str_]
    start_s: NDArray[np.float64]
    recording: NDArray[np.int64]
    trusted: NDArray[np.bool_]
    recording_names: tuple[str, ...]
    rhythm_classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.subject.size)

    @property
    def rates(self) -> tuple[int, ...]:
        """The rates in Hz at which the windows are held, ascending."""
        return tuple(sorted(self.inputs))

    @property
    def label_kind(self) -> str:
        """ "heart_rate", "rhythm" or "none"; raises InputError if windows of both kinds are mixed."""
        beats, rhythms = np.isfinite(self.heart_rate_bpm).any(), (self.rhythm >= 0).any()
        if beats and rhythms:
            raise InputError("windows: heart-rate and rhythm labels are mixed; train one kind at a time")
        return "heart_rate" if beats else "rhythm" if rhythms else "none"

    @property
    def steps(self) -> NDArray[np.int64]:
        """A number for each window, one more for the next of its recording (supernet/windows/steps.py)."""
        return step_numbers(self.recording, self.start_s)

    def centre(self, rate_hz: int) -> NDArray[np.float32]:
        """The windows proper, margins cut off: (n, 4, window_s * rate_hz)."""
        if rate_hz not in self.inputs:
            raise InputError(f"windows: no rate {rate_hz} Hz, held are {self.rates}; make them with that rate")
        margin = round(self.margin_s * rate_hz)
        return self.inputs[rate_hz][:, :, margin : margin + round(self.window_s * rate_hz)]

    def normalized(self, rate_hz: int) -> NDArray[np.float32]:
        """The network's input (n, 4, window_s * rate_hz), as the exported C code makes it of the windows."""
        held = self.centre(rate_hz)
        return normalized_windows(held[:, 0], held[:, 1:].transpose(0, 2, 1), rate_hz).transpose(0, 2, 1)

    def motion(self, rate_hz: int) -> NDArray[np.float32]:
        """Acceleration in g less each axis's mean over the window: (n, 3, window_s * rate_hz)."""
        axes = self.centre(rate_hz)[:, 1:]
        return axes - axes.mean(axis=2, keepdims=True)

    def subset(self, chosen: NDArray) -> WindowSet:
        """The windows that a boolean mask or an index array chooses."""
        kept = {name: getattr(self, name)[chosen] for name in _PER_WINDOW}
        return replace(self, inputs={rate: held[chosen] for rate, held in self.inputs.items()}, **kept)

    def of_subjects(self, subjects: Sequence[str]) -> WindowSet:
        """The windows of those subjects."""
        return self.subset(np.isin(self.subject, list(subjects)))

    def save(self, path: str | Path) -> None:
        """Writes one uncompressed NPZ without pickles; the file appears whole or not at all."""
        content: dict[str, NDArray] = {f"inputs_{rate}": held for rate, held in self.inputs.items()}
        content |= {name: getattr(self, name) for name in _PER_WINDOW}
        content |= {
            "window_s": np.array(self.window_s),
            "margin_s": np.array(self.margin_s),
            "recording_names": np.array(self.recording_names, dtype=np.str_),
            "rhythm_classes": np.array(self.rhythm_classes, dtype=np.str_),
        }

        def write(temporary: Path) -> None:
            with temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **content)

        replace_file(Path(path), write)

    @classmethod
    def load(cls, path: str | Path) -> WindowSet:
        """Reads what `save` wrote; raises InputError for a missing, truncated or foreign file."""
        try:
            content: dict[str, Any] = dict(read_npz(path))
            rates = {int(name[7:]): content.pop(name) for name in list(content) if name.startswith("inputs_")}
            content["recording_names"] = tuple(content["recording_names"].tolist())
            content["rhythm_classes"] = tuple(content["rhythm_classes"].tolist())
            content |= {name: float(content[name]) for name in ("window_s", "margin_s")}
            expected = {field.name for field in fields(cls)} - {"inputs"}
            return cls(inputs=rates, **{name: content[name] for name in expected})
        except (InputError, ValueError, TypeError, LookupError, AttributeError):
            if not Path(path).exists():
                raise InputError(f"{path}: no such file; check the path") from None
            raise InputError(f"{path}: not a readable window file; delete it and run again") from None


def make_windows(
    recordings: Sequence[Recording],
    *,
    rates: Sequence[int] = (16, 32),
    window_s: float = 8.0,
    step_s: float = 2.0,
    margin_s: float = 1.5,
    band_hz: tuple[float, float] = BAND_HZ,
) -> WindowSet:
    """Windows of window_s centred on the labels of each recording, at least step_s apart.

    A recording without labels gives windows every step_s with unknown labels. Windows that would reach
    outside the recording are left out; margins that do are filled by reflection.
    Raises InputError if no recording is given or none holds a window.
    """
    if not recordings:
        raise InputError("data: no recordings were found; check the data path and the chosen sets")
    if any(rate * window_s != round(rate * window_s) for rate in rates):
        raise InputError(f"window_s: {window_s} s is no whole number of samples at each of {tuple(rates)} Hz")
    classes = {recording.rhythm_classes for recording in recordings if recording.rhythm is not None}
    if len(classes) > 1:
        raise InputError("data: recordings name different rhythm classes; train on one set at a time")
    parts = [
        _windows_of(recording, index, tuple(rates), window_s, step_s, margin_s, band_hz, next(iter(classes), ()))
        for index, recording in enumerate(recordings)
    ]
    windows = concatenate(parts)
    if len(windows) == 0:
        raise InputError(f"data: no recording is as long as one window of {window_s} s; check rates and window_s")
    return replace(windows, recording_names=tuple(recording.name for recording in recordings))


def concatenate(parts: Sequence[WindowSet]) -> WindowSet:
    """All windows in one set; parts must agree in rates, lengths and recording names' indices."""
    first = parts[0]
    for part in parts[1:]:
        shape = (part.rates, part.window_s, part.margin_s, part.rhythm_classes)
        if shape != (first.rates, first.window_s, first.margin_s, first.rhythm_classes):
            raise InputError("windows: sets of different rates, lengths or classes can't be joined; make them alike")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_WINDOW}
    if any(part.recording_names != first.recording_names for part in parts):
        names = tuple(name for part in parts for name in part.recording_names)
        offsets = np.cumsum([0] + [len(part.recording_names) for part in parts[:-1]])
        joined["recording"] = np.concatenate([p.recording + o for p, o in zip(parts, offsets, strict=True)])
    else:
        names = first.recording_names
    inputs = {rate: np.concatenate([part.inputs[rate] for part in parts]) for rate in first.rates}
    return replace(first, inputs=inputs, recording_names=names, **joined)


def _chosen_labels(recording: Recording, window_s: float, step_s: float) -> tuple[NDArray, NDArray]:
    """Start of each window in seconds, and the index of its label (-1 without labels)."""
    if recording.label_times_s is None or recording.label_count == 0:
        length_s = recording.duration_s if recording.segment_s is None else recording.segment_s
        within = np.arange(0.0, length_s - window_s + 1e-9, step_s)
        offsets = np.arange(round(recording.duration_s / length_s)) * length_s
        starts = (offsets[:, None] + within).ravel()
        return starts, np.full(starts.size, -1)
    order = np.argsort(recording.label_times_s, kind="stable")
    kept, last = [], -np.inf
    for index in order:
        time = float(recording.label_times_s[index])
        if time >= last + step_s - 1e-3:
            kept.append(int(index))
            last = time
    chosen = np.array(kept, dtype=np.int64)
    starts = recording.label_times_s[chosen] - window_s / 2
    inside = (starts > -0.5) & (starts + window_s < recording.duration_s + 0.5)
    return np.maximum(starts[inside], 0.0), chosen[inside]


def _cut(signal: NDArray, starts: NDArray, rate_hz: int, window_s: float, margin_s: float) -> NDArray[np.float64]:
    """Windows with margins of a (channels, segments, samples) signal: (n, channels, window + 2 margins)."""
    _, segments, length = signal.shape
    window, margin = round(window_s * rate_hz), round(margin_s * rate_hz)
    if length < window or length <= margin:
        raise InputError(f"window_s: {window_s} s is longer than a segment of {length / rate_hz:g} s; shorten it")
    first = np.rint(starts * rate_hz).astype(np.int64)
    segment = np.clip((first + window // 2) // length, 0, segments - 1)
    # A label may overhang the end by a fraction of a sample after resampling; the window is pushed back.
    local = np.clip(first - segment * length, 0, length - window)
    index = local[:, None] + np.arange(-margin, window + margin)
    index = np.abs(index)
    index = (length - 1) - np.abs((length - 1) - index)
    return signal[:, segment[:, None], index].transpose(1, 0, 2)


def _windows_of(  # noqa: PLR0913 - the settings of windows, of one recording
    recording: Recording,
    index: int,
    rates: tuple[int, ...],
    window_s: float,
    step_s: float,
    margin_s: float,
    band_hz: tuple[float, float],
    rhythm_classes: tuple[str, ...],
) -> WindowSet:
    starts, labels = _chosen_labels(recording, window_s, step_s)
    count = starts.size
    inputs = {}
    for rate in rates:
        samples = round(window_s * rate) + 2 * round(margin_s * rate)
        held = np.zeros((count, 4, samples), dtype=np.float32)
        if count:
            held[:, 0] = _mean_channel(
                _cut(pulse_at(recording, rate, band_hz), starts, rate, window_s, margin_s),
                round(margin_s * rate),
            )
            acc = acceleration_at(recording, rate)
            if acc is not None:
                held[:, 1:] = _cut(acc, starts, rate, window_s, margin_s)
        inputs[rate] = held

    def label(values: NDArray | None, missing: object, kind: type) -> NDArray:
        if values is None or (labels < 0).all():
            return np.full(count, missing, dtype=kind)
        return values[labels].astype(kind)

    return WindowSet(
        inputs=inputs,
        window_s=window_s,
        margin_s=margin_s,
        has_acc=np.full(count, recording.acc is not None),
        heart_rate_bpm=label(recording.heart_rate_bpm, np.nan, np.float32),
        rhythm=label(recording.rhythm, -1, np.int64),
        subject=np.full(count, recording.subject, dtype=f"<U{max(1, len(recording.subject))}"),
        source=np.full(count, recording.source, dtype=f"<U{max(1, len(recording.source))}"),
        activity=label(recording.activity, "", np.str_),
        start_s=starts.astype(np.float64),
        recording=np.full(count, index, dtype=np.int64),
        trusted=label(recording.trusted, True, np.bool_),
        recording_names=(),
        rhythm_classes=rhythm_classes,
    )


def _mean_channel(pulses: NDArray[np.float64], margin: int) -> NDArray[np.float64]:
    """(n, channels, samples) standardized over the window proper, then averaged: (n, samples)."""
    proper = pulses[:, :, margin : pulses.shape[2] - margin]
    mean = proper.mean(axis=2, keepdims=True)
    deviation = proper.std(axis=2, keepdims=True)
    scaled = np.where(
        deviation > _SMALLEST_DEVIATION, (pulses - mean) / np.maximum(deviation, _SMALLEST_DEVIATION), 0.0
    )
    return scaled.mean(axis=1)
