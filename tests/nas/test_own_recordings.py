"""People's own recordings as their loggers write them: times, labels, units, names; what is done to them is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.loaders.tabular import load_tabular
from nas.data.recording import Recording
from nas.data.windows import make_windows
from nas.evaluation.baselines import spectral_argmax
from nas.evaluation.recording_check import check_path
from tests.nas.tiny_run import exit_code, tiny_config, write_config

BPM = 75.0


def light(times: NDArray) -> NDArray:
    phase = 2 * np.pi * BPM / 60 * times
    return 20000 + 400 * np.sin(phase) + 120 * np.sin(2 * phase + 0.7)


def motion(times: NDArray, per_g: float = 1.0) -> NDArray:
    rng = np.random.default_rng(5)
    still = np.array([[0.1], [-0.2], [0.97]])
    return per_g * (still + 0.02 * rng.standard_normal((3, times.size)))


def write(
    path: Path,
    times: NDArray,
    *,
    names: Sequence[str] = ("time_s", "ppg", "acc_x", "acc_y", "acc_z"),
    taken: NDArray | None = None,
    per_g: float = 1.0,
    scale: float = 1.0,
    above: str = "",
    separator: str = ",",
) -> Path:
    """A CSV of a pulse of 75 BPM. taken: when the samples were truly taken, if not at the stamps."""
    taken = times if taken is None else taken
    columns = np.column_stack([times * scale, light(taken), *motion(taken, per_g)])
    lines = [separator.join(f"{value:.13g}" for value in row) for row in columns]
    path.write_text(above + separator.join(names) + "\n" + "\n".join(lines) + "\n")
    return path


def strap(path: Path, times: NDArray, bpm: float | NDArray = BPM) -> None:
    values = np.broadcast_to(bpm, times.shape)
    rows = [f"{time:.10g},{value:g}" for time, value in zip(times, values, strict=True)]
    path.write_text("time_s,heart_rate_bpm\n" + "\n".join(rows) + "\n")


def error_bpm(recordings: list[Recording]) -> float:
    windows = make_windows(recordings, rates=(32,), margin_s=0)
    return float(np.abs(spectral_argmax(windows) - BPM).max())


def said(recordings: list[Recording]) -> str:
    return "\n".join(note for recording in recordings for note in recording.notes)


EVEN = np.arange(1500) / 25.0


# Labels


def test_a_strap_that_labels_the_whole_recording_loses_only_what_lies_at_its_ends(tmp_path: Path) -> None:
    write(tmp_path / "walk.csv", EVEN)
    strap(tmp_path / "walk.labels.csv", np.arange(0.0, 61.0))
    (recording,) = load_tabular(tmp_path)
    assert recording.label_times_s.tolist() == np.arange(4.0, 57.0).tolist()
    assert "4 labels left out (at 0 to 3 s): their windows of 8 s begin before the signal, at 0 s" in recording.notes
    assert "4 labels left out (at 57 to 60 s): their windows of 8 s end after the signal, at 60 s" in recording.notes


@pytest.mark.parametrize("dropout", ["0", "", "nan", "1.25", "-1", "inf"])
def test_a_dropout_of_the_reference_is_one_label_less(tmp_path: Path, dropout: str) -> None:
    write(tmp_path / "walk.csv", EVEN)
    rows = [f"{time},{dropout if time == 20 else 75}" for time in range(4, 56, 2)]
    (tmp_path / "walk.labels.csv").write_text("time_s,heart_rate_bpm\n" + "\n".join(rows) + "\n")
    (recording,) = load_tabular(tmp_path)
    assert 20.0 not in recording.label_times_s and recording.label_count == len(rows) - 1
    (note,) = recording.notes
    assert note.startswith("1 label left out (at 20 s): no heart rate of 20 to 260 BPM")


@pytest.mark.parametrize("shift_s", [1.6e9, -500.0, 70.0])
def test_labels_of_another_clock_are_counted_and_the_recording_goes_on(tmp_path: Path, shift_s: float) -> None:
    write(tmp_path / "walk.csv", EVEN + 1000.0 + max(0.0, shift_s if shift_s > 1e6 else 0.0))
    labels = np.arange(26) * 2.0 + (0.0 if shift_s > 1e6 else 1000.0 + shift_s)
    strap(tmp_path / "walk.labels.csv", labels)
    write(tmp_path / "other.csv", EVEN)
    strap(tmp_path / "other.labels.csv", np.arange(4.0, 56.0, 2.0))
    other, walk = load_tabular(tmp_path)
    assert (other.label_count, walk.label_count) == (26, 0)
    assert "0 of 26 labels lie within the signal" in said([walk])
    assert any("0 of 26 labels" in finding.message for finding in check_path(tmp_path))


def test_labels_may_stand_in_a_column_of_the_recording(tmp_path: Path) -> None:
    rows = [f"{t:.2f},{light(np.array(t)):.3f},{BPM if i % 25 == 3 else ''}" for i, t in enumerate(EVEN)]
    (tmp_path / "walk.csv").write_text("time_s,ppg,heart_rate_bpm\n" + "\n".join(rows) + "\n")
    (recording,) = load_tabular(tmp_path)
    assert recording.label_count > 45 and "labels from column heart_rate_bpm" in recording.notes
    strap(tmp_path / "walk.labels.csv", np.arange(4.0, 50.0, 2.0))
    (recording,) = load_tabular(tmp_path)
    assert recording.label_count == 23 and "column not used: heart_rate_bpm" in recording.notes


def test_what_was_done_to_recordings_reaches_whoever_runs_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in range(6):
        far = 1.6e9 if person == 0 else 0.0
        write(tmp_path / f"p{person}.csv", EVEN + far, per_g=1000.0)
        strap(tmp_path / f"p{person}.labels.csv", np.arange(4.0, 50.0, 2.0))
    config = tiny_config(tmp_path) | {"data": {"folds": 3, "sources": [{"kind": "tabular"}]}}
    given = [write_config(tmp_path / "own.yaml", config), "--data", tmp_path, "--run", tmp_path / "run"]
    assert exit_code("run", *given, "--until", "prepare") == 2
    said_aloud = capsys.readouterr().err
    assert "p0.csv has no heart rates that can be used as labels" in said_aloud
    assert "note: p0.csv and 5 more: acceleration taken as mg, divided by 1000" in said_aloud
    assert "note: p0.csv: 0 of 23 labels lie within the signal: labels at 4 to 48 s" in said_aloud


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.lists(st.floats(), min_size=40, max_size=40))
def test_no_label_keeps_a_recording_from_being_read(
    tmp_path_factory: pytest.TempPathFactory, times: list[float], bpm: list[float]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "walk.npz"
    np.savez(path, ppg=light(EVEN), ppg_hz=25, label_times_s=times, heart_rate_bpm=bpm[: len(times)])
    (recording,) = load_tabular(path)
    missing = len(times) - recording.label_count
    counted = sum(int(n.split(" of ")[1].split()[0] if n.startswith("0 of") else n.split()[0]) for n in recording.notes)
    assert counted == missing


# Times


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.002, 0.005, 0.016]))
def test_jittered_stamps_are_resampled_by_time(
    tmp_path_factory: pytest.TempPathFactory, seed: int, reach_s: float
) -> None:
    rng = np.random.default_rng(seed)
    times = EVEN + rng.uniform(-reach_s, reach_s, EVEN.size)
    recordings = load_tabular(write(tmp_path_factory.mktemp("jitter") / "walk.csv", times))
    assert len(recordings) == 1 and recordings[0].ppg_hz == pytest.approx(25, abs=0.02)
    assert error_bpm(recordings) < 1.5
    assert ("uneven" in said(recordings)) == (reach_s > 0.004)


@pytest.mark.parametrize("seed", range(8))
def test_logs_of_a_watch_load_as_they_are(tmp_path: Path, seed: int) -> None:
    """Rows of light, of acceleration and of the strap by turns, stamps in ms since 1970, steps of 30 to 130 ms."""
    rng = np.random.default_rng(seed)
    late = rng.random(1500) < 0.1
    light_s = 1.655e9 + np.cumsum(np.where(late, rng.uniform(0.05, 0.13, 1500), rng.uniform(0.03, 0.042, 1500)))
    motion_s = np.arange(light_s[0], light_s[-1], 0.08)
    strap_s = np.arange(light_s[0] + 2, light_s[-1], 1.0)
    rows = [(t, f",,,{value:.0f},42,") for t, value in zip(light_s, light(light_s), strict=True)]
    rows += [(t, ",".join(f"{axis:.6f}" for axis in axes) + ",,,") for t, axes in zip(
        motion_s, motion(motion_s).T, strict=True)]  # fmt: skip
    rows += [(t, f",,,,,{BPM:.0f}") for t in strap_s]
    text = [f" {1e3 * t:.4f},{fields}" for t, fields in sorted(rows)]
    path = tmp_path / "watch.csv"
    path.write_text(" Time,Acc_x,Acc_y,Acc_z,HRM_r,HRM_c,BTHRM\n" + "\n".join(text) + "\n")
    (recording,) = load_tabular(path)
    assert 20 < recording.ppg_hz < 28 and recording.acc_hz == pytest.approx(12.5, abs=0.1)
    assert recording.label_count > 40 and error_bpm([recording]) < 2.5
    assert "HRM_c" in said([recording])


def test_a_lost_sample_is_interpolated_and_a_repeated_stamp_is_spread(tmp_path: Path) -> None:
    lost = load_tabular(write(tmp_path / "lost.csv", np.delete(EVEN, 300)))
    assert lost[0].ppg.shape[1] == EVEN.size and lost[0].ppg_hz == 25
    np.testing.assert_allclose(np.delete(lost[0].ppg[0], 300), light(np.delete(EVEN, 300)), rtol=1e-6)
    assert "1 gap of up to 0.08 s in PPG, the first at 11.96 s: interpolated" in lost[0].notes
    stamps = EVEN.copy()
    stamps[300] = stamps[299]
    (repeated,) = load_tabular(write(tmp_path / "repeated.csv", stamps, taken=EVEN))
    np.testing.assert_allclose(repeated.ppg[0], light(EVEN), rtol=1e-6)
    assert "2 of 1500 samples of PPG share their time" in said([repeated])


@pytest.mark.parametrize("size", [2, 5, 25])
def test_packets_that_share_a_stamp_are_spread_over_it(tmp_path: Path, size: int) -> None:
    stamps = np.floor(np.arange(EVEN.size) / size) * size / 25
    (recording,) = load_tabular(write(tmp_path / "packets.csv", stamps, taken=EVEN))
    assert recording.ppg_hz == pytest.approx(25, rel=1e-3)
    np.testing.assert_allclose(recording.ppg[0], light(EVEN), rtol=1e-6)


@pytest.mark.parametrize("resolution_s", [0.001, 0.01, 1.0])
def test_rounded_stamps_leave_the_samples_as_they_are(tmp_path: Path, resolution_s: float) -> None:
    times = np.arange(256 * 60) / 256.0
    stamps = np.floor((times + 0.4) / resolution_s) * resolution_s
    (recording,) = load_tabular(write(tmp_path / "fast.csv", stamps, taken=times))
    assert recording.ppg_hz == pytest.approx(256, rel=2e-2 if resolution_s == 1.0 else 1e-3)
    np.testing.assert_allclose(recording.ppg[0], light(times), rtol=1e-6)


def test_a_long_gap_splits_a_recording_of_one_person(tmp_path: Path) -> None:
    times = np.concatenate([EVEN, EVEN + EVEN[-1] + 5.0, [EVEN[-1] * 2 + 20, EVEN[-1] * 2 + 20.04]])
    write(tmp_path / "walk.csv", times)
    strap(tmp_path / "walk.labels.csv", np.arange(4.0, 125.0, 1.0))
    recordings = load_tabular(tmp_path)
    assert [one.name for one in recordings] == ["walk.csv@0s", "walk.csv@65s"]
    assert {one.subject for one in recordings} == {"own/walk"}
    for one in recordings:
        assert one.duration_s == pytest.approx(60) and error_bpm([one]) < 1.5 and one.label_count > 50
        np.testing.assert_allclose(np.diff(one.label_times_s), 1.0)
    notes = said(recordings)
    assert "2 gaps of more than 1 s in PPG, the first of 5 s at 59.96 s: split there" in notes
    assert "1 stretch shorter than a window of 8 s left out" in notes and "reach into gaps" in notes


def test_a_clock_that_begins_anew_is_refused_and_small_disorder_sorted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"anew.csv: time does not rise: sample 1501 of PPG is 59.96 s behind"):
        load_tabular(write(tmp_path / "anew.csv", np.concatenate([EVEN, EVEN])))
    swapped = EVEN.copy()
    swapped[[100, 101]] = swapped[[101, 100]]
    (recording,) = load_tabular(write(tmp_path / "swapped.csv", swapped))
    np.testing.assert_allclose(recording.ppg[0], light(EVEN), rtol=1e-6)
    assert "out of order: sorted" in said([recording])


def test_missing_samples_of_arrays_are_lost_samples(tmp_path: Path) -> None:
    samples = light(EVEN)
    samples[[300, 301]] = np.nan
    samples[800:900] = np.inf
    np.savez(tmp_path / "walk.npz", ppg=samples, ppg_hz=25, acc=motion(EVEN))
    recordings = load_tabular(tmp_path)
    assert [one.name for one in recordings] == ["walk.npz@0s", "walk.npz@36s"]
    assert [one.ppg.shape[1] for one in recordings] == [one.acc.shape[1] for one in recordings] == [800, 600]
    np.testing.assert_allclose(recordings[1].acc, motion(EVEN)[:, 900:], rtol=1e-6)
    assert "102 of 1500 samples of PPG are missing" in recordings[0].notes
