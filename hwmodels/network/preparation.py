"""From windows of band-passed PPG and acceleration to what the network reads, in single precision.

A window becomes four signals: the pulse; the pulse less all that the accelerometer explains of it (a ridge
regression on its axes at nine lags within a quarter of a second, a classical canceller solved in one go); the
magnitude of motion; and the explained part. Turning the sensor changes none of them. A network of PPG alone
reads the first. kernels/ppgnet_prepare.c does the same in the same order and equals this bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.integer_model import InputSettings, IntegerModel, Quantization
from hwmodels.signals.spectrum import spectra_on_grid

SMALLEST_DEVIATION = np.float32(1e-6)
ACC_SCALE_G = 0.3
REACH = 4
"""Lags to either side, each `lag_samples` apart."""
RIDGE = 0.01
"""Share of the axes' mean energy that is added to each unknown's."""
RIDGE_FLOOR = 1e-3
SMALLEST_REMAINDER = 0.05
"""What is left of the pulse is scaled to deviation 1, but by no more than 20."""
_FLOAT = np.float32
_AXES, _LAGS = 3, 2 * REACH + 1
Floats = NDArray[np.float32]


def lag_samples(rate_hz: float) -> int:
    """Samples between the canceller's lags: a sixteenth of a second, at least one."""
    return max(1, round(rate_hz / 16))


def normalized_windows(ppg: Floats, acc_g: Floats | None, rate_hz: float, acc_scale_g: float = ACC_SCALE_G) -> Floats:
    """Windows (n, T) of PPG and (n, T, 3) of acceleration in g, or None -> signals (n, T, 4).

    Pulse: any unit, made of mean 0 and deviation 1. Magnitude of motion: in units of acc_scale_g, less its
    mean. Without an accelerometer the remainder is the pulse itself and the other two are zero.
    """
    samples = _FLOAT(ppg.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        centred = (ppg - (_sum(ppg) / samples)[:, None]).astype(_FLOAT, copy=False)
        squares = _sum(centred * centred)
        deviation = np.sqrt(squares / samples)
        deviation = np.where(deviation > SMALLEST_DEVIATION, deviation, SMALLEST_DEVIATION)
        gain = (_FLOAT(1) / deviation).astype(_FLOAT, copy=False)
        pulse = (centred * gain[:, None]).astype(_FLOAT, copy=False)
        if acc_g is None:
            nothing = np.zeros_like(pulse)
            return np.stack([pulse, pulse, nothing, nothing], axis=2)
        scale = _FLOAT(1 / acc_scale_g)
        axes = [np.asarray(acc_g[:, :, axis], _FLOAT) for axis in range(_AXES)]
        axes = [values - (_sum(values) / samples)[:, None] for values in axes]
        step = lag_samples(rate_hz)
        weights, cross, ridge = _regression(centred, gain, axes, scale, step)
        by_axis = [np.zeros_like(pulse) for _ in axes]
        left = squares * gain * gain
        for (lag, axis), weight, shared in zip(_unknowns(), weights, cross, strict=True):
            by_axis[axis] = by_axis[axis] + (weight * scale)[:, None] * np.roll(axes[axis], lag * step, axis=1)
            left = left - weight * (shared + ridge * weight)
        explained = by_axis[0] + by_axis[1] + by_axis[2]
        remainder = np.sqrt(left / samples)
        remainder = np.where(remainder > _FLOAT(SMALLEST_REMAINDER), remainder, _FLOAT(SMALLEST_REMAINDER))
        motion = np.sqrt(axes[0] * axes[0] + axes[1] * axes[1] + axes[2] * axes[2]) * scale
        motion = motion - (_sum(motion) / samples)[:, None]
        cleaned = (pulse - explained) * (_FLOAT(1) / remainder)[:, None]
    return np.stack([pulse, cleaned, motion, explained], axis=2)


def _unknowns() -> list[tuple[int, int]]:
    """(lag, axis) of the regression's unknowns in order."""
    return [(lag, axis) for lag in range(-REACH, REACH + 1) for axis in range(_AXES)]


def _regression(
    pulse: Floats, gain: Floats, axes: list[Floats], scale: np.float32, step: int
) -> tuple[list[Floats], list[Floats], Floats]:
    """Weights and correlations with the pulse per unknown, each (n,), and the ridge (n,).

    `gain` (n,) makes the pulse, `scale` the axes what the network reads. Shifts wrap around, so that
    correlations of the axes depend on the difference of two lags alone.
    """
    known = {
        (first, second, shift): _sum(axes[first] * np.roll(axes[second], -shift * step, axis=1)) * (scale * scale)
        for shift in range(_LAGS)
        for first in range(_AXES)
        for second in range(_AXES)
    }
    ridge = (known[0, 0, 0] + known[1, 1, 0] + known[2, 2, 0]) * _FLOAT(RIDGE / 3) + _FLOAT(RIDGE_FLOOR)
    unknowns = _unknowns()
    later = np.roll(pulse, -REACH * step, axis=1)
    cross = [_sum(later * np.roll(axes[axis], (lag - REACH) * step, axis=1)) * (gain * scale) for lag, axis in unknowns]
    # Cholesky's factor row by row; a row's last entry is kept as its inverse.
    factor: list[list[Any]] = []
    for row, (lag, axis) in enumerate(unknowns):
        entries: list[Any] = []
        for column in range(row + 1):
            other_lag, other_axis = unknowns[column]
            value = known[axis, other_axis, lag - other_lag]
            if column == row:
                value = value + ridge
                for entry in entries:
                    value = value - entry * entry
                entries.append(_FLOAT(1) / np.sqrt(value))
            else:
                for entry, other in zip(entries, factor[column], strict=False):
                    value = value - entry * other
                entries.append(value * factor[column][column])
        factor.append(entries)
    weights: list[Any] = list(cross)
    for row, entries in enumerate(factor):
        for column in range(row):
            weights[row] = weights[row] - entries[column] * weights[column]
        weights[row] = weights[row] * entries[row]
    for row in range(len(factor) - 1, -1, -1):
        weights[row] = weights[row] * factor[row][row]
        for column in range(row):
            weights[column] = weights[column] - factor[row][column] * weights[row]
    return weights, cross, ridge


def prepare_window(
    settings: InputSettings,
    quantization: Quantization,
    ppg: NDArray[np.float32],
    acc_g: NDArray[np.float32] | None,
) -> NDArray[np.int8]:
    """Windows of T samples -> int8 network input (n, settings.length, channels): last samples, or spectra.

    ppg (n, T): band-passed, any unit; acc_g (n, T, 3) in g, or None. Values outside of the int8 grid are
    clipped; NaN becomes its lowest value. Raises InputError when the shapes do not fit.
    """
    ppg = np.asarray(ppg, _FLOAT)
    samples = settings.window_samples
    if ppg.ndim != 2 or ppg.shape[1] != samples:
        raise InputError(f"ppg must have shape (n, {samples}), got {ppg.shape}; resample it to {settings.rate_hz} Hz")
    if acc_g is not None and acc_g.shape != (*ppg.shape, 3):
        raise InputError(f"acc_g must have shape {(*ppg.shape, 3)}, got {acc_g.shape}")
    motion = acc_g if settings.signals > 1 else None
    signals = normalized_windows(ppg, motion, settings.rate_hz, settings.acc_scale_g)[:, :, : settings.signals]
    if settings.positions is not None:
        with np.errstate(invalid="ignore", over="ignore"):
            return spectra_on_grid(signals, settings.positions, quantization.scale, quantization.zero_point)
    inverse = _FLOAT(1 / quantization.scale)
    with np.errstate(invalid="ignore", over="ignore"):
        out = _to_grid(signals * inverse, quantization)
    return out[:, -settings.length :]


def quantize_input(model: IntegerModel, x: NDArray[np.floating]) -> NDArray[np.int8]:
    """Normalized input (n, T, channels) onto the int8 grid of the network's input, half away from zero."""
    return on_input_grid(model.quantization[model.graph.input.name], x)


def on_input_grid(quantization: Quantization, x: NDArray[np.floating]) -> NDArray[np.int8]:
    """As `quantize_input`, for a grid; any shape."""
    return _to_grid(np.asarray(x, _FLOAT) * _FLOAT(1 / quantization.scale), quantization)


def _sum(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over the last axis, added one by one in order."""
    total: NDArray[np.float32] = np.add.accumulate(values, axis=1, dtype=_FLOAT)[:, -1]
    return total


def _to_grid(steps: NDArray[np.float32], quantization: Quantization) -> NDArray[np.int8]:
    limit = _FLOAT(512)
    bounded = np.where(steps >= -limit, steps, -limit)
    bounded = np.where(bounded <= limit, bounded, limit).astype(_FLOAT)
    rounded = np.trunc(bounded + np.where(bounded >= 0, _FLOAT(0.5), _FLOAT(-0.5))).astype(np.int32)
    return np.clip(rounded + quantization.zero_point, -128, 127).astype(np.int8)
