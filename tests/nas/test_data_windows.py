"""Windows: rates, causality, normalization, margins, saving; and folds that never share a person."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import Sensors
from hwmodels.network.preparation import ACC_SCALE_G, RIDGE, normalized_windows
from hwmodels.signals.filters import filter_rate_hz, rate_ratio
from nas.data.folds import Fold, subject_folds
from nas.data.preprocess import BAND_HZ, band_pass, resample
from nas.data.recording import Recording
from nas.data.windows import WindowSet, concatenate, make_windows


def _recording(
    seconds: float = 60.0,
    hz: float = 64.0,
    bpm: float = 90.0,
    channels: int = 1,
    acc: bool = True,
    subject: str = "a",
    seed: int = 0,
) -> Recording:
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * hz)) / hz
    pulse = np.sin(2 * np.pi * bpm / 60 * time_s) + 0.3 * np.sin(4 * np.pi * bpm / 60 * time_s)
    gains = np.arange(1, channels + 1)[:, None]
    ppg = 20000 + 100 * gains * pulse + rng.standard_normal((channels, time_s.size))
    motion = np.array([[0.0], [0.0], [1.0]]) + 0.1 * rng.standard_normal((3, time_s.size))
    times = np.arange(4.0, seconds - 4.0 + 1e-9, 2.0)
    return Recording(
        name=f"{subject}.mat",
        source="test",
        subject=subject,
        ppg=ppg.astype(np.float32),
        ppg_hz=hz,
        acc=motion.astype(np.float32) if acc else None,
        acc_hz=hz,
        label_times_s=times,
        heart_rate_bpm=np.full(times.size, bpm) + np.arange(times.size) * 0.01,
    )


@settings(max_examples=25, deadline=None)
@given(
    hz=st.sampled_from([25.0, 32.0, 50.0, 64.0, 100.0, 125.0]),
    rate=st.sampled_from([16, 20, 25, 32, 50]),
    bpm=st.floats(45, 200),
)
def test_a_pulse_keeps_its_frequency_through_every_change_of_rate(hz: float, rate: int, bpm: float) -> None:
    windows = make_windows([_recording(hz=hz, bpm=bpm)], rates=(rate,))
    x = windows.normalized(rate)[3:-3, 0] * np.hanning(8 * rate)
    grid = np.fft.rfftfreq(2**14, 1 / rate) * 60
    peak = grid[np.abs(np.fft.rfft(x, 2**14, axis=1)).argmax(axis=1)]
    np.testing.assert_allclose(peak, bpm, atol=2.0)


def test_windows_of_16_hz_are_filtered_at_a_rate_that_holds_the_band() -> None:
    assert [filter_rate_hz(rate, BAND_HZ) for rate in (8, 16, 20, 25, 32, 64)] == [32, 32, 20, 25, 32, 64]


def test_band_pass_is_causal_and_starts_settled() -> None:
    rng = np.random.default_rng(0)
    signal = 30000.0 + rng.standard_normal(640)
    later = signal.copy()
    later[400:] += 100
    np.testing.assert_array_equal(band_pass(signal, 32)[:400], band_pass(later, 32)[:400])
    assert np.abs(band_pass(np.full(100, 30000.0), 32)).max() < 1e-6
    # Oracle: the same filter fed sample by sample after a long constant past.
    past = np.concatenate([np.full(20_000, signal[0]), signal])
    oracle = sosfilt(butter(2, BAND_HZ, "bandpass", fs=32, output="sos"), past)[20_000:]
    np.testing.assert_allclose(band_pass(signal, 32), oracle, atol=1e-6)


def test_resampling_a_line_gives_the_line() -> None:
    line = 1000 + 3.0 * np.arange(500) / 125
    np.testing.assert_allclose(resample(line, 125, 32)[12:-12], 1000 + 3.0 * np.arange(128)[12:-12] / 32, rtol=1e-3)


def test_windows_stand_where_their_labels_do() -> None:
    recording = _recording()
    windows = make_windows([recording], rates=(16, 32))
    np.testing.assert_allclose(windows.start_s, recording.label_times_s - 4)
    np.testing.assert_allclose(windows.heart_rate_bpm, recording.heart_rate_bpm, rtol=1e-6)
    acc = windows.centre(32)[:, 1:]
    full = resample(recording.acc, 64, 32)
    for number, start in enumerate(windows.start_s):
        first = round(start * 32)
        np.testing.assert_allclose(acc[number], full[:, first : first + 256], atol=1e-6)


def test_margins_are_the_true_neighbourhood_and_reflect_at_the_edges() -> None:
    windows = make_windows([_recording()], rates=(32,), margin_s=1.5)
    held, margin = windows.inputs[32], 48
    np.testing.assert_array_equal(held[5, 1:, margin + 64 :][:, : 256 - 64], windows.centre(32)[6, 1:, : 256 - 64])
    first = held[0, 1:]
    np.testing.assert_array_equal(first[:, :margin], first[:, margin + 1 : 2 * margin + 1][:, ::-1])
    last = held[-1, 1:]
    np.testing.assert_array_equal(last[:, -margin:], last[:, -2 * margin - 1 : -margin - 1][:, ::-1])


def test_steps_and_lengths_follow_the_settings() -> None:
    recording = _recording()
    assert len(make_windows([recording], rates=(32,), step_s=4)) == (recording.label_count + 1) // 2
    ten = make_windows([recording], rates=(32,), window_s=10, margin_s=0)
    assert ten.centre(32).shape[2] == 320
    np.testing.assert_allclose(ten.start_s[0], 1.0)


def test_a_recording_without_labels_gives_windows_with_unknown_ones() -> None:
    ppg = np.random.default_rng(0).standard_normal((1, 640)).astype(np.float32)
    windows = make_windows([Recording("r", "s", "p", ppg, 32.0)], rates=(32,))
    assert len(windows) == 7 and windows.label_kind == "none" and not windows.has_acc.any()
    assert not windows.centre(32)[:, 1:].any()


def normalize(x: np.ndarray) -> np.ndarray:
    """(n, 4, T) PPG and g -> the signals (n, 4, T)."""
    return normalized_windows(x[:, 0].astype(np.float32), x[:, 1:].transpose(0, 2, 1).astype(np.float32), 32).transpose(
        0, 2, 1
    )


@settings(max_examples=30, deadline=None)
@given(
    offset=st.floats(-5e4, 5e4),
    scale=st.floats(0.1, 1e4),
    shift_g=st.floats(-2, 2),
    seed=st.integers(0, 2**20),
)
def test_normalization_forgets_offset_and_gain(offset: float, scale: float, shift_g: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 4, 128))
    y = x.copy()
    y[:, 0] = y[:, 0] * scale + offset
    y[:, 1:] += shift_g
    np.testing.assert_allclose(normalize(y), normalize(x), atol=2e-2 + 1e-2 * abs(offset) / scale / 50)
    np.testing.assert_allclose(normalize(x)[:, 0].std(axis=1), 1, rtol=1e-5)


def test_what_motion_explains_of_the_pulse_is_taken_away() -> None:
    """Oracle: ridge regression by a general solver in double precision."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((4, 4, 256))
    x[:, 0] += 3 * np.roll(x[:, 1], 4, axis=1) - 2 * np.roll(x[:, 3], -2, axis=1)
    pulse, cleaned, motion, explained = normalize(x).transpose(1, 0, 2)
    axes = (x[:, 1:] - x[:, 1:].mean(axis=2, keepdims=True)) / ACC_SCALE_G
    for number in range(4):
        basis = np.concatenate([np.roll(axes[number], 2 * lag, axis=1) for lag in range(-4, 5)])
        ridge = RIDGE * np.square(axes[number]).sum() / 3 + 1e-3
        weights = np.linalg.solve(basis @ basis.T + ridge * np.eye(27), basis @ pulse[number])
        np.testing.assert_allclose(explained[number], weights @ basis, atol=2e-4)
        left = pulse[number] - weights @ basis
        np.testing.assert_allclose(cleaned[number], left / left.std(), atol=2e-3)
        assert left.std() < 0.4
        magnitude = np.sqrt(np.square(axes[number]).sum(axis=0))
        np.testing.assert_allclose(motion[number], magnitude - magnitude.mean(), atol=1e-4)


def test_turning_the_sensor_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((2, 4, 256))
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    turned = np.concatenate([x[:, :1], turn @ x[:, 1:]], axis=1)
    np.testing.assert_allclose(normalize(turned), normalize(x), atol=1e-3)


def test_without_motion_nothing_is_explained() -> None:
    x = np.random.default_rng(6).standard_normal((2, 4, 128))
    x[:, 1:] = 0.7
    out = normalize(x)
    np.testing.assert_allclose(out[:, 1], out[:, 0], atol=1e-4)
    assert np.abs(out[:, 2:]).max() < 1e-3


def test_a_flat_window_becomes_zeros_and_touches_no_other() -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 64)).astype(np.float32)
    x[0, 0] = 5.0
    out = normalize(x)
    assert not out[0, 0].any() and np.isfinite(out).all() and out[1, 0].std() == pytest.approx(1, rel=1e-5)


def test_channels_weigh_alike_whatever_their_gain() -> None:
    one, three = _recording(channels=1), _recording(channels=3)
    np.testing.assert_allclose(
        make_windows([three], rates=(32,)).normalized(32)[:, 0].mean(axis=0),
        make_windows([one], rates=(32,)).normalized(32)[:, 0].mean(axis=0),
        atol=0.05,
    )


def test_normalization_sees_its_own_window_only() -> None:
    recording = _recording()
    loud = recording.ppg.copy()
    loud[:, 40 * 64 :] *= 50
    changed = make_windows([dataclasses.replace(recording, ppg=loud)], rates=(32,), margin_s=0)
    before = make_windows([recording], rates=(32,), margin_s=0)
    # Resampling is symmetric, so what precedes the change by its half length stays untouched.
    early = before.start_s + 8 < 39
    np.testing.assert_array_equal(changed.inputs[32][early], before.inputs[32][early])


def test_subsets_joins_and_files_keep_every_window(tmp_path: Path) -> None:
    windows = make_windows([_recording(subject="a"), _recording(subject="b", seed=1, acc=False)], rates=(16, 32))
    first, second = windows.of_subjects(["a"]), windows.of_subjects(["b"])
    joined = concatenate([first, second])
    joined.save(tmp_path / "w.npz")
    loaded = WindowSet.load(tmp_path / "w.npz")
    for rate in (16, 32):
        np.testing.assert_array_equal(loaded.inputs[rate], windows.inputs[rate])
    assert loaded.subject.tolist() == windows.subject.tolist()
    assert loaded.recording_names == windows.recording_names == ("a.mat", "b.mat")
    assert loaded.recording.tolist() == windows.recording.tolist()
    assert loaded.has_acc.tolist() == windows.has_acc.tolist()
    assert (loaded.window_s, loaded.margin_s) == (8.0, 1.5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"foreign"])
def test_a_foreign_window_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.npz: not a readable window file"):
        WindowSet.load(tmp_path / "w.npz")
    windows = make_windows([_recording()], rates=(16,))
    windows.save(tmp_path / "w.npz")
    whole = (tmp_path / "w.npz").read_bytes()
    for share in (0.3, 0.7, 0.99):
        (tmp_path / "w.npz").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError):
            WindowSet.load(tmp_path / "w.npz")


def test_bad_requests_are_named() -> None:
    for call, words in (
        (lambda: make_windows([]), "no recordings"),
        (
            lambda: make_windows([_recording(seconds=9.0)], rates=(32,), window_s=20),
            "no recording is as long",
        ),
        (lambda: make_windows([_recording()], rates=(32,), window_s=8.01), "window_s"),
        (lambda: make_windows([_recording()], rates=(32,)).centre(16), "no rate 16 Hz"),
    ):
        with pytest.raises(InputError, match=words):
            call()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    n_folds=st.integers(2, 7),
    seed=st.integers(0, 1000),
)
def test_folds_test_everyone_once_and_never_share_a_person(sizes: list[int], n_folds: int, seed: int) -> None:
    subjects = [f"{group}/{number}" for group, size in enumerate(sizes) for number in range(size)]
    strata = [name.split("/")[0] for name in subjects]
    if len(subjects) < n_folds or len(subjects) - -(-len(subjects) // n_folds) < 2:
        with pytest.raises(InputError, match="too few"):
            subject_folds(subjects, n_folds, seed, strata=strata)
        return
    folds = subject_folds(subjects, n_folds, seed, strata=strata)
    assert sorted(name for fold in folds for name in fold.test) == sorted(subjects)
    for fold in folds:
        assert sorted(fold.train + fold.validation + fold.test) == sorted(subjects)
        assert fold.train and fold.validation and fold.test
    for group, size in enumerate(sizes):
        per_fold = [sum(name.startswith(f"{group}/") for name in fold.test) for fold in folds]
        assert max(per_fold) - min(per_fold) <= 1, (size, per_fold)
    shuffled = np.random.default_rng(0).permutation(len(subjects))
    again = subject_folds([subjects[i] for i in shuffled] * 2, n_folds, seed, strata=[strata[i] for i in shuffled] * 2)
    assert again == folds


def test_impossible_folds_are_named() -> None:
    for call, words in (
        (lambda: Fold(("a",), ("b",), ("a", "c")), "'a' is in train and in test"),
        (lambda: Fold(("a",), (), ("c",)), "no subject left for validation"),
        (lambda: subject_folds(["a", "b", "c"], 5, 0), "3 subjects are too few for 5 folds"),
        (lambda: subject_folds(["a", "a", "b", "c"], 2, 0, strata=["x", "y", "x", "x"]), "two strata"),
        (lambda: subject_folds(["a", "b", "c"], 1, 0), "at least 2"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_heart_rates_and_rhythms_are_not_mixed() -> None:
    def labelled(**labels: object) -> WindowSet:
        windows = make_windows([_recording()], rates=(16,), window_s=8, step_s=2, margin_s=1)
        return dataclasses.replace(windows, **labels)  # type: ignore[arg-type]

    beats = labelled()
    count = len(beats)
    rhythms = labelled(heart_rate_bpm=np.full(count, np.nan, np.float32), rhythm=np.zeros(count, np.int64))
    assert (beats.label_kind, rhythms.label_kind) == ("heart_rate", "rhythm")
    with pytest.raises(InputError, match="labels are mixed; train one kind at a time"):
        _ = concatenate([beats, rhythms]).label_kind


@given(st.floats(4.0, 10_000.0), st.sampled_from([16, 25, 32, 64, 100]))
def test_any_rate_converts_by_a_ratio_of_small_whole_numbers(rate_hz: float, network_hz: int) -> None:
    ratio = rate_ratio(rate_hz, network_hz)
    assert max(ratio.numerator, ratio.denominator) <= 20_000
    assert float(ratio) * rate_hz == pytest.approx(network_hz, rel=2e-4)


def test_rates_of_two_decimals_convert_exactly_where_they_did() -> None:
    for rate_hz in (25.01, 51.2, 64.0, 100.0, 125.0, 127.93, 256.0):
        assert rate_ratio(rate_hz, 32) == Fraction(32) / Fraction(str(rate_hz))


@pytest.mark.parametrize("rate_hz", [0.0, -25.0, 3.99, 10_001.0, float("nan"), float("inf")])
def test_rates_that_no_sensor_has_are_refused_alike_in_recordings_and_in_firmware(rate_hz: float) -> None:
    ppg = np.random.default_rng(0).standard_normal((1, 640))
    for make in (lambda: Recording("walk.npz", "own", "own/a", ppg, rate_hz), lambda: Sensors(ppg_hz=rate_hz)):
        with pytest.raises(InputError, match=r"ppg_hz: must lie in \[4, 10000\] Hz"):
            make()
