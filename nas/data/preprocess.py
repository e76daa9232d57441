"""From a recording's own rates to a network's rate: polyphase resampling and the causal band-pass.

Between Recording and windows. Firmware runs the same filters in integers (hwmodels/firmware/front_end.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly, sosfilt, sosfilt_zi

from hwmodels.basics.errors import InputError
from hwmodels.signals.filters import BAND_HZ, band_pass_sections, filter_rate_hz, rate_ratio
from nas.data.recording import FloatArray, Recording

_PRE_ROLL_S = 4.0


def resample(signal: FloatArray, from_hz: float, to_hz: float) -> NDArray[np.float64]:
    """The last axis resampled by an exact rational ratio with a linear-phase polyphase filter.

    Both ends are continued by their last value. Offsets leave -60 dB of ripple: remove large ones before.
    Raises InputError if the two rates have no ratio of whole numbers up to 20000.
    """
    wide = np.asarray(signal, dtype=np.float64)
    ratio = rate_ratio(from_hz, to_hz)
    if ratio == 1:
        return wide
    return resample_poly(wide, ratio.numerator, ratio.denominator, axis=-1, padtype="edge")


def band_pass(signal: FloatArray, rate_hz: float, band_hz: tuple[float, float] = BAND_HZ) -> NDArray[np.float64]:
    """The last axis filtered forward only; the filter starts settled on the first sample's level."""
    wide = np.asarray(signal, dtype=np.float64)
    sections = band_pass_sections(rate_hz, band_hz)
    settled = sosfilt_zi(sections)
    settled = settled.reshape(settled.shape[0], *(1,) * (wide.ndim - 1), 2)
    state = settled * wide[..., :1]
    filtered, _ = sosfilt(sections, wide, axis=-1, zi=state)
    return filtered


def segments_of(recording: Recording, signal: FloatArray, rate_hz: float) -> FloatArray:
    """Signal (channels, n) as (channels, segments, samples): one segment unless the recording has several."""
    if recording.segment_s is None:
        return signal[:, None, :]
    length = round(recording.segment_s * rate_hz)
    if length == 0 or signal.shape[1] % length:
        raise InputError(
            f"{recording.name}: {signal.shape[1]} samples are no multiple of segments of "
            f"{recording.segment_s} s; check segment_s and the rate"
        )
    return signal.reshape(signal.shape[0], -1, length)


def pulse_at(recording: Recording, rate_hz: int, band_hz: tuple[float, float] = BAND_HZ) -> NDArray[np.float64]:
    """The PPG band-passed and at rate_hz: (channels, segments, samples).

    A rate too low to hold the band is reached by filtering at a multiple of it and decimating.
    Segments cut from a longer signal get a reflected pre-roll in which the filter settles.
    """
    filter_hz = filter_rate_hz(rate_hz, band_hz)
    ppg = segments_of(recording, np.asarray(recording.ppg, dtype=np.float64), recording.ppg_hz)
    # The offset is taken from the first second: nothing of the future reaches a window.
    start = ppg[..., : max(1, round(recording.ppg_hz))]
    ppg = resample(ppg - np.median(start, axis=-1, keepdims=True), recording.ppg_hz, filter_hz)
    if recording.segment_s is None:
        return resample(band_pass(ppg, filter_hz, band_hz), filter_hz, rate_hz)
    roll = min(round(_PRE_ROLL_S * filter_hz), ppg.shape[-1] - 1)
    rolled = np.concatenate([2 * ppg[..., :1] - ppg[..., roll:0:-1], ppg], axis=-1)
    return resample(band_pass(rolled, filter_hz, band_hz)[..., roll:], filter_hz, rate_hz)


def acceleration_at(recording: Recording, rate_hz: int) -> NDArray[np.float64] | None:
    """The accelerometer in g at rate_hz: (3, segments, samples), or None if there is none."""
    if recording.acc is None:
        return None
    acc = segments_of(recording, np.asarray(recording.acc, dtype=np.float64), recording.acc_hz)
    return resample(acc, recording.acc_hz, rate_hz)
