"""From the signals of a window to their spectra at the heart rates, in single precision.

A network that reads spectra finds a heart rate at the place where it stands: each of its positions is one
frequency, and holds for every signal the logarithm of its power there and at twice that, in the whole window
and in three overlapping halves of it. Hann windows, zero-padded to 32 s, so that neighbouring positions lie
1/32 Hz apart. Four channels before those tell the positions apart: triangle waves over them, each twice as
fast as the one before. kernels/ppgnet_spectrum.c does the same in the same order and equals this bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError

RATE_HZ, WINDOW_S, PADDED_S = 16, 8, 32
PADDED = RATE_HZ * PADDED_S
RESOLUTION_BPM = 60 / PADDED_S
FIRST_POSITION = 16
"""The first frequency is 16/32 Hz: 30 beats a minute."""
STRETCHES = ((0, 4), (0, 2), (1, 2), (2, 2))
"""Start and length of each part of the window, in quarters of it."""
FEATURES = 2 * len(STRETCHES)
"""Channels that each signal becomes: for every stretch its power at f and at 2 f."""
PLACES = 4
"""Channels before those of the signals: where a position stands."""
POSITIONS = 104
"""Frequencies that networks read: 30 to 223.125 beats a minute."""
MOST_POSITIONS = PADDED // 4 - FIRST_POSITION
"""So many that twice the last frequency stays below half the rate."""
FLOOR = 1e-4
CENTRE, SLOPE = 6.0, 0.25
_MANTISSA = 2.0**-23
_FLOAT = np.float32
Floats = NDArray[np.float32]


def position_bpm(position: int) -> float:
    """Beats a minute of the network's position, counted from 0."""
    return (FIRST_POSITION + position) * RESOLUTION_BPM


def spectrum_channels(signals: int) -> int:
    """Channels of the spectra of so many signals."""
    return PLACES + FEATURES * signals


def require_readable(rate_hz: float, window_s: float, positions: int) -> None:
    """Raises InputError where there are no spectra of that rate, window or number of frequencies."""
    if (rate_hz, window_s) != (RATE_HZ, WINDOW_S):
        raise InputError(f"spectra are made of {WINDOW_S} s at {RATE_HZ} Hz, not of {window_s:g} s at {rate_hz:g} Hz")
    if not 2 <= positions <= MOST_POSITIONS:
        raise InputError(f"a spectrum has 2 to {MOST_POSITIONS} positions, not {positions}")


def cosine_table() -> Floats:
    """cos(2 pi k / PADDED) for k = 0 .. PADDED / 4: windows and transforms are made of it."""
    return np.cos(2 * np.pi * np.arange(PADDED // 4 + 1) / PADDED).astype(_FLOAT)


def place_channels(positions: int) -> Floats:
    """Where each position stands, (positions, PLACES), between -1.6 and 1.7."""
    waves = [np.arange(positions, dtype=_FLOAT) * _FLOAT(1 / 32) - _FLOAT(1.6)]
    while len(waves) < PLACES:
        waves.append(np.abs(waves[-1]) * _FLOAT(2) - _FLOAT(1.6))
    return np.stack(waves, axis=1)


def spectra(signals: Floats, positions: int) -> Floats:
    """Signals (n, T, S) at RATE_HZ -> (n, positions, PLACES + S * FEATURES).

    Channels go signal by signal, stretch by stretch. Powers are (log2(power + FLOOR) + 6) / 4, the logarithm
    by a straight line within each octave, which is what the bits of a float hold. Raises InputError as
    `require_readable` does.
    """
    count, samples, channels = signals.shape
    require_readable(RATE_HZ, samples / RATE_HZ, positions)
    powers = np.empty((count, positions, channels, len(STRETCHES), 2), _FLOAT)
    at = FIRST_POSITION + np.arange(positions)
    table, reversed_bits = cosine_table(), _reversed_bits()
    for number, (start, quarters) in enumerate(STRETCHES):
        length, first = samples * quarters // 4, samples * start // 4
        window = _window(table, length)
        for pair in range(0, channels, 2):
            real, imaginary = np.zeros((2, count, PADDED), _FLOAT)
            real[:, :length] = signals[:, first : first + length, pair] * window
            if pair + 1 < channels:
                imaginary[:, :length] = signals[:, first : first + length, pair + 1] * window
            _transform(real, imaginary, table)
            for harmonic in (1, 2):
                here, mirrored = reversed_bits[harmonic * at], reversed_bits[PADDED - harmonic * at]
                sum_r, sum_i = real[:, here] + real[:, mirrored], imaginary[:, here] + imaginary[:, mirrored]
                less_r, less_i = (
                    real[:, here] - real[:, mirrored],
                    imaginary[:, here] - imaginary[:, mirrored],
                )
                powers[:, :, pair, number, harmonic - 1] = _logarithm(sum_r * sum_r + less_i * less_i)
                if pair + 1 < channels:
                    powers[:, :, pair + 1, number, harmonic - 1] = _logarithm(sum_i * sum_i + less_r * less_r)
    places = np.broadcast_to(place_channels(positions), (count, positions, PLACES))
    return np.concatenate([places, powers.reshape(count, positions, -1)], axis=2)


def _window(table: Floats, length: int) -> Floats:
    """Hann window over `length` samples, times the reciprocal of the length."""
    cosine = _circle(table, np.arange(length) * (PADDED // length))[0]
    weight: Floats = (_FLOAT(0.5) - _FLOAT(0.5) * cosine) * _FLOAT(1 / length)
    return weight


def _circle(table: Floats, turn: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Cosine and sine of `turn` / PADDED turns, from the table's quarter."""
    quarter, within = np.divmod(turn, PADDED // 4)
    down, up = table[within], table[PADDED // 4 - within]
    odd = quarter % 2 == 1
    cosine, sine = np.where(odd, up, down), np.where(odd, down, up)
    cosine = np.where((quarter == 1) | (quarter == 2), -cosine, cosine)
    return cosine, np.where(quarter >= 2, -sine, sine)


def _transform(real: Floats, imaginary: Floats, table: Floats) -> None:
    """Discrete Fourier transform along the last axis, in place; frequency k ends at the reversed bits of k.

    Decimation in frequency, radix 2 (Gentleman and Sande 1966).
    """
    half = PADDED // 2
    while half:
        cosine, sine = _circle(table, np.arange(half) * (PADDED // (2 * half)))
        r, i = (part.reshape(len(part), -1, 2, half) for part in (real, imaginary))
        r0, r1, i0, i1 = r[:, :, 0].copy(), r[:, :, 1].copy(), i[:, :, 0].copy(), i[:, :, 1].copy()
        r[:, :, 0], i[:, :, 0] = r0 + r1, i0 + i1
        dr, di = r0 - r1, i0 - i1
        r[:, :, 1], i[:, :, 1] = dr * cosine + di * sine, di * cosine - dr * sine
        half //= 2


def _reversed_bits() -> NDArray[np.intp]:
    """Where each frequency stands after `_transform`."""
    places = np.zeros(1, np.intp)
    while len(places) < PADDED:
        places = np.concatenate([2 * places, 2 * places + 1])
    return places


def _logarithm(power: Floats) -> Floats:
    bits = (power + _FLOAT(FLOOR)).view(np.int32)
    octaves = bits.astype(_FLOAT) * _FLOAT(_MANTISSA) - _FLOAT(127)
    scaled: Floats = (octaves + _FLOAT(CENTRE)) * _FLOAT(SLOPE)
    return scaled
