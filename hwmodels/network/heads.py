"""Integer heads: logits to heart rate, expected error and validity, or to class and probability.

Written for NumPy; kernels/ppgnet_heads.c computes the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.integer_model import ClassSettings, HeartRateSettings

_LARGEST_SPREAD_BPM = 1000.0
"""What kernels compare with where no limit is set: more than any heart rate can be wrong by."""


def belief_tables(scale: float) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """exp(-scale * d) for d = 0, 16, .. 240 (times 65535) and for d = 0..15 (times 32768)."""
    steps = np.arange(16)
    coarse = np.rint(65535 * np.exp(-scale * 16 * steps)).astype(np.uint16)
    return coarse, np.rint(32768 * np.exp(-scale * steps)).astype(np.uint16)


def exponential_table(scale: float) -> NDArray[np.int64]:
    """Belief in a logit d = 0..255 steps below the largest: 65535 * exp(-scale * d), as kernels get it."""
    coarse, fine = (table.astype(np.int64) for table in belief_tables(scale))
    return ((coarse[:, None] * fine[None] + (1 << 14)) >> 15).ravel()


@dataclass(frozen=True)
class HeartRateConstants:
    """Fixed-point form of HeartRateSettings: Q8 BPM, and the step between bins in Q16 BPM."""

    first_q8: int
    step_q16: int
    max_spread_q8: int

    def centres_q8(self, bins: int) -> NDArray[np.int64]:
        """Heart rates (bins,) at which the bins stand."""
        return self.first_q8 + ((np.arange(bins, dtype=np.int64) * self.step_q16) >> 8)


def heart_rate_constants(settings: HeartRateSettings, bins: int) -> HeartRateConstants:
    """The integers that the head of `bins` logits computes with."""
    step = (settings.last_bpm - settings.first_bpm) / (bins - 1)
    limit_bpm = _LARGEST_SPREAD_BPM if settings.max_spread_bpm is None else settings.max_spread_bpm
    return HeartRateConstants(round(settings.first_bpm * 256), round(step * 65536), round(limit_bpm * 256))


def heart_rate_head(logits: NDArray[np.int8], scale: float, settings: HeartRateSettings) -> NDArray[np.int32]:
    """Logits (n, bins) -> (n, 3): heart rate in 1/256 BPM, expected error in 1/256 BPM, valid (0 or 1)."""
    q = logits.astype(np.int64)
    return belief_estimate(exponential_table(scale)[q.max(axis=1, keepdims=True) - q], settings)


def belief_estimate(belief: NDArray[np.int64], settings: HeartRateSettings) -> NDArray[np.int32]:
    """Beliefs (n, bins) of whole numbers up to 65535 -> (n, 3) as `heart_rate_head`.

    The heart rate is the median of the belief, interpolated inside its bin: it minimises the expected
    absolute error, which is the second figure.
    """
    constants = heart_rate_constants(settings, belief.shape[1])
    total = belief.sum(axis=1)
    half = total >> 1
    cumulated = belief.cumsum(axis=1)
    index = (cumulated <= half[:, None]).sum(axis=1)
    rows = np.arange(len(belief))
    here = belief[rows, index]
    before = cumulated[rows, index] - here
    inside_q16 = ((half - before) << 16) // here
    position_q12 = (index << 12) + (inside_q16 >> 4) - 2048
    estimate = constants.first_q8 + ((position_q12 * constants.step_q16) >> 20)
    centres = constants.centres_q8(belief.shape[1])
    deviation = (belief * np.abs(centres[None] - estimate[:, None])).sum(axis=1)
    spread = (deviation >> 8) // (total >> 8)
    return np.stack([estimate, spread, spread <= constants.max_spread_q8], axis=1).astype(np.int32)


def class_head(logits: NDArray[np.int8], scale: float, settings: ClassSettings) -> NDArray[np.int32]:
    """Logits (n, classes) -> (n, 3): class index, its probability in 1/32768, valid (0 or 1)."""
    table = exponential_table(scale)
    q = logits.astype(np.int64)
    total = table[q.max(axis=1, keepdims=True) - q].sum(axis=1)
    probability = (65535 << 15) // total
    valid = probability >= min_probability_q15(settings)
    return np.stack([q.argmax(axis=1), probability, valid], axis=1).astype(np.int32)


def class_probabilities(logits: NDArray[np.int8], scale: float) -> NDArray[np.float64]:
    """Probabilities (n, classes) of all classes by the same table."""
    q = logits.astype(np.int64)
    belief = exponential_table(scale)[q.max(axis=1, keepdims=True) - q].astype(np.float64)
    return belief / belief.sum(axis=1, keepdims=True)


def min_probability_q15(settings: ClassSettings) -> int:
    """The validity threshold in 1/32768."""
    return round((settings.min_probability or 0.0) * 32768)
