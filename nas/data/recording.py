"""Recording: one stretch of PPG with its accelerometer and labels, as every loader returns it.

First stage of the data flow: files -> Recording -> windows -> networks. It checks itself at construction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.signals.filters import BAND_HZ, require_band_rate, require_usable_rate

FloatArray = NDArray[np.floating]

LABEL_JUMP_BPM = 20.0
"""A reference that moves more than this between successive windows is a detector's glitch, not a heart."""

_MEDIAN_LABELS = 9
_MEDIAN_DEVIATION_BPM = 15.0


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording of one person.

    ppg: (channels, n) in the sensor's own units. acc: (3, n) in g, or None where no accelerometer was worn.
    label_times_s: (W,) centre of the window that each label describes; label_window_s its length.
    heart_rate_bpm: (W,) or None. rhythm: (W,) class index or None, named by rhythm_classes.
    activity: (W,) names or None. trusted: (W,) False where the label itself is doubtful (a glitch).
    segment_s: None for one continuous signal; else the signal is independent segments of that length.
    notes: what the loader corrected, in words.
    Raises InputError, naming the recording and the field, for anything that does not fit.
    """

    name: str
    source: str
    subject: str
    ppg: FloatArray
    ppg_hz: float
    acc: FloatArray | None = None
    acc_hz: float = 0.0
    label_times_s: FloatArray | None = None
    label_window_s: float = 8.0
    heart_rate_bpm: FloatArray | None = None
    rhythm: NDArray[np.integer] | None = None
    rhythm_classes: tuple[str, ...] = ()
    activity: NDArray[np.str_] | None = None
    trusted: NDArray[np.bool_] | None = None
    segment_s: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_signal("ppg", self.ppg, self.ppg_hz, None)
        require_band_rate(f"{self.name}: ppg_hz", self.ppg_hz, BAND_HZ)
        if self.acc is not None:
            self._check_signal("acc", self.acc, self.acc_hz, 3)
            if abs(self.acc_excess_s) > self.label_window_s:
                acc_s = self.duration_s + self.acc_excess_s
                raise self._error(
                    "acc", f"ends at {acc_s:.1f} s, ppg at {self.duration_s:.1f} s",
                    "check ppg_hz and acc_hz, or cut both to the time that they share",
                )  # fmt: skip
        labels = {
            "heart_rate_bpm": self.heart_rate_bpm,
            "rhythm": self.rhythm,
            "activity": self.activity,
            "trusted": self.trusted,
        }
        present = {field: values for field, values in labels.items() if values is not None}
        if self.label_times_s is None:
            if present:
                raise self._error(next(iter(present)), "has no label_times_s", "give each label its time")
            return
        times = self.label_times_s
        for field, values in present.items():
            if values.shape != times.shape:
                raise self._error(
                    field,
                    f"has shape {values.shape}, label_times_s {times.shape}",
                    "give one value per label",
                )
        if times.size and not np.isfinite(times).all():
            raise self._error("label_times_s", "is not finite", "remove those labels")
        if times.size and float(times.max()) + self.label_window_s / 2 > self.duration_s + 0.5:
            end_s = float(times.max()) + self.label_window_s / 2
            raise self._error(
                "labels",
                f"reach {end_s:.1f} s, the signal ends at {self.duration_s:.1f} s",
                "check that signal and label file belong together and that the rate is right",
            )
        if self.acc is not None and times.size:
            acc_end_s = self.acc.shape[1] / self.acc_hz
            if float(times.max()) + self.label_window_s / 2 > acc_end_s + 0.5:
                raise self._error(
                    "acc",
                    f"ends at {acc_end_s:.1f} s, before the labels do",
                    "check acc_hz, or leave the accelerometer out",
                )
        if self.heart_rate_bpm is not None:
            known = self.heart_rate_bpm
            if not np.isfinite(known).all() or ((known < 20) | (known > 260)).any():
                raise self._error("heart_rate_bpm", "has values outside 20 to 260 BPM or NaN", "remove those labels")

    def _error(self, field: str, what: str, remedy: str) -> InputError:
        return InputError(f"{self.name}: {field} {what}; {remedy}")

    def _check_signal(self, field: str, signal: FloatArray, rate_hz: float, channels: int | None) -> None:
        if signal.ndim != 2 or (channels is not None and signal.shape[0] != channels) or signal.size == 0:
            expected = "(channels, n)" if channels is None else f"({channels}, n)"
            raise self._error(field, f"has shape {signal.shape}", f"expected {expected}")
        require_usable_rate(f"{self.name}: {field}_hz", rate_hz)
        if not np.isfinite(signal).all():
            bad = int((~np.isfinite(signal)).sum())
            raise self._error(field, f"has {bad} NaN or infinite samples", "interpolate or cut them out")
        if signal.shape[1] > 1:
            constant = np.ptp(signal, axis=1) == 0
            # An axis of a wrist at rest may well stay within one count; three that do are no accelerometer.
            if constant.any() and (channels is None or constant.all()):
                remedy = "check the sensor, or leave the recording out" if constant.all() else "leave that channel out"
                raise self._error(field, f"channel {int(constant.argmax())} is constant", remedy)

    @property
    def duration_s(self) -> float:
        """Length of the PPG in seconds."""
        return self.ppg.shape[1] / self.ppg_hz

    @property
    def acc_excess_s(self) -> float:
        """Seconds for which the accelerometer goes on after the PPG's end, negative if it ends before it."""
        return 0.0 if self.acc is None else self.acc.shape[1] / self.acc_hz - self.duration_s

    @property
    def label_count(self) -> int:
        """How many labels the recording carries."""
        return 0 if self.label_times_s is None else int(self.label_times_s.size)

    def without_labels(self) -> Recording:
        """The signals alone, which make windows from their start on."""
        return replace(self, label_times_s=None, heart_rate_bpm=None, rhythm=None, activity=None, trusted=None)

    def with_label_shift(self, shift_s: float, why: str) -> Recording:
        """The same recording with every label moved by shift_s; labels that leave the signal are dropped."""
        if self.label_times_s is None:
            return self
        times = self.label_times_s + shift_s
        half = self.label_window_s / 2
        inside = (times - half >= -1e-6) & (times + half <= self.duration_s + 0.5)

        def kept(values: NDArray | None) -> NDArray | None:
            return None if values is None else values[inside]

        return replace(
            self,
            label_times_s=times[inside],
            heart_rate_bpm=kept(self.heart_rate_bpm),
            rhythm=kept(self.rhythm),
            activity=kept(self.activity),
            trusted=kept(self.trusted),
            notes=(*self.notes, f"labels moved by {shift_s:+g} s: {why}"),
        )


def trusted_labels(heart_rate_bpm: FloatArray) -> NDArray[np.bool_]:
    """True for each label of successive windows (2 s apart) that no glitch of the reference touches.

    A jump above LABEL_JUMP_BPM spoils the labels on both sides of it; a run that stands apart from the
    running median of nine labels by more than 15 BPM, next to such a jump, is spoilt whole.
    """
    bpm = np.asarray(heart_rate_bpm, dtype=np.float64)
    trusted = np.ones(bpm.shape, dtype=bool)
    jumps = np.flatnonzero(np.abs(np.diff(bpm)) > LABEL_JUMP_BPM)
    if jumps.size == 0:
        return trusted
    padded = np.pad(bpm, _MEDIAN_LABELS // 2, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN_LABELS), axis=1)
    apart = np.abs(bpm - median) > _MEDIAN_DEVIATION_BPM
    for jump in jumps:
        near = slice(max(0, jump - _MEDIAN_LABELS), jump + 1 + _MEDIAN_LABELS)
        trusted[near] &= ~apart[near]
        trusted[jump : jump + 2] = False
    return trusted
