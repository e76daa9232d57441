"""From the signals of a window to their spectra at the heart rates, in single precision.

A network that reads spectra finds a heart rate at the place where it stands: each of its positions is one
frequency, and holds for every signal the logarithm of its power there and at twice that, in the whole window
and in three overlapping halves of it. Hann windows, zero-padded to 32 s, so that neighbouring positions lie
1/32 Hz apart. Four channels before those tell the positions apart: triangle waves over them, each twice as
fast as the one before. kernels/ppgnet_spectrum.c does the same in the same order and equals this bit for bit:
transforms that compute with neither the zeros behind a stretch nor the frequencies that nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
GRID_BITS, PLACE_BITS = 12, 20
SMALLEST_SCALE = 2.0**-9
PLACE_UNITS = 160
_MANTISSA = 2.0**-23
_NAN_WRAPS = 0x7FFFFF
"""Added to the bits of a float, makes NaN of either sign lower than any number."""
_RADIX = 16
_RESIDUES = {0: (0, 8, 16), 1: (1, 9, 17, 25), 2: (2, 10, 18, 26), 3: (3, 11, 19, 27), 4: (4, 12)}
"""Frequencies modulo 32 whose transforms are made, by what they are modulo 8; the others mirror these."""
_FLOAT = np.float32
Floats = NDArray[np.float32]
Complexes = tuple[Floats, Floats]
"""Real and imaginary parts."""


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
    table: Floats = np.cos(2 * np.pi * np.arange(PADDED // 4 + 1) / PADDED).astype(_FLOAT)
    table[-1] = 0
    return table


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
    octaves = _floored_bits(signals, positions).astype(_FLOAT) * _FLOAT(_MANTISSA) - _FLOAT(127)
    powers = (octaves + _FLOAT(CENTRE)) * _FLOAT(SLOPE)
    places = np.broadcast_to(place_channels(positions), (len(signals), positions, PLACES))
    return np.concatenate([places, powers.reshape(len(signals), positions, -1)], axis=2)


@dataclass(frozen=True)
class GridFactors:
    """What brings spectra onto an int8 grid in whole numbers: step = (offset + a multiple of slope) >> GRID_BITS."""

    slope: int
    """Times the bits of a floored power, of which 32 are dropped."""
    offset: int
    place_slope: int
    """Times a place in units of 1 / PLACE_UNITS; PLACE_BITS are dropped of the sum."""
    place_offset: int


def grid_factors(scale: float, zero_point: int) -> GridFactors:
    """Those of the grid. Raises InputError for a scale that they cannot hold."""
    if not scale > SMALLEST_SCALE:
        raise InputError(f"spectra need an input scale above {SMALLEST_SCALE:g}, got {scale:g}; quantize with one")
    middle, step = zero_point + 0.5, 2.0**GRID_BITS
    slope = round(step * 2.0**32 * SLOPE * _MANTISSA / scale)
    zero = step * (middle + (CENTRE - 127) * SLOPE / scale)
    return GridFactors(
        slope=slope,
        offset=round(zero - slope * (_NAN_WRAPS / 2.0**32)),
        place_slope=round(2.0**PLACE_BITS / scale / PLACE_UNITS),
        place_offset=round(middle * 2.0**PLACE_BITS),
    )


def spectra_on_grid(signals: Floats, positions: int, scale: float, zero_point: int) -> NDArray[np.int8]:
    """`spectra` in steps of `scale`, half up, clipped to int8 (n, positions, channels); of NaN the lowest value.

    Equals the rounded floats but where these lie within some thousandths of a step of the middle between two.
    """
    factors = grid_factors(scale, zero_point)
    bits = (_floored_bits(signals, positions) + np.int32(_NAN_WRAPS)).astype(np.int64)
    powers = ((bits * factors.slope >> 32) + factors.offset) >> GRID_BITS
    waves = [5 * np.arange(positions) - PLACE_UNITS * 8 // 5]
    while len(waves) < PLACES:
        waves.append(2 * np.abs(waves[-1]) - PLACE_UNITS * 8 // 5)
    places = (np.stack(waves, axis=1) * factors.place_slope + factors.place_offset) >> PLACE_BITS
    places = np.broadcast_to(places, (len(signals), positions, PLACES))
    joined = np.concatenate([places, powers.reshape(len(signals), positions, -1)], axis=2)
    return np.clip(joined, -128, 127).astype(np.int8)


def _floored_bits(signals: Floats, positions: int) -> NDArray[np.int32]:
    """The bits of power + FLOOR, (n, positions, S, stretches, 2)."""
    count, samples, channels = signals.shape
    require_readable(RATE_HZ, samples / RATE_HZ, positions)
    powers = np.empty((count, positions, channels, len(STRETCHES), 2), _FLOAT)
    at, table = FIRST_POSITION + np.arange(positions), cosine_table()
    by_signal = np.ascontiguousarray(signals.transpose(0, 2, 1))
    for number, (start, quarters) in enumerate(STRETCHES):
        length, first = samples * quarters // 4, samples * start // 4
        found = _powers(by_signal[:, :, first : first + length] * _window(table, length), table)
        for harmonic in (1, 2):
            powers[:, :, :, number, harmonic - 1] = found[:, :, harmonic * at].transpose(0, 2, 1)
    return (powers + _FLOAT(FLOOR)).view(np.int32)


def _window(table: Floats, length: int) -> Floats:
    """Hann window over `length` samples, times twice the reciprocal of the length."""
    cosine = _circle(table, np.arange(length) * (PADDED // length))[0]
    weight: Floats = (_FLOAT(0.5) - _FLOAT(0.5) * cosine) * _FLOAT(2 / length)
    return weight


def _circle(table: Floats, turn: NDArray[np.integer]) -> Complexes:
    """Cosine and sine of `turn` / PADDED turns, from the table's quarter."""
    quarter, within = np.divmod(turn, PADDED // 4)
    down, up = table[within], table[PADDED // 4 - within]
    odd = quarter % 2 == 1
    cosine, sine = np.where(odd, up, down), np.where(odd, down, up)
    cosine = np.where((quarter == 1) | (quarter == 2), -cosine, cosine)
    return cosine, np.where(quarter >= 2, -sine, sine)


def _powers(weighted: Floats, table: Floats) -> Floats:
    """Squared magnitudes of the zero-padded transforms of real stretches (n, S, length): (n, S, PADDED / 2 + 1).

    Frequencies k = 32 a + r are, over a, a transform of 16: of the stretch folded into 16 by phase factors of r
    (the stages that meet zeros alone), then turned by k / PADDED a sample. Those of r + 8, r + 16 and r + 24 share
    a radix-4 butterfly of the fold, and what is real makes r above 16 the mirror image of r below.
    """
    powers = np.empty((*weighted.shape[:2], PADDED // 2 + 1), _FLOAT)
    blocks = weighted.reshape(*weighted.shape[:2], -1, _RADIX)
    count = blocks.shape[2]
    for first, residues in _RESIDUES.items():
        cosine, sine = _circle(table, _RADIX * first * np.arange(count))
        turned = []
        for block in range(4):
            real, imaginary = blocks[:, :, block] * cosine[block], blocks[:, :, block] * sine[block]
            if count > 4:
                real = real + blocks[:, :, block + 4] * cosine[block + 4]
                imaginary = imaginary + blocks[:, :, block + 4] * sine[block + 4]
            turned.append((real, imaginary))
        for residue, folded in zip(residues, _butterfly(turned), strict=False):
            values = [_at(folded, at) for at in range(_RADIX)]
            for at in range(1, _RADIX):
                values[at] = _times(values[at], _circle(table, np.array(residue * at)))
            _sixteen(values, residue, table, powers)
    return powers


def _sixteen(values: Sequence[Complexes], residue: int, table: Floats, powers: Floats) -> None:
    """Powers at frequencies 32 a + residue and their mirror images, of the transform of 16 values, each (n, S)."""
    columns = []
    for column in range(4):
        found = _butterfly(values[column::4])
        for row in range(1, 4) if column else ():
            real, imaginary = found[row]
            cosine, sine = _circle(table, np.array(32 * column * row))
            found[row] = (-imaginary, real) if column == row == 2 else _times(found[row], (cosine, sine))
        columns.append(found)
    for row in range(4):
        found = _butterfly([column[row] for column in columns])
        at = residue + 32 * row
        for place, (real, imaginary) in zip((at, at + 128, 256 - at, 128 - at), found, strict=True):
            powers[:, :, place] = real * real + imaginary * imaginary


def _butterfly(values: Sequence[Complexes]) -> list[Complexes]:
    """The transform of four."""
    (ar, ai), (br, bi), (cr, ci), (dr, di) = values
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, br - dr, bi - di
    return [(er + gr, ei + gi), (fr - hi, fi + hr), (er - gr, ei - gi), (fr + hi, fi - hr)]


def _at(values: Complexes, index: int) -> Complexes:
    return values[0][:, :, index], values[1][:, :, index]


def _times(value: Complexes, turn: Complexes) -> Complexes:
    (real, imaginary), (cosine, sine) = value, turn
    return real * cosine - imaginary * sine, real * sine + imaginary * cosine
