"""Latency, energy and average power of an inference from its cycles: one formula for one and for many.

The scalar cost passes integers, the vectorised one integer arrays; results agree to the last bit.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy.typing as npt

DEFAULT_PERIOD_S = 2.0

Number = TypeVar("Number", float, npt.NDArray[Any])


def latency_ms(cycles: Number, clock_hz: int) -> Number:
    """Milliseconds that `cycles` take at `clock_hz`."""
    return cycles / (clock_hz * 1e-3)


def energy_mj(cycles: Number, nj_per_cycle: float) -> Number:
    """Millijoules that the active core takes for `cycles`."""
    return cycles * (nj_per_cycle * 1e-6)


def average_power_mw(energy: Number, latency: Number, sleep_mw: float, period_s: float = DEFAULT_PERIOD_S) -> Number:
    """Average milliwatts of one inference (mJ, ms) every `period_s` seconds, asleep in between.

    An inference longer than the period never sleeps.
    """
    asleep = 1.0 - latency / (period_s * 1e3)
    return energy / period_s + (asleep + abs(asleep)) / 2 * sleep_mw
