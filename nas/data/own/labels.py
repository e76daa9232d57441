"""Which labels of a file can be used: those of a possible value whose window lies within the signal.

Between a loader's files and Recording. Every label that is left out is counted, and its place is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST_BPM, HIGHEST_BPM = 20.0, 260.0
OVERHANG_S = 0.5
"""How far a labelled window may reach past either end of the signal."""
_PLACES_NAMED = 3

Span = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels as a file holds them: times_s (W,) centres of windows on the file's own clock; values (W,) or None."""

    times_s: NDArray[np.float64]
    heart_rate_bpm: NDArray[np.float64] | None = None
    rhythm: NDArray[np.str_] | None = None
    activity: NDArray[np.str_] | None = None

    def chosen(self, mask: NDArray[np.bool_]) -> Labels:
        """The labels that a mask keeps."""

        def kept(values: NDArray | None) -> NDArray | None:
            return None if values is None else values[mask]

        return Labels(self.times_s[mask], kept(self.heart_rate_bpm), kept(self.rhythm), kept(self.activity))


def within(times_s: NDArray[np.float64], span: Span, window_s: float) -> NDArray[np.bool_]:
    """Which windows of window_s around times_s lie within the span, as windows are cut."""
    begins, ends = times_s - window_s / 2, times_s + window_s / 2
    return (begins > span[0] - OVERHANG_S) & (ends < span[1] + OVERHANG_S)


def usable_labels(labels: Labels, spans: Sequence[Span], window_s: float) -> tuple[Labels, tuple[str, ...]]:
    """The labels that can be used, and what is to be said of the others.

    spans: start and end in seconds of each unbroken stretch of signal, ascending, on the labels' clock.
    """
    possible = np.isfinite(labels.times_s)
    if labels.heart_rate_bpm is not None:
        known = np.nan_to_num(labels.heart_rate_bpm, nan=0.0)
        possible &= (known >= LOWEST_BPM) & (known <= HIGHEST_BPM)
    if labels.rhythm is not None:
        possible &= labels.rhythm != ""
    inside = np.zeros(possible.shape, dtype=bool)
    for span in spans:
        inside |= within(labels.times_s, span, window_s)
    notes = []
    if not possible.all():
        notes.append(_left_out(labels.times_s[~possible], _impossible(labels)))
    if possible.any() and not (possible & inside).any():
        notes.append(_all_outside(labels.times_s[possible], spans))
    else:
        outside = labels.times_s[possible & ~inside]
        notes += [_left_out(times, why) for times, why in _reasons(outside, spans, window_s) if times.size]
    return labels.chosen(possible & inside), tuple(notes)


def _impossible(labels: Labels) -> str:
    if labels.heart_rate_bpm is None:
        return "empty, or without a time"
    return f"no heart rate of {LOWEST_BPM:g} to {HIGHEST_BPM:g} BPM (empty, 0 or another unit)"


def _reasons(outside: NDArray[np.float64], spans: Sequence[Span], window_s: float) -> Iterator[tuple[NDArray, str]]:
    early = outside < spans[0][0] + window_s / 2
    late = ~early & (outside > spans[-1][1] - window_s / 2)
    yield outside[early], f"their windows of {window_s:g} s begin before the signal, at {spans[0][0]:g} s"
    yield outside[late], f"their windows of {window_s:g} s end after the signal, at {spans[-1][1]:g} s"
    yield outside[~early & ~late], f"their windows of {window_s:g} s reach into gaps of the signal"


def _left_out(times: NDArray[np.float64], why: str) -> str:
    known = np.sort(times[np.isfinite(times)])
    at = ""
    if known.size > _PLACES_NAMED:
        at = f" (at {known[0]:.10g} to {known[-1]:.10g} s)"
    elif known.size:
        at = f" (at {', '.join(f'{time:.10g}' for time in known)} s)"
    return f"{times.size} {'label' if times.size == 1 else 'labels'} left out{at}: {why}"


def _all_outside(times: NDArray[np.float64], spans: Sequence[Span]) -> str:
    return (
        f"0 of {times.size} labels lie within the signal: labels at {times.min():.10g} to {times.max():.10g} s, signal "
        f"from {spans[0][0]:.10g} to {spans[-1][1]:.10g} s; give both times of one clock"
    )
