"""Loaders: every trap of the published sets, in miniature copies written here, and bad input in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hwmodels.basics.errors import InputError
from nas.data.loaders.bami import load_bami
from nas.data.loaders.ieee_spc import load_ieee_spc
from nas.data.loaders.liu import CLASSES, load_liu
from nas.data.loaders.tabular import load_tabular, save_recording
from nas.data.recording import Recording, trusted_labels
from nas.data.sources import detect_and_load, find_source_files, load_each, load_source
from nas.data.synthetic import simulate
from nas.data.windows import make_windows
from nas.evaluation.baselines import spectral_argmax
from nas.terminal.output import print_notes

RNG_SEED = 7


def _real(folder: str) -> Path:
    root = Path(os.environ.get("PPG_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / folder
    if not root.exists():
        pytest.skip(f"no recordings at {root}; set PPG_DATA")
    return root


def _spc(folder: Path, name: str, label_name: str, rows: int = 6, samples: int = 3000, extra: int = 0) -> None:
    rng = np.random.default_rng(RNG_SEED + samples)
    signal = np.arange(rows)[:, None] * 100.0 + rng.standard_normal((rows, samples))
    savemat(folder / f"{name}.mat", {"sig": signal})
    count = (samples - 1000) // 250 + 1 + extra
    savemat(folder / f"{label_name}.mat", {"BPM0": np.linspace(70, 90, count)[:, None]})


def _bami(folder: Path, name: str, samples: int, labels: int, **replaced: object) -> None:
    rng = np.random.default_rng(RNG_SEED)
    content: dict[str, object] = {
        "rawPPG": rng.integers(30000, 40000, size=(3, samples)).astype(np.uint16),
        "rawAcc": (rng.integers(-4096, 4096, size=(3, samples)) + 32768).astype(np.uint16),
        "bpm_ecg": np.linspace(80, 120, labels)[:, None],
        "bpm_proposed": np.full((labels, 1), 33.0),
    }
    savemat(folder / f"{name}.mat", {**content, **replaced})


def _one_line(error: pytest.ExceptionInfo[InputError], *words: str) -> None:
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_spc_takes_ppg_and_accelerometer_from_the_right_rows_with_and_without_ecg(tmp_path: Path) -> None:
    _spc(tmp_path, "DATA_01_TYPE01", "DATA_01_TYPE01_BPMtrace")
    _spc(tmp_path, "TEST_S01_T01", "True_S01_T01", rows=5, samples=3250)
    training, test = load_ieee_spc(tmp_path)
    np.testing.assert_allclose(training.ppg.mean(axis=1), [100, 200], atol=1)
    np.testing.assert_allclose(training.acc.mean(axis=1), [300, 400, 500], atol=1)
    np.testing.assert_allclose(test.ppg.mean(axis=1), [0, 100], atol=1)
    assert (training.subject, test.subject) == ("ieee_spc/train01", "ieee_spc/test01")
    assert training.label_times_s[0] == 4.0 and training.label_times_s[1] == 6.0


def test_spc_reads_every_label_naming_and_leaves_mac_junk_out(tmp_path: Path) -> None:
    _spc(tmp_path, "DATA_02_TYPE02", "REF_02_TYPE02", samples=4000)
    _spc(tmp_path, "DATA_S04_T01", "BPM_S04_T01", samples=5000)
    (tmp_path / "._DATA_02_TYPE02.mat").write_bytes(b"junk")
    assert [recording.subject for recording in load_ieee_spc(tmp_path)] == [
        "ieee_spc/train02",
        "ieee_spc/test04",
    ]


def test_spc_extra_record_is_test_subject_four_under_both_names_and_counts_once(tmp_path: Path) -> None:
    _spc(tmp_path, "DATA_04_TYPE01", "REF_04_TYPE01", samples=5000)
    _spc(tmp_path, "DATA_S04_T01", "BPM_S04_T01", samples=5000)
    _spc(tmp_path, "DATA_04_TYPE02", "DATA_04_TYPE02_BPMtrace", samples=4500)
    recordings = load_ieee_spc(tmp_path)
    assert sorted(recording.subject for recording in recordings) == ["ieee_spc/test04", "ieee_spc/train04"]
    assert [r.subject for r in load_ieee_spc(tmp_path, splits=["training"])] == ["ieee_spc/train04"]


def test_spc_single_file_finds_its_label_in_the_neighbouring_true_bpm_folder(tmp_path: Path) -> None:
    for name in ("TestData", "TrueBPM"):
        (tmp_path / name).mkdir()
    _spc(tmp_path, "TEST_S02_T01", "True_S02_T01", rows=5)
    (tmp_path / "TEST_S02_T01.mat").rename(tmp_path / "TestData" / "TEST_S02_T01.mat")
    (tmp_path / "True_S02_T01.mat").rename(tmp_path / "TrueBPM" / "True_S02_T01.mat")
    assert len(load_ieee_spc(tmp_path / "TestData" / "TEST_S02_T01.mat")) == 1


def test_spc_files_to_digest_include_the_labels(tmp_path: Path) -> None:
    _spc(tmp_path, "DATA_01_TYPE01", "DATA_01_TYPE01_BPMtrace")
    names = {path.name for path in find_source_files("ieee_spc", tmp_path)}
    assert names == {"DATA_01_TYPE01.mat", "DATA_01_TYPE01_BPMtrace.mat"}


def test_bami_scales_acceleration_and_never_reads_the_authors_estimate(tmp_path: Path) -> None:
    _bami(tmp_path, "BAMI1_2", samples=31501, labels=312)
    (recording,) = load_bami(tmp_path)
    assert np.abs(recording.acc).max() <= 1.0
    assert recording.heart_rate_bpm.min() == 80.0
    assert recording.label_times_s[0] == 4.0


def test_bami_records_of_36500_samples_align_to_the_end(tmp_path: Path) -> None:
    _bami(tmp_path, "BAMI1_25", samples=36500, labels=361)
    (recording,) = load_bami(tmp_path)
    assert recording.label_times_s[0] == 6.0
    assert recording.label_times_s[-1] + 4.0 == pytest.approx(recording.duration_s)


@pytest.mark.parametrize(("name", "shift"), [("BAMI1_5", 4), ("BAMI1_15", -3), ("BAMI2_23", 4), ("BAMI1_6", 0)])
def test_bami_known_label_shifts_are_undone(tmp_path: Path, name: str, shift: int) -> None:
    _bami(tmp_path, name, samples=31501, labels=312)
    (recording,) = load_bami(tmp_path)
    labels = np.linspace(80, 120, 312)
    number = 100
    at = np.flatnonzero(np.isclose(recording.label_times_s, 2.0 * (number + shift) + 4.0))
    assert recording.heart_rate_bpm[at] == pytest.approx(labels[number])
    assert recording.label_count == 312 - abs(shift)
    assert bool(recording.notes) == bool(shift)


def test_liu_labels_every_segment_and_keeps_segments_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    segments = rng.random((4, 1000)).astype(np.float32)
    savemat(tmp_path / "MPA_1.mat", {"ppgseg": segments, "labels": np.array([[0], [5], [2], [0]], np.uint8)})
    (recording,) = load_liu(tmp_path)
    assert recording.rhythm.tolist() == [0, 5, 2, 0] and recording.rhythm_classes == CLASSES
    windows = make_windows([recording], rates=(32,), window_s=10, margin_s=0)
    # A change in one segment must not reach the windows of the others.
    segments[1] = rng.random(1000)
    savemat(tmp_path / "MPA_1.mat", {"ppgseg": segments, "labels": np.array([[0], [5], [2], [0]], np.uint8)})
    again = make_windows(load_liu(tmp_path), rates=(32,), window_s=10, margin_s=0)
    same = [np.array_equal(a, b) for a, b in zip(windows.inputs[32], again.inputs[32], strict=True)]
    assert same == [True, False, True, True]


def test_own_csv_and_npz_of_the_same_recording_are_equal(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    samples, hz = 1000, 25
    ppg, acc = rng.standard_normal(samples), rng.standard_normal((3, samples))
    rows = np.column_stack([np.arange(samples) / hz, ppg, acc.T])
    lines = [",".join(f"{value:.9g}" for value in row) for row in rows]
    (tmp_path / "walk.csv").write_text("# subject: anna\ntime_s,ppg,acc_x,acc_y,acc_z\n" + "\n".join(lines) + "\n")
    (tmp_path / "walk.labels.csv").write_text("time_s,heart_rate_bpm,activity\n4,80,walking\n6,81,walking\n")
    np.savez(
        tmp_path / "walk2.npz",
        ppg=ppg,
        ppg_hz=hz,
        acc=acc.T,
        subject="anna",
        heart_rate_bpm=[80.0, 81.0],
        activity=["walking", "walking"],
    )
    table, archive = load_tabular(tmp_path)
    assert table.subject == archive.subject == "own/anna"
    assert table.ppg_hz == archive.ppg_hz == hz
    np.testing.assert_allclose(table.ppg, archive.ppg, rtol=1e-6)
    np.testing.assert_allclose(table.acc, archive.acc, rtol=1e-6)
    np.testing.assert_array_equal(table.label_times_s, archive.label_times_s)
    np.testing.assert_array_equal(table.heart_rate_bpm, archive.heart_rate_bpm)


def test_own_rhythm_names_become_the_same_classes_in_every_file(tmp_path: Path) -> None:
    for name, rhythm in (("a", ["AF", "AF"]), ("b", ["sinus", "AF"])):
        np.savez(
            tmp_path / f"{name}.npz",
            ppg=np.random.default_rng(0).standard_normal(640),
            ppg_hz=32,
            rhythm=rhythm,
            label_times_s=[5.0, 15.0],
            label_window_s=10,
        )
    first, second = load_tabular(tmp_path)
    assert first.rhythm_classes == second.rhythm_classes == ("AF", "sinus")
    assert second.rhythm.tolist() == [1, 0]


def test_saved_recordings_are_loaded_as_they_were(tmp_path: Path) -> None:
    recordings = [*simulate(1, 0, minutes=1), *simulate(1, 0, minutes=2, task="rhythm")]
    for number, recording in enumerate(recordings):
        save_recording(tmp_path / f"{number}.npz", recording)
    for saved, loaded in zip(recordings, load_tabular(tmp_path), strict=True):
        for field in ("ppg", "acc", "label_times_s", "heart_rate_bpm", "rhythm", "activity"):
            np.testing.assert_array_equal(getattr(saved, field), getattr(loaded, field))
        assert (saved.ppg_hz, saved.acc_hz, saved.rhythm_classes) == (
            loaded.ppg_hz,
            loaded.acc_hz,
            loaded.rhythm_classes,
        )


def test_glitches_are_found_and_steady_trends_are_not() -> None:
    bpm = np.linspace(80, 160, 100)
    assert trusted_labels(bpm).all()
    bpm[40:43] = 40
    assert np.flatnonzero(~trusted_labels(bpm)).tolist() == [39, 40, 41, 42, 43]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda folder: _bami(folder, "BAMI1_1", 31501, 400), ["400 labels", "312 windows"]),
        (lambda folder: _bami(folder, "BAMI1_1", 31501, 312, rawAcc=np.ones((2, 9))), ["rawAcc", "(3, N)"]),
        (
            lambda folder: savemat(folder / "BAMI1_1.mat", {"rawPPG": np.ones((3, 9))}),
            ["'rawAcc' is missing"],
        ),
        (lambda folder: (folder / "BAMI1_1.mat").write_bytes(b"no matlab file"), ["not a readable"]),
        (lambda folder: (folder / "BAMI1_1.mat").write_bytes(b""), ["BAMI1_1.mat"]),
        (lambda folder: _bami(folder, "BAMI1_1", 31501, 312, rawPPG=np.full((3, 31501), 9)), ["constant"]),
        (
            lambda folder: _bami(folder, "BAMI1_1", 31501, 312, rawPPG=np.full((3, 31501), np.nan)),
            ["NaN", "interpolate"],
        ),
        (lambda folder: _spc(folder, "DATA_01_TYPE01", "other"), ["no label file", "DATA_01_TYPE01"]),
        (lambda folder: _spc(folder, "DATA_01_TYPE01", "REF_01_TYPE01", extra=3), ["labels for", "windows"]),
        (lambda folder: _spc(folder, "DATA_01_TYPE01", "REF_01_TYPE01", rows=4), ["(6, N)"]),
        (
            lambda folder: (folder / "a.csv").write_text("time_s,ppg\n0,1\n0.04,x\n0.08,3\n"),
            ["'ppg'", "numeric"],
        ),
        (
            lambda folder: (folder / "a.csv").write_text("time_s,light\n0,1\n0.1,2\n0.2,3\n"),
            ["'ppg' is missing"],
        ),
        (lambda folder: (folder / "a.csv").write_text("time_s,ppg\n0,1\n0.1,2\n9,3\n9.1,4\n"), ["gap"]),
        (lambda folder: (folder / "a.csv").write_text("time_s,ppg\n0,1\n0.1\n"), ["row 3"]),
        (lambda folder: np.savez(folder / "a.npz", ppg=np.arange(9.0)), ["'ppg_hz' is missing"]),
        (lambda folder: (folder / "a.npz").write_bytes(b"PK truncated"), ["NPZ"]),
    ],
)
def test_bad_files_end_in_one_line_naming_file_and_remedy(tmp_path: Path, break_it, words) -> None:
    break_it(tmp_path)
    with pytest.raises(InputError) as error:
        detect_and_load(tmp_path)
    _one_line(error, *words)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_matlab_file_is_refused_wherever_it_was_cut(tmp_path: Path, share: float) -> None:
    _bami(tmp_path, "BAMI1_1", 31501, 312)
    whole = (tmp_path / "BAMI1_1.mat").read_bytes()
    (tmp_path / "BAMI1_1.mat").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError) as error:
        load_bami(tmp_path)
    _one_line(error, "BAMI1_1.mat")


def test_missing_paths_kinds_and_splits_are_named(tmp_path: Path) -> None:
    for call, words in (
        (lambda: load_source("bami", tmp_path / "nowhere"), ["nowhere", "check the path"]),
        (lambda: load_source("bami", tmp_path), ["no recordings of bami"]),
        (lambda: load_source("wrong", tmp_path), ["unknown kind 'wrong'"]),
        (lambda: detect_and_load(tmp_path), ["no file of a known kind"]),
        (lambda: load_ieee_spc(tmp_path, splits=["tests"]), ["unknown split 'tests'"]),
    ):
        with pytest.raises(InputError) as error:
            call()
        _one_line(error, *words)


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    _bami(tmp_path, "BAMI1_1", 31501, 312)
    (tmp_path / "BAMI1_2.mat").write_bytes(b"junk")
    loaded = [content for _, content in load_each(tmp_path)]
    assert len(loaded[0]) == 1 and isinstance(loaded[1], InputError)


def test_labels_beyond_the_signal_are_refused() -> None:
    ppg = np.random.default_rng(0).standard_normal((1, 320)).astype(np.float32)
    with pytest.raises(InputError, match="the signal ends at 10"):
        Recording("r", "s", "p", ppg, 32.0, label_times_s=np.array([4.0, 8.0]), heart_rate_bpm=np.full(2, 80.0))


def test_an_accelerometer_that_ends_before_the_labels_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="acc ends at 5"):
        Recording(
            "r",
            "s",
            "p",
            rng.standard_normal((1, 640)),
            32.0,
            acc=rng.standard_normal((3, 320)),
            acc_hz=64.0,
            label_times_s=np.array([4.0, 6.0]),
            heart_rate_bpm=np.full(2, 80.0),
        )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("kind", "median_bpm", "mean_bpm", "still_bpm", "subjects"),
    [("ieee_spc", 2.5, 16.5, 1.1, 14), ("bami", 3.5, 26.5, 2.0, 25)],
)
def test_spectral_argmax_on_real_recordings_errs_as_published(
    kind: str, median_bpm: float, mean_bpm: float, still_bpm: float, subjects: int
) -> None:
    windows = make_windows(load_source(kind, _real(kind)), rates=(32,), margin_s=0)
    error = np.abs(spectral_argmax(windows) - windows.heart_rate_bpm)
    moved = windows.motion(32).std(axis=2).mean(axis=1)
    assert np.unique(windows.subject).size == subjects
    assert 0.5 * median_bpm < np.median(error) <= median_bpm
    assert 0.7 * mean_bpm < error.mean() <= mean_bpm
    assert np.median(error[moved <= np.quantile(moved, 0.2)]) <= still_bpm


@pytest.mark.real_data
def test_the_real_liu_set_has_28_patients_and_six_rhythms() -> None:
    recordings = load_source("liu", _real("liu_arrhythmia"))
    counts = np.bincount(np.concatenate([recording.rhythm for recording in recordings]), minlength=6)
    assert len({recording.subject for recording in recordings}) == 28
    assert counts.tolist() == [3248, 1120, 969, 1074, 1125, 3084]


def test_prediction_needs_no_labels_whatever_stands_in_their_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ppg, acc = rng.standard_normal(640), rng.standard_normal((3, 640))
    np.savez(tmp_path / "good.npz", ppg=ppg, ppg_hz=32, heart_rate_bpm=[70.0, 71.0])
    np.savez(tmp_path / "bad.npz", ppg=ppg, ppg_hz=32, acc=acc, heart_rate_bpm=[[7.0, 900.0]], label_times_s=[4.0])
    _spc(tmp_path, "DATA_01_TYPE01", "elsewhere")
    _bami(tmp_path, "BAMI1_1", 31501, 400)
    with pytest.raises(InputError):
        detect_and_load(tmp_path)
    recordings = {one.name: one for one in detect_and_load(tmp_path, needs_labels=False)}
    assert recordings.pop("good.npz").label_count == 2
    assert len(recordings) == 3
    for recording in recordings.values():
        assert recording.label_count == 0 and recording.acc is not None
        assert any(note.startswith("labels not used: ") and "\n" not in note for note in recording.notes)


def test_notes_are_printed_once_for_all_recordings_that_share_them(capsys: pytest.CaptureFixture[str]) -> None:
    ppg = np.random.default_rng(0).standard_normal((1, 640))
    recordings = [Recording(f"{name}.csv", "s", "p", ppg, 32.0, notes=("resampled",)) for name in "abc"]
    print_notes([*recordings, Recording("d.csv", "s", "p", ppg, 32.0, notes=("split",))])
    out, err = capsys.readouterr()
    assert err.splitlines() == ["ppg-nas: note: a.csv and 2 more: resampled", "ppg-nas: note: d.csv: split"]
    assert out == ""
