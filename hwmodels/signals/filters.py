"""The filters between a sensor's samples and a network's: the anti-alias filter and the causal band-pass.

Designed here once; training applies them in floating point (nas/data/preprocess.py), firmware in integers
(hwmodels/firmware/front_end.py and hwmodels/c/front_end/).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, firwin, sosfilt

from hwmodels.basics.errors import InputError

FILTER_ORDER = 2
BAND_HZ = (0.4, 8.0)
"""What networks read of the light: pulse rates from 24 BPM on, with harmonics that give a beat its shape."""
LEAST_ACC_HZ = 8.0
"""Of an accelerometer: motion at the highest heart rate, 220 BPM, has 3.7 Hz."""
SECTION_BITS = 29
"""Fraction bits of the band-pass's coefficients, all of which lie below 4."""
SIGNAL_BITS = 8
"""Fraction bits of a sensor count from the first filter on."""
RATES_HZ = (4.0, 10_000.0)
"""Lowest and highest rate of a sensor, in recordings and in firmware alike."""
_LARGEST_RATIO = 20_000
_RATIO_ERROR = 1e-6
_LARGEST_SIGNAL = 1 << 30
# scipy.signal.resample_poly's default: ten zero crossings to either side under a Kaiser window.
_CROSSINGS, _KAISER_BETA = 10, 5.0


def filter_rate_hz(rate_hz: int, band_hz: tuple[float, float]) -> int:
    """The rate at which the band-pass runs for a network of rate_hz: rate_hz doubled until the band fits."""
    rate = rate_hz
    while rate <= 2.25 * band_hz[1]:
        rate *= 2
    return rate


def band_pass_sections(rate_hz: float, band_hz: tuple[float, float]) -> NDArray[np.float64]:
    """Second-order sections (sections, 6) of the Butterworth band-pass at that rate."""
    return butter(FILTER_ORDER, band_hz, btype="bandpass", fs=rate_hz, output="sos")


def require_band_rate(field: str, rate_hz: float, band_hz: tuple[float, float]) -> None:
    """Raise InputError naming the field where light sampled at that rate cannot hold the band (Nyquist)."""
    if rate_hz < 2 * band_hz[1]:
        raise InputError(
            f"{field}: {rate_hz:g} Hz is too low for the band of {band_hz[0]:g} to {band_hz[1]:g} Hz that "
            f"networks read; sample at {2 * band_hz[1]:g} Hz or more"
        )


def rate_ratio(from_hz: float, to_hz: float) -> Fraction:
    """to_hz / from_hz as whole numbers up to 20000: exactly where that is possible, else to less than 0.1 %.

    Of near ratios, the one of the smallest numbers is taken that is off by a millionth at most (7 ms in two hours), for
    the filter's length is theirs. Raises InputError for rates outside of 4 to 10000 Hz.
    """
    for rate_hz in (from_hz, to_hz):
        require_usable_rate("rate", rate_hz)
    exact = exact_ratio(from_hz, to_hz)
    if exact is not None:
        return exact
    ratio = _ratio(from_hz, to_hz)
    below_one = min(ratio, 1 / ratio)
    largest, near = 1, Fraction(0)
    while largest < _LARGEST_RATIO and abs(near / below_one - 1) > _RATIO_ERROR:
        largest = min(2 * largest, _LARGEST_RATIO)
        near = below_one.limit_denominator(largest)
    return near if ratio < 1 else 1 / near


def exact_ratio(from_hz: float, to_hz: float) -> Fraction | None:
    """to_hz / from_hz in whole numbers up to 20000, or None where that takes larger ones."""
    ratio = _ratio(from_hz, to_hz)
    return ratio if max(ratio.numerator, ratio.denominator) <= _LARGEST_RATIO else None


def _ratio(from_hz: float, to_hz: float) -> Fraction:
    return Fraction(to_hz).limit_denominator(1000) / Fraction(from_hz).limit_denominator(1000)


def require_usable_rate(field: str, rate_hz: float) -> None:
    """Raise InputError naming the field unless the rate is one that sensors have."""
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise InputError(f"{field}: must lie in [{low:g}, {high:g}] Hz, got {rate_hz:g}; give the sampling rate in Hz")


@dataclass(frozen=True, eq=False)
class IntegerResampler:
    """A polyphase filter in integers: output k is the input at `down` / `up` * k, `up` times interpolated.

    coefficients: the first half of the symmetric impulse response, its middle included, int16 (half + 1,), in
    1 / 2^shift. An output needs the inputs up to `half` / `up` samples after its own time.
    """

    up: int
    down: int
    half: int
    shift: int
    coefficients: NDArray[np.int16]

    @property
    def taps(self) -> int:
        """Inputs that an output is made of, at most."""
        return 2 * self.half // self.up + 1

    @property
    def response(self) -> NDArray[np.int64]:
        """The whole impulse response (2 half + 1,)."""
        held = self.coefficients.astype(np.int64)
        return np.concatenate([held, held[-2::-1]])


def integer_resampler(from_hz: float, to_hz: float) -> IntegerResampler:
    """The filter of scipy's resample_poly between two rates, in 16-bit coefficients.

    Raises InputError for rates outside of 4 to 10000 Hz.
    """
    ratio = rate_ratio(from_hz, to_hz)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return IntegerResampler(1, 1, 0, 14, np.array([1 << 14], np.int16))
    half = _CROSSINGS * max(up, down)
    response = up * firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", _KAISER_BETA))
    shift = int(np.floor(np.log2(32767 / np.abs(response).max())))
    return IntegerResampler(up, down, half, shift, np.rint(response[: half + 1] * 2.0**shift).astype(np.int16))


def integer_sections(rate_hz: float, band_hz: tuple[float, float]) -> NDArray[np.int32]:
    """The band-pass's sections (sections, 5): b0, b1, b2, -a1, -a2 in 1 / 2^29.

    Raises InputError for a band in which an input of 16 bits could overflow 32.
    """
    sections = band_pass_sections(rate_hz, band_hz)
    # The sum of an impulse response's magnitudes bounds what any input can become.
    impulse = np.zeros(round(40 * rate_hz / band_hz[0]))
    impulse[0] = 2.0 ** (18 + SIGNAL_BITS)
    for count in range(1, len(sections) + 1):
        if np.abs(sosfilt(sections[:count], impulse)).sum() > _LARGEST_SIGNAL:
            raise InputError(f"band {band_hz[0]:g} to {band_hz[1]:g} Hz: too narrow for 32-bit filtering")
    held = np.rint(sections * 2.0**SECTION_BITS).astype(np.int64)
    return np.column_stack([held[:, :3], -held[:, 4:]]).astype(np.int32)
