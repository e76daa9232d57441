"""The simulator is honest: as hard as real recordings, and its people differ."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from scipy.signal import lfilter

from hwmodels.basics.errors import InputError
from nas.data.synthetic import RHYTHMS, simulate
from nas.data.synthetic.activities import EIGHT_ACTIVITIES
from nas.data.synthetic.artifact import motion_artifact
from nas.data.synthetic.heart import (
    COURSE_HZ,
    ectopic_beats,
    fibrillation_beats,
    mean_rate_bpm,
    rate_course,
    sinus_beats,
)
from nas.data.synthetic.motion import move
from nas.data.synthetic.pulse import wave
from nas.data.synthetic.subject import COUPLING_TAPS, draw_subject
from nas.data.windows import WindowSet, make_windows
from nas.evaluation.baselines import spectral_argmax, spectral_tracker


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    return make_windows([r for seed in (0, 1, 2) for r in _people(seed)], rates=(32,), margin_s=0)


def _people(seed: int) -> list:
    return [dataclasses.replace(recording, subject=f"{seed}/{recording.subject}") for recording in simulate(12, seed)]


def _error(windows: WindowSet, estimate: np.ndarray) -> np.ndarray:
    return np.abs(estimate - windows.heart_rate_bpm)


def test_a_tracker_with_accelerometer_errs_as_on_real_recordings(windows: WindowSet) -> None:
    # IEEE SPC and BAMI-1 give 3.6 and 5.1 BPM on average, 1.5 and 1.6 at the median, with the same tracker.
    error = _error(windows, spectral_tracker(windows)[0])
    assert 3.0 < error.mean() < 8.0
    assert 1.0 < np.median(error) < 2.5


def test_the_plain_argmax_fails_as_on_real_recordings(windows: WindowSet) -> None:
    error = _error(windows, spectral_argmax(windows))
    assert 10.0 < error.mean() < 27.0
    assert 1.0 < np.median(error) < 3.5


def test_without_the_accelerometer_the_tracker_clearly_loses(windows: WindowSet) -> None:
    with_it = _error(windows, spectral_tracker(windows)[0])
    without = _error(windows, spectral_tracker(windows, use_accelerometer=False)[0])
    assert without.mean() > 1.25 * with_it.mean()
    moving = np.isin(windows.activity, ["walking", "stairs"])
    assert without[moving].mean() > 1.5 * with_it[moving].mean()


def test_rest_is_easy_and_walking_is_hard(windows: WindowSet) -> None:
    error = _error(windows, spectral_argmax(windows))
    by_activity = {name: error[windows.activity == name].mean() for name in EIGHT_ACTIVITIES}
    assert by_activity["sitting"] < by_activity["driving"] < by_activity["walking"]


def test_walking_cadence_lies_inside_the_heart_rate_band(windows: WindowSet) -> None:
    chosen = windows.activity == "walking"
    acc = windows.motion(32)[chosen]
    grid = np.fft.rfftfreq(2048, 1 / 32) * 60
    power = np.square(np.abs(np.fft.rfft(acc * np.hanning(256), 2048, axis=2))).sum(axis=(0, 1))
    step = (grid > 80) & (grid < 170)
    assert 100 < grid[step][power[step].argmax()] < 140


def test_people_differ_in_pulse_shape_and_in_motion_coupling() -> None:
    people = [draw_subject(np.random.default_rng([0, number])) for number in range(12)]
    after_s = np.linspace(0, 1, 200)
    waves = np.stack([wave(after_s, person.morphology) for person in people])
    alike = np.corrcoef(waves)[np.triu_indices(12, 1)]
    assert alike.min() < 0.9 and alike.max() < 0.9999
    couplings = np.stack([person.coupling.ravel() for person in people])
    assert np.abs(np.corrcoef(couplings)[np.triu_indices(12, 1)]).mean() < 0.5


def test_a_motion_filter_learnt_on_one_person_fails_on_another() -> None:
    """Least-squares FIRs of the acceleration explain their own person's artifact, not the next one's."""
    explained_own, explained_other = [], []
    filters, data = [], []
    course = np.full(64 * 120, EIGHT_ACTIVITIES.index("walking") + 1)
    for number in range(6):
        rng = np.random.default_rng([3, number])
        person = draw_subject(rng)
        moved = move(course, 64, person, rng)
        artifact = motion_artifact(course, moved, 64, person, rng)
        taps = [lfilter(np.eye(COUPLING_TAPS)[k], [1.0], axis) for axis in moved.dynamic for k in range(0, 32, 2)]
        design = np.stack(taps, axis=1)
        filters.append(np.linalg.lstsq(design, artifact, rcond=None)[0])
        data.append((design, artifact))
    for own, (design, artifact) in enumerate(data):
        for other, weights in enumerate(filters):
            fitted = design @ weights
            share = np.corrcoef(fitted, artifact)[0, 1] ** 2
            (explained_own if own == other else explained_other).append(share)
    assert np.mean(explained_own) > 0.4
    assert np.mean(explained_other) < 0.6 * np.mean(explained_own)


def test_heart_rate_labels_are_those_of_the_beats() -> None:
    rng = np.random.default_rng(0)
    person = draw_subject(rng)
    course = rate_course(np.full(COURSE_HZ * 120, 0.2), person, rng)
    beats = sinus_beats(course, person, rng)
    starts = np.arange(0, 110, 2.0)
    labels = mean_rate_bpm(beats.times_s, starts, 8.0)
    expected = [course[int(s * COURSE_HZ) : int((s + 8) * COURSE_HZ)].mean() for s in starts]
    np.testing.assert_allclose(labels, expected, rtol=0.1)
    np.testing.assert_allclose(labels.mean(), np.mean(expected), rtol=0.02)


def test_rhythms_are_told_apart_by_their_beats() -> None:
    rng = np.random.default_rng(0)
    irregular = {"sinus": [], "AF": []}
    early_weak = []
    for _ in range(20):
        person = draw_subject(rng)
        sinus = sinus_beats(rate_course(np.full(COURSE_HZ * 60, 0.1), person, rng), person, rng)
        fibrillation = fibrillation_beats(60.0, rng)
        ectopic = ectopic_beats(sinus, rng)
        for name, beats in (("sinus", sinus), ("AF", fibrillation)):
            intervals = np.diff(beats.times_s)
            irregular[name].append(np.abs(np.diff(intervals)).mean() / intervals.mean())
        intervals = np.diff(ectopic.times_s)
        assert (intervals > 0.15).all()
        weak = np.flatnonzero(ectopic.amplitudes[1:] < 0.6)
        early_weak.append(intervals[weak].mean() / np.median(intervals))
    assert np.max(irregular["sinus"]) < 0.6 * np.min(irregular["AF"])
    assert np.max(early_weak) < 0.9


def test_rhythm_recordings_hold_every_class_and_carry_windows() -> None:
    recordings = simulate(3, 0, minutes=4, task="rhythm")
    windows = make_windows(recordings, rates=(32,), window_s=10)
    assert windows.rhythm_classes == RHYTHMS and windows.label_kind == "rhythm"
    assert (np.bincount(windows.rhythm, minlength=4) == len(windows) // 4).all()


def test_people_repeat_for_a_seed_however_many_are_asked_for() -> None:
    few, many, other = simulate(2, 0, minutes=1), simulate(3, 0, minutes=1), simulate(2, 1, minutes=1)
    for first, second in zip(few, many, strict=False):
        np.testing.assert_array_equal(first.ppg, second.ppg)
        np.testing.assert_array_equal(first.acc, second.acc)
        np.testing.assert_array_equal(first.heart_rate_bpm, second.heart_rate_bpm)
    assert not np.array_equal(few[0].ppg, other[0].ppg)


def test_twelve_people_for_ten_minutes_take_seconds() -> None:
    begun = time.perf_counter()
    simulate(12, 9)
    assert time.perf_counter() - begun < 10


def test_impossible_requests_are_named() -> None:
    for call, words in (
        (lambda: simulate(1, 0, activities=("swimming",)), "unknown activity 'swimming'"),
        (lambda: simulate(1, 0, activities=()), "no activities"),
        (lambda: simulate(1, 0, task="sleep"), "unknown task 'sleep'"),
        (lambda: simulate(0, 0), "at least 1 subject"),
    ):
        with pytest.raises(InputError, match=words):
            call()
