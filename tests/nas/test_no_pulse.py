"""Noise is no pulse: it is told from one whatever its colour and rate, and real rhythms are left in peace."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.support.noises import NOISES, noise
from nas.data.no_pulse import STRETCH_S, clarity, stretches_without_pulse, total_length_s
from nas.data.recording import Recording
from nas.data.sources import load_source
from nas.data.synthetic import simulate
from nas.evaluation.recording_check import check_recording


def _recording(*traces: np.ndarray, rate_hz: float = 64.0) -> Recording:
    return Recording("desk", "own", "own/desk", np.stack(traces), rate_hz)


@pytest.mark.parametrize("rate_hz", [16, 25, 64, 128])
@pytest.mark.parametrize("kind", NOISES)
def test_noise_of_any_colour_and_rate_is_without_pulse(kind: str, rate_hz: int) -> None:
    shares = [
        total_length_s(stretches_without_pulse(_recording(noise(kind, 90, rate_hz, seed), rate_hz=rate_hz))) / 90
        for seed in range(8)
    ]
    assert np.mean(shares) > 0.88 and min(shares) > 0.4


@pytest.mark.parametrize("kind", NOISES)
def test_several_channels_of_noise_make_no_pulse(kind: str) -> None:
    recording = _recording(*(noise(kind, 90, 64, seed) for seed in range(3)))
    assert total_length_s(stretches_without_pulse(recording)) > 80


def test_simulated_wearers_keep_their_pulse_at_rest_and_in_motion() -> None:
    for recording in simulate(5, minutes=4, seed=8):
        assert stretches_without_pulse(recording) == [], recording.name


@pytest.mark.parametrize("depth", [1.0, 0.3])
def test_a_small_pulse_within_noise_is_a_pulse(depth: float) -> None:
    rng, time_s = np.random.default_rng(0), np.arange(64 * 90) / 64
    beats = np.sin(2 * np.pi * np.cumsum(1.3 + 0.05 * np.sin(time_s / 9)) / 64)
    trace = depth * beats + np.cumsum(rng.standard_normal(time_s.size)) * 0.02 + 0.3 * rng.standard_normal(time_s.size)
    assert stretches_without_pulse(_recording(trace)) == []


def test_a_watch_taken_off_for_two_minutes_is_found_where_it_was_off() -> None:
    (worn,) = simulate(1, minutes=6, seed=4)
    ppg = np.array(worn.ppg, np.float64)
    rate = worn.ppg_hz
    first, last = round(120 * rate), round(240 * rate)
    ppg[:, first:last] = noise("three counts", 120, rate, 0)[: last - first]
    (stretch,) = stretches_without_pulse(dataclasses.replace(worn, ppg=ppg))
    assert stretch[0] < 124 and stretch[1] > 236
    assert stretch[0] > 120 - STRETCH_S and stretch[1] < 240 + STRETCH_S
    (found,) = (one for one in check_recording(dataclasses.replace(worn, ppg=ppg)) if one.check == "no pulse")
    assert "the watch is off the wrist" in found.message and found.details["seconds"] >= 112


def test_loudness_and_offset_do_not_matter() -> None:
    trace = noise("white", 60, 64, 3)
    np.testing.assert_allclose(clarity(_recording(trace)), clarity(_recording(40 * trace - 7)), atol=1e-6)


def test_what_is_too_short_or_in_segments_is_not_judged() -> None:
    trace = noise("white", STRETCH_S - 1, 64, 0)
    assert clarity(_recording(trace)).size == 0
    assert stretches_without_pulse(dataclasses.replace(_recording(noise("white", 60, 64, 0)), segment_s=10.0)) == []


@pytest.mark.real_data
@pytest.mark.parametrize(("kind", "folder"), [("ieee_spc", "ieee_spc"), ("bami", "bami"), ("ppg_dalia", "ppg_dalia")])
def test_real_wearers_in_motion_keep_their_pulse(kind: str, folder: str) -> None:
    root = Path(os.environ.get("PPG_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")) / folder
    if not root.exists():
        pytest.skip(f"no recordings at {root}; set PPG_DATA")
    recordings = load_source(kind, root)
    lost = sum(total_length_s(stretches_without_pulse(recording)) for recording in recordings)
    assert lost < 0.05 * sum(recording.duration_s for recording in recordings)
