"""Samples with time stamps -> samples at one rate: short gaps interpolated, long ones kept as ends of stretches.

Stamps of loggers jitter, repeat, stand for whole packets, or miss. Between the readers of files and Recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.signals.filters import RATES_HZ, require_usable_rate
from nas.data.own.labels import Span

GAP_S = 1.0
"""Longer gaps split a recording: a straight line over more than a beat is no pulse."""
_UNEVEN = 0.1
_REGULAR_STEP, _REGULAR_SHARE = 0.25, 0.8
_MISSED_PERIODS = 1.5
_MOST_DECIMALS = 3
_LATEST_S = 1e12


@dataclass(frozen=True, eq=False)
class Series:
    """Samples as they were logged: times_s (n,) in any order, values (channels, n), NaN where one is missing.

    rate_hz: where the file names it; else it is taken from the times.
    """

    times_s: NDArray[np.float64]
    values: NDArray[np.float32]
    rate_hz: float | None = None

    @classmethod
    def at_rate(cls, values: NDArray, rate_hz: float, start_s: float = 0.0) -> Series:
        """Samples (channels, n) that follow each other at rate_hz. Raises InputError for a rate that no sensor has."""
        require_usable_rate("rate", rate_hz)
        with np.errstate(over="ignore", invalid="ignore"):
            return cls(start_s + np.arange(values.shape[-1]) / rate_hz, values.astype(np.float32), rate_hz)


@dataclass(frozen=True, eq=False)
class Regular:
    """A series with its rate: times_s (n,) rising, values (channels, n) finite, spans without a long gap, ascending.

    Spans go from the first sample's time to one period after the last one's. tolerance_s: how far an even stamp may be
    from its place. notes: what was done to the stamps.
    """

    times_s: NDArray[np.float64]
    values: NDArray[np.float32]
    rate_hz: float
    spans: tuple[Span, ...]
    tolerance_s: float
    notes: tuple[str, ...]

    def cut(self, span: Span) -> NDArray[np.float32]:
        """Samples (channels, n) at the rate from the span's start to its end; as logged where stamps are even."""
        period_s = 1 / self.rate_hz
        count = max(1, int((span[1] - span[0]) * self.rate_hz + 0.5))
        first = int(np.searchsorted(self.times_s, span[0] - 0.5 * period_s))
        logged = self.times_s[first : first + count]
        grid = span[0] + np.arange(count) * period_s
        if logged.size == count and _is_even(logged, self.rate_hz, self.tolerance_s):
            return np.ascontiguousarray(self.values[:, first : first + count])
        return np.stack([np.interp(grid, self.times_s, channel) for channel in self.values]).astype(np.float32)


def regular(series: Series, what: str) -> Regular:
    """The series at one rate; `what` names it in notes and errors.

    Raises InputError where stamps go back by more than a second, or give a rate that no sensor has.
    """
    notes: list[str] = []
    complete = (np.abs(series.times_s) < _LATEST_S) & np.isfinite(series.values).all(axis=0)
    if not complete.all():
        notes.append(f"{int((~complete).sum())} of {complete.size} samples of {what} are missing")
    times, values = series.times_s[complete], series.values[:, complete]
    if times.size < 2:
        raise InputError(f"{what} has {times.size} samples that can be used; check the values of its columns")
    times, values = _ordered(times, values, what, notes)
    resolution_s = _resolution_s(times)
    times = _spread(times, what, notes)
    rate_hz = series.rate_hz or _rate(times, what, resolution_s)
    tolerance_s = max(_UNEVEN / rate_hz, min(1.01 * resolution_s, 2 * GAP_S))
    stretches = np.split(times, np.flatnonzero(np.diff(times) > GAP_S) + 1)
    spans = tuple((float(stretch[0]), float(stretch[-1]) + 1 / rate_hz) for stretch in stretches)
    is_even = all(_is_even(stretch, rate_hz, tolerance_s) for stretch in stretches)
    notes += _said_of(times, rate_hz, what, is_even)
    return Regular(times, values, rate_hz, spans, tolerance_s, tuple(notes))


def common_spans(first: tuple[Span, ...], second: tuple[Span, ...]) -> tuple[Span, ...]:
    """Where both are: the intersection of two ascending sequences of spans."""
    common, here, there = [], 0, 0
    while here < len(first) and there < len(second):
        start, end = max(first[here][0], second[there][0]), min(first[here][1], second[there][1])
        if end > start:
            common.append((start, end))
        if first[here][1] <= second[there][1]:
            here += 1
        else:
            there += 1
    return tuple(common)


def _ordered(
    times: NDArray[np.float64], values: NDArray[np.float32], what: str, notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    behind = np.maximum.accumulate(times) - times
    if not behind.any():
        return times, values
    if behind.max() > GAP_S:
        place = int(np.flatnonzero(behind > GAP_S)[0])
        raise InputError(
            f"time does not rise: sample {place + 1} of {what} is {behind[place]:.6g} s behind the one before; "
            "give seconds from the start, and split the file where a clock began anew"
        )
    notes.append(f"{int((behind > 0).sum())} samples of {what} stood out of order: sorted by time")
    order = np.argsort(times, kind="stable")
    return times[order], values[:, order]


def seconds_per_unit(times: NDArray[np.float64]) -> float:
    """How long the unit of a column of times is that names none: the longest in which its rate is one of sensors."""
    stamps = np.unique(times[np.isfinite(times)])
    if stamps.size < 2:
        return 1.0
    usual = float(np.median(np.diff(stamps))) * stamps.size / times.size
    return next((unit for unit in (1.0, 1e-3, 1e-6, 1e-9) if usual * unit <= 1 / RATES_HZ[0]), 1.0)


def _spread(times: NDArray[np.float64], what: str, notes: list[str]) -> NDArray[np.float64]:
    """Samples that share a stamp, such as those of one packet, spread evenly until the next stamp."""
    starts = np.flatnonzero(np.concatenate([[True], np.diff(times) > 0]))
    if starts.size == times.size:
        return times
    if starts.size < 2:
        raise InputError(f"time does not rise: all samples of {what} have one time; give seconds from the start")
    sizes = np.diff(np.append(starts, times.size))
    steps = np.diff(times[starts]) / sizes[:-1]
    usual = float(np.median(np.repeat(steps, sizes[:-1])))
    spacing = np.append(np.where(steps > 1.5 * usual, usual, steps), usual)
    shared = int(sizes[sizes > 1].sum())
    notes.append(f"{shared} of {times.size} samples of {what} share their time with others: spread until the next")
    within = np.arange(times.size) - np.repeat(starts, sizes)
    spread = times + within * np.repeat(spacing, sizes)
    if spacing[0] < steps[0]:
        # The first stamp's samples began in its midst: they lead up to the next.
        spread[: sizes[0]] = times[starts[1]] - usual * np.arange(sizes[0], 0, -1)
    return spread


def _rate(times: NDArray[np.float64], what: str, resolution_s: float) -> float:
    """The rate over all that has no long gap, with the fewest decimals that keep to the stamps."""
    steps = np.diff(times)
    usual = float(np.median(steps))
    if not 1 / RATES_HZ[1] <= usual <= 1 / RATES_HZ[0]:
        raise InputError(
            f"time steps by {usual:.6g} s: {1 / max(usual, 1e-12):.6g} Hz for {what}, expected {RATES_HZ[0]:g} to "
            f"{RATES_HZ[1]:g} Hz; check the unit of time (time_s, time_ms, time_us or time_ns) and the rate"
        )
    dense = steps[steps <= GAP_S]
    periods = float(dense.size)
    if np.mean(np.abs(dense - usual) < _REGULAR_STEP * usual) >= _REGULAR_SHARE:
        counted = float(np.maximum(1, np.rint(dense / usual)).sum())
        # More samples lost than logged: the median is no period then, and memory must not follow it.
        periods = counted if counted <= 2 * dense.size else periods
    rate_hz = periods / float(dense.sum())
    # Rounded as far as the last sample stays where it is, to a tenth of a period or what its stamp can tell.
    allowed = max(_UNEVEN, min(0.5, resolution_s * rate_hz))
    for decimals in range(_MOST_DECIMALS):
        rounded = round(rate_hz, decimals)
        if rounded > 0 and periods * abs(rate_hz / rounded - 1) <= allowed:
            return rounded
    return round(rate_hz, _MOST_DECIMALS)


def _is_even(times: NDArray[np.float64], rate_hz: float, tolerance_s: float) -> bool:
    """Whether the stamps keep to one rate: to a tenth of a period, or to the digits that they were written with."""
    offset = times - times[0] - np.arange(times.size) / rate_hz
    return float(np.abs(offset).max()) <= tolerance_s


def _resolution_s(times: NDArray[np.float64]) -> float:
    """The unit of the last decimal of the stamps, of those from a second to a tenth of a millisecond; 0 below that."""
    since = times - times[0]
    for decimals in range(5):
        scaled = since * 10.0**decimals
        if np.abs(scaled - np.rint(scaled)).max() < 2e-3:
            return float(10.0**-decimals)
    return 0.0


def _said_of(times: NDArray[np.float64], rate_hz: float, what: str, is_even: bool) -> list[str]:
    said = []
    steps, since = np.diff(times), times - times[0]
    long = steps > GAP_S
    short = steps[~long]
    missed = ~long & (steps > _MISSED_PERIODS * max(1 / rate_hz, float(np.percentile(short, 90))))
    if not is_even:
        low_ms, high_ms = 1e3 * short.min(), 1e3 * short.max()
        said.append(
            f"time stamps of {what} are uneven (steps of {low_ms:.3g} to {high_ms:.3g} ms): resampled to {rate_hz:g} Hz"
        )
    if missed.any() and not is_even:
        place = int(np.flatnonzero(missed)[0])
        said.append(
            f"{_counted(int(missed.sum()), 'gap')} of up to {steps[missed].max():.3g} s in {what}, the first at "
            f"{since[place]:.6g} s: interpolated"
        )
    if long.any():
        place = int(np.flatnonzero(long)[0])
        said.append(
            f"{_counted(int(long.sum()), 'gap')} of more than {GAP_S:g} s in {what}, the first of {steps[place]:.3g} s "
            f"at {since[place]:.6g} s: split there"
        )
    return said


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
