"""Where labels stand against the signal: a wrong place is named in seconds, and none is invented."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.support.noises import NOISES, noise
from nas.data.recording import Recording
from nas.data.synthetic import simulate
from nas.evaluation.label_alignment import REACH_S, align
from nas.evaluation.recording_check import check_recording


def _warnings(recording: Recording) -> dict[str, str]:
    return {found.check: found.message for found in check_recording(recording) if found.level == "warning"}


@pytest.fixture(scope="module", params=[2, 3])
def sound(request: pytest.FixtureRequest) -> Recording:
    (recording,) = simulate(1, request.param, minutes=6, activities=("sitting", "stairs", "cycling"))
    assert not {"shifted labels", "weak pulse", "no pulse"} & _warnings(recording).keys()
    return recording


def _irregular(recording: Recording, seed: int) -> Recording:
    """The same with half of the labels, at times a second or less from where they stood."""
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(recording.label_count, recording.label_count // 2, replace=False))
    times = np.asarray(recording.label_times_s)
    jitter = rng.uniform(-1, 1, kept.size)
    return dataclasses.replace(
        recording, label_times_s=np.clip(times[kept] + jitter, 4.0, recording.duration_s - 4.0),
        heart_rate_bpm=np.asarray(recording.heart_rate_bpm)[kept], activity=None, trusted=None,
    )  # fmt: skip


@pytest.mark.parametrize("moved_s", [-50, -24, -10, -6, 6, 8, 20, 44])
@pytest.mark.parametrize("is_irregular", [False, True])
def test_labels_moved_against_the_signal_are_found_with_their_shift(
    sound: Recording, moved_s: int, is_irregular: bool
) -> None:
    if is_irregular and abs(moved_s) < 20:
        pytest.skip("half of the labels tell large shifts alone")
    moved = sound.with_label_shift(float(moved_s), "planted")
    (finding,) = (
        one
        for one in check_recording(_irregular(moved, moved_s % 7) if is_irregular else moved)
        if one.check == "shifted labels"
    )
    found_s = finding.details["seconds"]
    assert abs(found_s + moved_s) <= (4 if is_irregular else 2)
    assert f"moved by {found_s:+d} s" in finding.message


@pytest.mark.parametrize("moved_s", [-84, -70, 66, 80, 100])
def test_a_shift_beyond_what_is_searched_is_not_named_as_another_one(sound: Recording, moved_s: int) -> None:
    message = _warnings(sound.with_label_shift(float(moved_s), "planted")).get("shifted labels", "at the edge")
    assert "at the edge" in message and "moved by" not in message


def test_the_edge_is_said_and_what_was_searched(sound: Recording) -> None:
    message = _warnings(sound.with_label_shift(80.0, "planted"))["shifted labels"]
    assert f"-{REACH_S} to +{REACH_S} s" in message and "earlier" in message


def _walk(rng: np.random.Generator, start: float, count: int) -> NDArray[np.float64]:
    return np.clip(start + np.cumsum(rng.normal(0, 0.8, count)), 42, 200)


@pytest.mark.parametrize("kind", NOISES)
def test_labels_are_never_ordered_to_be_moved_where_there_is_no_pulse(kind: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        times = np.arange(4, 396, 2.0)
        recording = Recording(
            "noise", "own", "own/noise", noise(kind, 400, 64, seed)[None], 64.0, label_times_s=times,
            heart_rate_bpm=_walk(rng, (90, 60, 120)[seed % 3], times.size),
        )  # fmt: skip
        found = _warnings(recording)
        assert "shifted labels" not in found and "no pulse" in found


def test_a_weak_pulse_and_an_order_to_move_labels_exclude_each_other(sound: Recording) -> None:
    for loud in (0.0, 1.0, 2.0, 4.0, 8.0, 16.0):
        ppg = sound.ppg + loud * sound.ppg.std() * np.random.default_rng(1).standard_normal(sound.ppg.shape)
        for shift_s in (0.0, 10.0, -30.0):
            moved = dataclasses.replace(sound, ppg=ppg).with_label_shift(shift_s, "planted")
            found = _warnings(moved)
            assert not {"weak pulse", "shifted labels"} <= found.keys()
            if shift_s == 0:
                assert "shifted labels" not in found


def test_gains_that_are_no_gains_move_nothing(sound: Recording) -> None:
    steady = dataclasses.replace(sound, heart_rate_bpm=np.full(sound.label_count, 80.0), trusted=None)
    assert "shifted labels" not in _warnings(steady)
    few = dataclasses.replace(
        sound, label_times_s=np.asarray(sound.label_times_s)[:10], activity=None, trusted=None,
        heart_rate_bpm=np.asarray(sound.heart_rate_bpm)[:10],
    )  # fmt: skip
    assert align(few) is None
