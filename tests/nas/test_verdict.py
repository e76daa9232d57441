"""The limit of validity: what it keeps to, on whom, and on noise."""

from __future__ import annotations

import numpy as np
import pytest

from nas.evaluation.verdict import FAR_BPM, MOST_FAR, Judged, fitted_limit, noise_recording, strangers


def people(count: int, doubt: float, seed: int) -> Judged:
    """Errors that grow with what is expected, by the factor `doubt`."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.5, 20.0, count)
    return Judged(np.abs(rng.normal(0.0, doubt * spread)), spread)


NONE = np.empty(0)


@pytest.mark.parametrize("doubt", [0.5, 1.0, 2.0])
def test_what_is_valid_is_hardly_far_off(doubt: float) -> None:
    part = people(4000, doubt, 1)
    limit = fitted_limit([part], NONE)
    valid = part.spread_bpm <= limit
    assert (part.error_bpm[valid] > FAR_BPM).mean() <= MOST_FAR
    looser = part.spread_bpm <= 1.5 * limit
    assert valid.all() or (part.error_bpm[looser] > FAR_BPM).mean() > MOST_FAR


def test_the_strictest_decides() -> None:
    known, unknown = people(2000, 0.3, 2), people(2000, 1.5, 3)
    assert fitted_limit([known, unknown], NONE) == fitted_limit([unknown], NONE) < fitted_limit([known], NONE)
    noise = np.full(100, 2.0)
    assert fitted_limit([known, unknown], noise) <= 2.0


def test_strangers_are_nobody_who_is_trained_on_and_noise_has_no_labels() -> None:
    people_, noise = strangers(16, 8)
    assert np.isfinite(people_.heart_rate_bpm).all() and len(np.unique(people_.subject)) == 32
    assert not np.isfinite(noise.heart_rate_bpm).any()
    assert len({noise_recording(number).ppg.tobytes() for number in range(6)}) == 6
