"""From one window of band-passed PPG and acceleration to the network's int8 input, in single precision.

kernels/ppgnet_prepare.c does the same operations in the same order and equals this bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.errors import InputError
from hwmodels.integer_model import InputSettings, IntegerModel, Quantization

SMALLEST_DEVIATION = np.float32(1e-6)
_FLOAT = np.float32


def prepare_window(
    settings: InputSettings,
    quantization: Quantization,
    ppg: NDArray[np.float32],
    acc_g: NDArray[np.float32] | None,
) -> NDArray[np.int8]:
    """Windows of T samples -> int8 network input (n, settings.samples, channels), the windows' last samples.

    ppg (n, T): band-passed, any unit; its mean is subtracted and it is divided by its standard deviation.
    acc_g (n, T, 3) in g, or None for zeros: the mean of each axis is subtracted and the rest divided by
    acc_scale_g. Values outside of the int8 grid are clipped; NaN becomes its lowest value.
    Raises InputError when the shapes do not fit.
    """
    ppg = np.asarray(ppg, _FLOAT)
    samples = settings.window_samples
    if ppg.ndim != 2 or ppg.shape[1] != samples:
        raise InputError(
            f"ppg must have shape (n, {samples}), got {ppg.shape}; resample it to {settings.rate_hz} Hz"
        )
    if acc_g is not None and acc_g.shape != (*ppg.shape, 3):
        raise InputError(f"acc_g must have shape {(*ppg.shape, 3)}, got {acc_g.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        centred = ppg - (_sum(ppg) / _FLOAT(samples))[:, None]
        deviation = np.sqrt(_sum(centred * centred) / _FLOAT(samples))
        deviation = np.where(deviation > SMALLEST_DEVIATION, deviation, SMALLEST_DEVIATION)
        pulse_gain = _FLOAT(1) / (deviation * _FLOAT(quantization.scale))
        out = np.full((*ppg.shape, settings.channels), quantization.zero_point, np.int8)
        out[:, :, 0] = _to_grid(centred * pulse_gain[:, None], quantization)
        if settings.channels == 4 and acc_g is not None:
            gain = acceleration_gain(settings, quantization)
            for axis in range(3):
                values = np.asarray(acc_g[:, :, axis], _FLOAT)
                moved = values - (_sum(values) / _FLOAT(samples))[:, None]
                out[:, :, 1 + axis] = _to_grid(moved * gain, quantization)
    return out[:, -settings.samples :]


def quantize_input(model: IntegerModel, x: NDArray[np.floating]) -> NDArray[np.int8]:
    """Normalized input (n, T, channels) onto the int8 grid of the network's input, half away from zero."""
    quantization = model.quantization[model.graph.input.name]
    return _to_grid(np.asarray(x, _FLOAT) * (_FLOAT(1) / _FLOAT(quantization.scale)), quantization)


def acceleration_gain(settings: InputSettings, quantization: Quantization) -> np.float32:
    """Grid steps per g."""
    return _FLOAT(1.0 / (settings.acc_scale_g * quantization.scale))


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
