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


@pytest.mark.parametrize("windows", [-5, -3, 3, 4])
def test_labels_moved_against_the_signal_are_found_with_their_lag(sound: Recording, windows: int) -> None:
    moved = sound.with_label_shift(2.0 * windows, "planted")
    (finding,) = (found for found in check_recording(moved) if found.check == "shifted labels")
    assert abs(finding.details["windows"] + windows) <= 1


def test_glitches_saturation_flat_stretches_and_units_are_found(sound: Recording) -> None:
    bpm = sound.heart_rate_bpm.copy()
    bpm[50] += 60
    assert "label glitch" in _named(dataclasses.replace(sound, heart_rate_bpm=bpm, trusted=trusted_labels(bpm)))
    limit = np.quantile(np.abs(sound.ppg), 0.9)
    assert "saturation" in _named(dataclasses.replace(sound, ppg=np.clip(sound.ppg, -limit, limit)))
    flat = sound.ppg.copy()
    flat[:, 5000:5300] = flat[:, 5000:5001]
    assert "flat stretch" in _named(dataclasses.replace(sound, ppg=flat))
    assert "accelerometer scale" in _named(dataclasses.replace(sound, acc=sound.acc * 9.81))


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
