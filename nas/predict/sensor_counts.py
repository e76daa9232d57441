"""Recordings as a watch's sensors would have delivered them: 16-bit counts, for the front end of firmware.

Stands between Recording and hwmodels.firmware.front_end; prediction and the benchmark of the front end read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import Sensors
from nas.data.recording import FloatArray, Recording

_FULL_SCALE = 32767
_LEAST_FULL_SCALE_G = 1.9
"""No accelerometer of a watch ends below 2 g; what a wrist at rest reaches is no end, however often it is met."""
_COUNTS_PER_G = (4096, 2048, 1024, 256, 64)
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Counts:
    """A recording in counts: ppg int16 (n, channels), acc int16 (m, 3) or None, the sensors that gave it."""

    sensors: Sensors
    ppg: NDArray[np.int16]
    acc: NDArray[np.int16] | None


def counts_of(recording: Recording) -> Counts:
    """Raw counts are moved to the middle of 16 bits, other units scaled to fill them; g at 4096 counts where
    that fits. Each channel's ends are where it is saturated, the accelerometer's if they can be a sensor's.
    Raises InputError for independent segments.
    """
    if recording.segment_s is not None:
        raise InputError(f"{recording.name}: holds independent segments; a sensor gives one unbroken signal")
    low, high = recording.ppg.min(axis=1).astype(np.float64), recording.ppg.max(axis=1).astype(np.float64)
    middle = np.floor((low + high) / 2)[:, None]
    reach = float(max(np.abs(high[:, None] - middle).max(), np.abs(low[:, None] - middle).max()))
    is_raw = reach <= _FULL_SCALE and all((part == np.rint(part)).all() for part in _blocks(recording.ppg))
    gain = 1.0 if is_raw else _FULL_SCALE / reach
    ppg = _counted(recording.ppg, lambda light: np.rint((light - middle) * gain))
    acc, per_g = None, _COUNTS_PER_G[0]
    acc_range = (-_FULL_SCALE - 1, _FULL_SCALE)
    if recording.acc is not None:
        most = max(np.abs(part).max() for part in _blocks(recording.acc))
        per_g = next((found for found in _COUNTS_PER_G if most * found <= _FULL_SCALE), _COUNTS_PER_G[-1])
        acc = _counted(recording.acc, lambda g: np.rint(np.clip(g * per_g, -_FULL_SCALE, _FULL_SCALE)))
        if most >= _LEAST_FULL_SCALE_G:
            acc_range = (int(acc.min()), int(acc.max()))
    sensors = Sensors(
        ppg_hz=round(recording.ppg_hz, 3),
        ppg_channels=ppg.shape[1],
        ppg_range=(int(ppg.min()), int(ppg.max())),
        acc_hz=round(recording.acc_hz, 3) if acc is not None else Sensors.acc_hz,
        acc_counts_per_g=per_g,
        acc_range=acc_range,
    )
    return Counts(sensors, ppg, acc)


def _blocks(signal: FloatArray) -> Iterator[NDArray[np.float64]]:
    """A signal (channels, n) piece by piece, as a long recording does not fit into memory several times."""
    for start in range(0, signal.shape[1], _BLOCK):
        yield np.asarray(signal[:, start : start + _BLOCK], np.float64)


def _counted(signal: FloatArray, count: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.int16]:
    """What `count` makes of a signal (channels, n), int16 (n, channels)."""
    counts = np.empty(signal.shape[::-1], np.int16)
    start = 0
    for part in _blocks(signal):
        counts[start : start + part.shape[1]] = count(part).T
        start += part.shape[1]
    return counts


def continued(counts: Counts, seconds: float) -> Counts:
    """The recording followed by its last samples for a while, so that the filters give its end as well."""

    def longer(values: NDArray[np.int16], rate_hz: float) -> NDArray[np.int16]:
        return np.concatenate([values, np.repeat(values[-1:], int(np.ceil(seconds * rate_hz)) + 1, axis=0)])

    acc = None if counts.acc is None else longer(counts.acc, counts.sensors.acc_hz)
    return Counts(counts.sensors, longer(counts.ppg, counts.sensors.ppg_hz), acc)
