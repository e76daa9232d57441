"""TFLite's fixed-point arithmetic over NumPy integers.

Single steps are written out literally; what the interpreter spends its time with is their composition in fewer passes
over the values, which tests hold against them, as they do the kernels' forms.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
INT8_MIN, INT8_MAX = -128, 127


def quantized_multiplier(real: float) -> tuple[int, int]:
    """A real factor >= 0 as (multiplier in [2^30, 2^31), shift): real = multiplier / 2^31 * 2^shift.

    TFLite's QuantizeMultiplier: factors below 2^-32 become zero.
    """
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier >> 1, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def saturating_rounding_doubling_high_multiply(a: ArrayLike, b: ArrayLike) -> NDArray[np.int64]:
    """gemmlowp's SaturatingRoundingDoublingHighMul over int32 values."""
    a, b = np.broadcast_arrays(np.asarray(a, np.int64), np.asarray(b, np.int64))
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    quotient = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    return np.where((a == b) & (a == _INT32_MIN), _INT32_MAX, quotient)


def rounding_divide_by_power_of_two(x: ArrayLike, exponent: ArrayLike) -> NDArray[np.int64]:
    """gemmlowp's RoundingDivideByPOT: x / 2^exponent, half away from zero."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def multiply_by_quantized_multiplier(x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> NDArray[np.int64]:
    """TFLite's MultiplyByQuantizedMultiplier of multipliers >= 0, double rounding; positive shifts go left and wrap.

    Each rounding is one addition and one arithmetic shift: half up of the product's high word, which is what truncation
    of the nudged one amounts to for either sign; then half away from zero, for which what is negative loses 1.
    """
    shift = np.asarray(shift, np.int64)
    value = np.asarray(x, np.int64)
    if (shift > 0).any():
        value = (((value << np.maximum(shift, 0)) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    value = np.multiply(value, np.asarray(multiplier, np.int64))
    value += 1 << 30
    value >>= 31
    right = np.maximum(-shift, 0)
    if right.any():
        value -= (value < 0) & (right > 0)
        value += (np.int64(1) << right) >> 1
        value >>= right
    return value


def clamp_int8(x: ArrayLike, low: int = INT8_MIN) -> NDArray[np.int8]:
    """Clamp to [low, 127] and store as int8."""
    return np.clip(x, low, INT8_MAX).astype(np.int8)
