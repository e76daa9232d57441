"""`data check`: each planted fault is found, and a sound recording is left in peace."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from nas.data.recording import Recording, trusted_labels
from nas.data.synthetic import simulate
from nas.evaluation.recording_check import check_path, check_recording, longest_flat_s, saturated_share


def _named(recording: Recording) -> set[str]:
    return {finding.check for finding in check_recording(recording) if finding.level == "warning"}


@pytest.fixture(scope="module")
def sound() -> Recording:
    (recording,) = simulate(1, 2, minutes=6, activities=("sitting", "stairs", "cycling"))
    assert _named(recording) == set()
    return recording


def test_glitches_saturation_flat_stretches_and_units_are_found(sound: Recording) -> None:
    bpm = sound.heart_rate_bpm.copy()
    bpm[50] += 60
    assert "label glitch" in _named(dataclasses.replace(sound, heart_rate_bpm=bpm, trusted=trusted_labels(bpm)))
    limit = np.quantile(np.abs(sound.ppg), 0.9)
    assert "saturation" in _named(dataclasses.replace(sound, ppg=np.clip(sound.ppg, -limit, limit)))
    flat = sound.ppg.copy()
    flat[:, 5000:5300] = flat[:, 5000:5001]
    assert "flat stretch" in _named(dataclasses.replace(sound, ppg=flat))


def test_missing_accelerometer_labels_and_pulse_are_found(sound: Recording) -> None:
    assert "no accelerometer" in _named(dataclasses.replace(sound, acc=None))
    bare = dataclasses.replace(sound, label_times_s=None, heart_rate_bpm=None, activity=None, trusted=None, rhythm=None)
    assert "no labels" in _named(bare)
    noise = np.random.default_rng(0).standard_normal(sound.ppg.shape).astype(np.float32)
    assert "weak pulse" in _named(dataclasses.replace(sound, ppg=noise))


def test_saturation_and_flatness_count_what_they_say() -> None:
    trace = np.array([0, 1, 2, 5, 5, 5, 5, 2, 1, 0, 0, 3.0])
    assert saturated_share(trace) == pytest.approx(4 / 12)
    assert longest_flat_s(trace, 2.0) == pytest.approx(2.0)


def _write(path: Path, recording: Recording) -> None:
    np.savez(
        path,
        ppg=recording.ppg,
        ppg_hz=recording.ppg_hz,
        heart_rate_bpm=recording.heart_rate_bpm,
        label_times_s=recording.label_times_s,
    )


def test_a_folder_is_checked_file_by_file_and_copies_are_found(tmp_path: Path, sound: Recording) -> None:
    _write(tmp_path / "a.npz", sound)
    _write(tmp_path / "b.npz", sound)
    (tmp_path / "c.npz").write_bytes(b"broken")
    findings = check_path(tmp_path)
    assert [finding.recording for finding in findings if finding.check == "duplicate"] == ["b.npz"]
    assert [finding.recording for finding in findings if finding.level == "error"] == ["c.npz"]
    found = [finding for finding in findings if finding.level == "found"]
    assert [finding.details["subject"] for finding in found] == ["own/a", "own/b"]
    json.dumps([finding.to_dict() for finding in findings], allow_nan=False)


def test_nothing_readable_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"c\.npz"):
        check_path(tmp_path)


@pytest.mark.real_data
def test_documented_faults_of_bami_are_found_and_its_sound_records_left_in_peace() -> None:
    from nas.data.loaders.bami import LABEL_SHIFT_WINDOWS, load_bami

    root = Path(os.environ.get("PPG_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "bami"
    if not root.exists():
        pytest.skip(f"no recordings at {root}; set PPG_DATA")
    for recording in load_bami(root):
        assert "shifted labels" not in _named(recording), recording.name
        shift = LABEL_SHIFT_WINDOWS.get(recording.name.removesuffix(".mat"))
        if shift:
            as_published = recording.with_label_shift(-2.0 * shift, "undone")
            (found,) = (f for f in check_recording(as_published) if f.check == "shifted labels")
            assert found.details["windows"] == shift


def _recording(ppg_hz: float, seconds: float, acc_s: float, size_g: float = 1.0) -> Recording:
    rng = np.random.default_rng(0)
    acc = size_g * (np.array([[0.0], [0.0], [1.0]]) + 0.01 * rng.standard_normal((3, round(acc_s * 32))))
    ppg = rng.standard_normal((1, round(seconds * ppg_hz)))
    return Recording("r", "own", "own/r", ppg, ppg_hz, acc=acc, acc_hz=32.0)


@pytest.mark.parametrize("factor", [1 / 10, 1 / 2, 2, 10])
def test_sensors_that_last_for_different_times_are_refused(factor: float) -> None:
    with pytest.raises(InputError, match=r"r: acc ends at .* s, ppg at .* s; check ppg_hz and acc_hz"):
        _recording(64.0, 60 * factor, 60)


@pytest.mark.parametrize(("excess_s", "is_said"), [(-7.5, True), (-1.5, True), (-0.5, False), (0.9, False), (7, True)])
def test_sensors_that_last_more_than_a_second_apart_are_said(excess_s: float, is_said: bool) -> None:
    found = [one.message for one in check_recording(_recording(64.0, 60, 60 + excess_s)) if one.check == "durations"]
    assert bool(found) == is_said
    assert all(f"{abs(excess_s):.1f} s {'after' if excess_s > 0 else 'before'} ppg" in text for text in found)


@pytest.mark.parametrize(
    ("size_g", "unit"), [(9.81, "m/s2"), (12.0, "m/s2"), (64.0, "1/64 g"), (1000.0, "mg"), (1530.0, "mg"),
                         (0.1, "check its unit"), (250.0, "check its unit")],
)  # fmt: skip
def test_an_accelerometer_in_another_unit_is_named_with_it(size_g: float, unit: str) -> None:
    (found,) = (one for one in check_recording(_recording(64.0, 60, 60, size_g)) if one.check == "accelerometer scale")
    assert unit in found.message


@pytest.mark.parametrize("size_g", [0.9, 1.0, 1.53, 2.2])
def test_gravity_on_a_wrist_that_runs_is_no_wrong_unit(size_g: float) -> None:
    assert "accelerometer scale" not in _named(_recording(64.0, 60, 60, size_g))


@pytest.mark.parametrize("rate_hz", [4.0, 6.4, 10.0, 15.9])
def test_light_sampled_too_slowly_for_the_band_is_refused(rate_hz: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"too low for the band of 0\.4 to 8 Hz"):
        _recording(rate_hz, 60, 60)
    np.savez(tmp_path / "slow.npz", ppg=np.random.default_rng(0).standard_normal(600), ppg_hz=rate_hz)
    with pytest.raises(InputError, match=r"slow\.npz: ppg_hz: .* sample at 16 Hz or more"):
        check_path(tmp_path)


@pytest.mark.parametrize("seconds", [0.5, 3.0, 7.9])
def test_what_is_shorter_than_a_window_is_named_too_short(seconds: float) -> None:
    (found,) = (one for one in check_recording(_recording(64.0, seconds, seconds)) if one.check == "too short")
    assert f"lasts {seconds:.1f} s, less than one window of 8 s" in found.message
    assert "too short" not in _named(_recording(64.0, 8.5, 8.5))
    segments = dataclasses.replace(_recording(64.0, 60, 60), segment_s=5.0)
    assert "too short" in _named(segments)


def test_a_slow_accelerometer_is_said() -> None:
    slow = dataclasses.replace(_recording(64.0, 60, 60), acc=np.ones((3, 300)) + np.eye(3, 300), acc_hz=5.0)
    assert "accelerometer rate" in _named(slow)
