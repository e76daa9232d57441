"""From a sensor's integer samples to readings: hwmodels/c/front_end/ppgnet_api.c in NumPy, equal bit for bit.

Resampling and band-pass in integers with 64-bit sums, by the filters that training uses; then, over each
window, hwmodels.network.preparation in single precision and the integer network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.firmware.tracker import Tracker, track
from hwmodels.firmware.window_runner import WindowRunner
from hwmodels.network.integer_model import InputSettings, IntegerModel
from hwmodels.network.preparation import prepare_window
from hwmodels.signals.filters import (
    LEAST_ACC_HZ,
    SECTION_BITS,
    SIGNAL_BITS,
    IntegerResampler,
    filter_rate_hz,
    integer_resampler,
    integer_sections,
    require_band_rate,
    require_usable_rate,
)

UNCERTAIN, FLAT, SATURATED, CONTACT, MOTION = 1, 2, 4, 8, 16
REASONS = {UNCERTAIN: "uncertain", FLAT: "flat", SATURATED: "saturated", CONTACT: "contact", MOTION: "motion"}
"""Why a reading is not to be trusted, as bits."""
DEFAULT_STEP_S = 2.0
_AT_END, _OFF_SKIN = 1, 2
_MOST_MARKED = 0.05
_BLOCK = 1 << 17
"""Samples that are filtered at once: what is computed does not depend on it, only the memory that it takes."""
_WINDOWS = 1024
_INT16 = (-32768, 32767)
_Range = tuple[int, int]


@dataclass(frozen=True)
class Sensors:
    """What delivers the samples: 16-bit counts at rates in Hz.

    ppg_range: lowest and highest count of the light sensor; at either it is saturated. contact: counts
    outside of which it does not lie on skin. acc_counts_per_g: of the accelerometer, whose axes end at
    acc_range.
    """

    ppg_hz: float = 50.0
    ppg_channels: int = 1
    ppg_range: _Range = _INT16
    contact: _Range = _INT16
    acc_hz: float = 50.0
    acc_counts_per_g: int = 4096
    acc_range: _Range = _INT16

    def __post_init__(self) -> None:
        for name, rate in (("ppg_hz", self.ppg_hz), ("acc_hz", self.acc_hz)):
            require_usable_rate(name, rate)
            if rate * 1000 != round(rate * 1000):
                raise InputError(f"{name}: takes at most three decimals, got {rate}")
        if not 1 <= self.ppg_channels <= 8:
            raise InputError(f"ppg_channels: must lie in [1, 8], got {self.ppg_channels}")
        if not 1 <= self.acc_counts_per_g <= 32767:
            raise InputError(f"acc_counts_per_g: must lie in [1, 32767], got {self.acc_counts_per_g}")
        for name in ("ppg_range", "contact", "acc_range"):
            low, high = getattr(self, name)
            if not _INT16[0] <= low < high <= _INT16[1]:
                raise InputError(f"{name}: needs two ascending 16-bit counts, got {low} and {high}")


@dataclass(frozen=True)
class Front:
    """The front end of a network for some sensors; windows follow each other by step_s.

    Raises InputError for rates that cannot be converted, or a step that is no whole number of samples.
    """

    sensors: Sensors
    input: InputSettings
    step_s: float = DEFAULT_STEP_S

    @classmethod
    def of(cls, sensors: Sensors, settings: InputSettings) -> Front:
        """With the network's own step: that of its streaming or context, else 2 s or a shorter window's length."""
        own = settings.step_s or settings.context_step_s
        return cls(sensors, settings, own or min(DEFAULT_STEP_S, settings.window_s))

    def __post_init__(self) -> None:
        samples = self.step_s * self.input.rate_hz
        if samples != round(samples) or not 1 <= samples <= self.input.window_samples:
            raise InputError(f"step_s: {self.step_s} s is no whole number of samples of the network's window")
        if self.input.step_s is not None and self.input.step_s != self.step_s:
            raise InputError(f"step_s: this streaming network steps by {self.input.step_s} s")
        if self.input.context_step_s not in (None, self.step_s):
            raise InputError(
                f"step_s: this network remembers windows {self.input.context_step_s:g} s apart, as it was trained on, "
                f"and cannot step by {self.step_s:g} s; leave step_s out"
            )
        require_band_rate("ppg_hz", self.sensors.ppg_hz, self.input.band_hz)
        if self.reads_motion and self.sensors.acc_hz < LEAST_ACC_HZ:
            raise InputError(
                f"acc_hz: {self.sensors.acc_hz:g} Hz is too low to tell motion at a heart rate of 220 BPM; "
                f"sample at {LEAST_ACC_HZ:g} Hz or more"
            )
        _ = self.ppg, self.acc, self.sections

    @property
    def reads_motion(self) -> bool:
        """Whether the network reads the accelerometer."""
        return self.input.sensors == "ppg_acc"

    @property
    def step_samples(self) -> int:
        """New samples of the network's rate between readings."""
        return round(self.step_s * self.input.rate_hz)

    @property
    def filter_hz(self) -> int:
        """The rate at which the band-pass runs."""
        return filter_rate_hz(round(self.input.rate_hz), self.input.band_hz)

    @cached_property
    def ppg(self) -> IntegerResampler:
        """From the light sensor's rate to the band-pass's."""
        return integer_resampler(self.sensors.ppg_hz, self.filter_hz)

    @cached_property
    def thin(self) -> IntegerResampler:
        """From the band-pass's rate to the network's."""
        return integer_resampler(self.filter_hz, self.input.rate_hz)

    @cached_property
    def acc(self) -> IntegerResampler:
        """From the accelerometer's rate to the network's."""
        return integer_resampler(self.sensors.acc_hz, self.input.rate_hz)

    @cached_property
    def sections(self) -> NDArray[np.int32]:
        """The band-pass, (sections, 5)."""
        return integer_sections(self.filter_hz, self.input.band_hz)

    @property
    def acc_unit(self) -> np.float32:
        """g in one step of the resampled accelerometer."""
        return np.float32(1.0 / (self.sensors.acc_counts_per_g << SIGNAL_BITS))

    @property
    def most_marked(self) -> int:
        """Samples of a window that may be saturated, or off the skin, before it is invalid."""
        return int(_MOST_MARKED * self.input.window_samples)

    @property
    def delay_s(self) -> float:
        """How long after its end a window is ready: half the filters' lengths."""
        ppg = self.ppg.half / (self.ppg.up * self.sensors.ppg_hz)
        ppg += self.thin.half / (self.thin.up * self.filter_hz)
        acc = self.acc.half / (self.acc.up * self.sensors.acc_hz)
        return max(ppg, acc) if self.reads_motion else ppg


@dataclass(frozen=True, eq=False)
class Signals:
    """Samples at the network's rate, as the firmware holds them.

    pulse: band-passed, float32 (n, channels), in 1/256 count. motion: float32 (n, 3) in g, or None.
    pulse_marks, motion_marks: (n,) uint8, bits of samples at a sensor's end or off the skin.
    """

    pulse: NDArray[np.float32]
    pulse_marks: NDArray[np.uint8]
    motion: NDArray[np.float32] | None
    motion_marks: NDArray[np.uint8] | None

    @property
    def samples(self) -> int:
        """How many samples of all sensors there are."""
        return len(self.pulse) if self.motion is None else min(len(self.pulse), len(self.motion))


def signals(front: Front, ppg: NDArray[np.int16], acc: NDArray[np.int16] | None) -> Signals:
    """A recording's counts, ppg (n, channels) and acc (m, 3), at the network's rate.

    Raises InputError for other shapes, and for counts outside of the declared ranges.
    """
    sensors = front.sensors
    ppg = _checked("ppg", ppg, sensors.ppg_channels, sensors.ppg_range)
    filtered, frames = _resampled(front.ppg, ppg, SIGNAL_BITS)
    filtered -= filtered[:1].copy()
    passed = _band_passed(front.sections, filtered)
    pulse, thinned = _resampled(front.thin, passed, 0)
    marks = _marks(_frame_marks(ppg, sensors.ppg_range, sensors.contact), frames[thinned])
    if not front.reads_motion:
        return Signals(pulse.astype(np.float32), marks, None, None)
    if acc is None:
        raise InputError("acc: is missing, and this network reads the accelerometer")
    acc = _checked("acc", acc, 3, sensors.acc_range)
    axes, frames = _resampled(front.acc, acc, SIGNAL_BITS)
    motion = axes.astype(np.float32) * front.acc_unit
    motion_marks = _marks(_frame_marks(acc, sensors.acc_range, _INT16), frames)
    return Signals(pulse.astype(np.float32), marks, motion, motion_marks)


def _checked(name: str, counts: NDArray[np.int16], channels: int, limits: _Range) -> NDArray[np.int16]:
    counts = np.asarray(counts)
    if counts.dtype != np.int16 or counts.ndim != 2 or counts.shape[1] != channels or not len(counts):
        raise InputError(f"{name}: expected int16 (n, {channels}), got {counts.dtype} {counts.shape}")
    if counts.min() < limits[0] or counts.max() > limits[1]:
        raise InputError(f"{name}: counts outside of the declared {limits[0]} to {limits[1]}")
    return counts


def _resampled(
    made: IntegerResampler, values: NDArray[np.integer], gain_bits: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Inputs (n, channels) -> outputs (m, channels), and the newest input each was made of, (m,)."""
    count = max(0, -(-(len(values) * made.up - made.half) // made.down))
    made_of, newest = np.empty((count, values.shape[1]), np.int32), np.empty(count, np.int32)
    response = np.append(made.response, np.zeros(made.up, np.int64))
    shift = made.shift - gain_bits
    for first in range(0, count, _BLOCK):
        block = slice(first, min(first + _BLOCK, count))
        ends = np.arange(block.start, block.stop) * made.down + made.half
        last, phase = ends // made.up, ends % made.up
        centre = values[np.maximum(last - (made.half - phase) // made.up, 0)].astype(np.int64)
        sums = np.zeros_like(centre)
        for tap in range(made.taps):
            at = np.minimum(phase + tap * made.up, 2 * made.half + 1)
            sums += (values[np.maximum(last - tap, 0)] - centre) * response[at][:, None]
        made_of[block] = (centre << gain_bits) + ((sums + (1 << (shift - 1))) >> shift)
        newest[block] = last
    return made_of, newest


def _band_passed(sections: NDArray[np.int32], values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inputs (n, channels) through all sections in direct form I, from rest."""
    passed = np.empty_like(values)
    half = 1 << (SECTION_BITS - 1)
    for channel in range(values.shape[1]):
        kept = [[0, 0, 0, 0] for _ in sections]
        for first in range(0, len(values), _BLOCK):
            column = values[first : first + _BLOCK, channel].tolist()
            for (b0, b1, b2, a1, a2), state in zip(sections.tolist(), kept, strict=True):
                x1, x2, y1, y2 = state
                made = []
                for x in column:
                    y = (b0 * x + b1 * x1 + b2 * x2 + a1 * y1 + a2 * y2 + half) >> SECTION_BITS
                    x2, x1, y2, y1 = x1, x, y1, y
                    made.append(y)
                state[:] = x1, x2, y1, y2
                column = made
            passed[first : first + _BLOCK, channel] = column
    return passed


def _frame_marks(counts: NDArray[np.int16], limits: _Range, contact: _Range) -> NDArray[np.uint8]:
    is_at_end = ((counts == limits[0]) | (counts == limits[1])).any(axis=1)
    is_off = ((counts < contact[0]) | (counts > contact[1])).any(axis=1)
    return (_AT_END * is_at_end + _OFF_SKIN * is_off).astype(np.uint8)


def _marks(frames: NDArray[np.uint8], newest: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Marks of all frames since the output before, for outputs whose newest frame is given."""
    marks = np.zeros(len(newest), np.uint8)
    for bit in (_AT_END, _OFF_SKIN):
        seen = np.concatenate([[0], np.cumsum((frames & bit) != 0)])
        upto = seen[newest + 1]
        marks |= np.where(np.diff(upto, prepend=0) > 0, bit, 0).astype(np.uint8)
    return marks


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a recording, pulse (n, T) and motion (n, T, 3) or None as `prepare_window` takes them,
    and what the sensors say against each, (n,) bits."""

    pulse: NDArray[np.float32]
    motion: NDArray[np.float32] | None
    invalid: NDArray[np.uint32]


def window_count(front: Front, held: Signals) -> int:
    """How many whole windows a recording has, one every step_s from its start."""
    return max(0, (held.samples - front.input.window_samples) // front.step_samples + 1)


def windows(front: Front, held: Signals, first: int = 0, count: int | None = None) -> Windows:
    """Whole windows of a recording, by default all, or `count` from number `first` on."""
    length, step = front.input.window_samples, front.step_samples
    count = window_count(front, held) - first if count is None else count
    at = (first + np.arange(count))[:, None] * step + np.arange(length)
    pulse = held.pulse[at]
    is_flat = pulse.max(axis=1) - pulse.min(axis=1) < np.float32(1 << SIGNAL_BITS)
    invalid = np.where(is_flat.all(axis=1), FLAT, 0)
    for bit, reason in ((_AT_END, SATURATED), (_OFF_SKIN, CONTACT)):
        marked = ((held.pulse_marks[at] & bit) != 0).sum(axis=1)
        invalid |= np.where(marked > front.most_marked, reason, 0)
    if held.motion_marks is not None:
        marked = ((held.motion_marks[at] & _AT_END) != 0).sum(axis=1)
        invalid |= np.where(marked > front.most_marked, MOTION, 0)
    motion = None if held.motion is None else held.motion[at]
    return Windows(_combined(pulse, is_flat), motion, invalid.astype(np.uint32))


def _combined(pulse: NDArray[np.float32], is_flat: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Windows (n, T, channels) -> (n, T): the channels that are not flat, each of deviation 1, added."""
    if pulse.shape[2] == 1:
        return pulse[:, :, 0]
    samples = np.float32(pulse.shape[1])
    total = np.zeros(pulse.shape[:2], np.float32)
    for channel in range(pulse.shape[2]):
        values = pulse[:, :, channel]
        centred = values - (_sum(values) / samples)[:, None]
        deviation = np.sqrt(_sum(centred * centred) / samples)
        flat = is_flat[:, channel]
        gain = np.float32(1) / np.where(flat, np.float32(1), deviation)
        total = np.where(flat[:, None], total, total + centred * gain[:, None]).astype(np.float32)
    return total


def _sum(values: NDArray[np.float32]) -> NDArray[np.float32]:
    total: NDArray[np.float32] = np.add.accumulate(values, axis=1, dtype=np.float32)[:, -1]
    return total


def network_input(front: Front, model: IntegerModel, found: Windows) -> NDArray[np.int8]:
    """Whole windows as the network reads them, int8 (n, window samples, channels)."""
    settings = replace(front.input, step_s=None)
    return prepare_window(settings, model.quantization[model.graph.input.name], found.pulse, found.motion)


def readings(
    front: Front,
    model: IntegerModel,
    ppg: NDArray[np.int16],
    acc: NDArray[np.int16] | None = None,
    tracker: Tracker | None = None,
) -> NDArray[np.int64]:
    """What firmware reads of a recording: (n, 3) estimate, confidence and invalid bits, one row every step_s.

    With `tracker`, what ppgnet_track makes of them. A streaming network's first window runs in steps; a network
    with context starts with no past.
    """
    held = signals(front, ppg, acc)
    count = window_count(front, held)
    if not count:
        return np.zeros((0, 3), np.int64)
    runner, parts = WindowRunner(model), []
    for first in range(0, count, _WINDOWS):
        found = windows(front, held, first, min(_WINDOWS, count - first))
        parts.append((found.invalid, *runner(network_input(front, model, found))))
    spoilt, rows, logits = (np.concatenate(part) for part in zip(*parts, strict=True))
    if tracker is not None:
        believed = np.where((spoilt != 0)[:, None], 0, logits).astype(np.int8)
        rows = track(tracker, model, believed, np.arange(count) == 0)
        spoilt = np.zeros_like(spoilt)
    invalid = spoilt | np.where(rows[:, 2] > 0, 0, UNCERTAIN)
    return np.column_stack([rows[:, :2], invalid]).astype(np.int64)
