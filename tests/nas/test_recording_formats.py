"""Names, units, rates and files that loggers have: read as what they are, or refused with what to do."""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.foreign.tflite_reader import read_tflite
from nas.data.loaders.tabular import load_tabular
from nas.data.sources import detect_and_load, find_source_files
from nas.predict.sensor_counts import counts_of
from tests.nas.test_own_recordings import EVEN, error_bpm, light, motion, said, write
from tests.nas.tiny_run import exit_code

# Rates, units, names


@pytest.mark.parametrize("rate_hz", [127.933, 33.333, 25.37, 99.9, 8000.0])
def test_any_rate_loads_and_one_without_an_exact_ratio_is_said(tmp_path: Path, rate_hz: float) -> None:
    times = np.arange(round(20 * rate_hz)) / rate_hz
    np.savez(tmp_path / "walk.npz", ppg=light(times), ppg_hz=rate_hz)
    recordings = load_tabular(tmp_path)
    assert error_bpm(recordings) < 1.5
    assert ("no exact ratio" in said(recordings)) == (rate_hz in (127.933, 33.333))


@pytest.mark.parametrize(("per_g", "unit"), [(1.0, ""), (9.81, "m/s2"), (1000.0, "mg"), (64.0, "1/64 g")])
def test_the_unit_of_acceleration_is_recognized_and_said(tmp_path: Path, per_g: float, unit: str) -> None:
    write(tmp_path / "a.csv", EVEN, per_g=per_g)
    np.savez(tmp_path / "b.npz", ppg=light(EVEN), ppg_hz=25, acc=motion(EVEN, per_g))
    for recording in load_tabular(tmp_path):
        assert np.median(np.linalg.norm(recording.acc, axis=0)) == pytest.approx(1.0, abs=0.02)
        assert (f"taken as {unit}" in said([recording])) if unit else not recording.notes


@pytest.mark.parametrize("unit", ["m/s^2", "1/4096 g", "mG"])
def test_a_unit_that_is_named_is_taken_in_csv_and_npz(tmp_path: Path, unit: str) -> None:
    per_g = {"m/s^2": 9.80665, "1/4096 g": 4096.0, "mG": 1000.0}[unit]
    write(tmp_path / "a.csv", EVEN, per_g=per_g, above=f"# acc_unit: {unit}\n")
    np.savez(tmp_path / "b.npz", ppg=light(EVEN), ppg_hz=25, acc=motion(EVEN, per_g), acc_unit=unit)
    for recording in load_tabular(tmp_path):
        np.testing.assert_allclose(recording.acc, motion(EVEN), atol=1e-5)
    with pytest.raises(InputError, match=r"c.csv: acc_unit: 'furlong' is unknown; write g, mg"):
        load_tabular(write(tmp_path / "c.csv", EVEN, above="# acc_unit: furlong\n"))


@pytest.mark.parametrize(
    ("names", "scale", "separator", "above"),
    [
        (("Time_s", "PPG", "ax", "ay", "az"), 1.0, ",", ""),
        (("time", "red", "acc_x", "acc_y", "acc_z"), 1.0, ";", ""),
        (("timestamp_ms", "ir", "Acc X (g)", "Acc Y (g)", "Acc Z (g)"), 1e3, "\t", ""),
        (("timestamp", "ppg_green", "accel_x", "accel_y", "accel_z"), 1e6, ";", ""),
        (("Time [us]", "BVP", "x", "y", "z"), 1e6, ",", "sep=,\n"),
        (("sensor timestamp [ns]", "channel 0", "acc_x", "acc_y", "acc_z"), 1e9, ";", ""),
    ],
)
def test_names_and_separators_of_usual_loggers_are_known(
    tmp_path: Path, names: Sequence[str], scale: float, separator: str, above: str
) -> None:
    path = write(tmp_path / "log.csv", EVEN, names=names, scale=scale, separator=separator, above=above)
    (recording,) = load_tabular(path)
    assert recording.ppg_hz == 25 and recording.ppg.shape[0] == 1 and recording.acc is not None


@pytest.mark.parametrize(
    "stamp", ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y/%m/%d %H:%M:%S.%f", "%H:%M:%S.%f"]
)
def test_dates_are_times(tmp_path: Path, stamp: str) -> None:
    start = np.datetime64("2024-05-01T09:00:00")
    dates = [(start + np.timedelta64(round(1e6 * t), "us")).astype(object) for t in EVEN]
    rows = [f"{date.strftime(stamp)},{value:.3f}" for date, value in zip(dates, light(EVEN), strict=True)]
    (tmp_path / "log.csv").write_text("datetime,ppg\n" + "\n".join(rows) + "\n")
    assert load_tabular(tmp_path)[0].ppg_hz == 25


def test_a_line_of_units_is_read(tmp_path: Path) -> None:
    names = [f"Shimmer_40ED_{name}_CAL" for name in ("Timestamp_Unix", "PPG_A13", *(f"Accel_LN_{a}" for a in "XYZ"))]
    above = "sep=\t\n"
    path = write(tmp_path / "log.csv", EVEN, names=names, scale=1e3, per_g=9.80665, separator="\t", above=above)
    lines = path.read_text().splitlines()
    lines.insert(2, "\t".join(["ms", "mV", "m/(s^2)", "m/(s^2)", "m/(s^2)"]))
    path.write_text("\n".join(line if line.startswith("sep") else line + "\t" for line in lines) + "\n")
    (recording,) = load_tabular(path)
    assert recording.ppg_hz == 25
    np.testing.assert_allclose(recording.acc, motion(EVEN), atol=1e-5)


def test_decimal_commas_are_read_where_they_separate_nothing(tmp_path: Path) -> None:
    rows = [f"{t:.2f};{light(np.array(t)):.3f}".replace(".", ",") for t in EVEN]
    (tmp_path / "log.csv").write_text("time_s;ppg\n" + "\n".join(rows) + "\n")
    assert load_tabular(tmp_path)[0].ppg_hz == 25


def test_only_light_becomes_a_channel_and_what_nothing_reads_is_listed(tmp_path: Path) -> None:
    rows = ["0,1,2,3,4,5"] + [f"{t:.2f},{light(np.array(t)):.2f},{i},{i % 7},9,{i}" for i, t in enumerate(EVEN)][1:]
    text = "\n".join(rows) + "\n"
    for header, channels, unused in (
        ("time_s,ppg,ppg_2,ppg_quality,ppg_ir,temperature", 2, "ppg_quality, ppg_ir, temperature"),
        ("time_s,ppg_green,ppg_ir,ppg_quality,ppg_sqi,temp", 2, "ppg_quality, ppg_sqi, temp"),
    ):
        (tmp_path / "log.csv").write_text(header + "\n" + text)
        (recording,) = load_tabular(tmp_path)
        assert recording.ppg.shape[0] == channels
        assert f"columns not used: {unused}" in recording.notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "timer,hr\n0,500\n10,501\n20,502\n",
            ["'ppg' is missing", "timer, hr", "name the one of the light sensor ppg"],
        ),
        ("1642471872.00,3\n1642471872.04,4\n", ["names no columns", "time_s,ppg,acc_x,acc_y,acc_z"]),
        ("time_s,ppg,ppg\n0,1,1\n0.1,2,2\n", ["'ppg' stands twice"]),
        ("time_s,ppg,acc_x,acc_y\n0,1,0,0\n0.1,2,0,0\n", ["not axis z", "three axes, or none"]),
        ("time_s,ppg\n0,1\n1,2\n2,3\n3,4\n", ["1 Hz", "unit of time"]),
    ],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError) as error:
        detect_and_load(tmp_path)
    message = str(error.value)
    assert "\n" not in message and "log.csv" in message
    assert all(word in message for word in words), message


def test_a_constant_accelerometer_or_channel_is_left_out_and_said(tmp_path: Path) -> None:
    still = np.repeat([[0.0], [0.0], [1.0]], EVEN.size, axis=1)
    np.savez(tmp_path / "walk.npz", ppg=np.stack([light(EVEN), np.full(EVEN.size, 7.0)]), ppg_hz=25, acc=still)
    (recording,) = load_tabular(tmp_path)
    assert recording.acc is None and recording.ppg.shape[0] == 1
    assert "the accelerometer does not change: left out, as if none had been worn" in recording.notes
    assert "PPG channel 2 does not change: left out" in recording.notes


def test_data_check_shows_the_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "mg.csv", EVEN, per_g=1000.0)
    assert exit_code("data", "check", tmp_path) == 0
    assert "taken as mg, divided by 1000" in capsys.readouterr().out


# Files of other kinds


def _empatica(start_s: float = 1.6e9, seconds: int = 60) -> dict[str, str]:
    """An export as the bracelet makes it; its accelerometer begins half a second later, and ends with the light."""
    times, axes = np.arange(64 * seconds) / 64, np.arange(32 * seconds - 16) / 32
    samples = "\n".join(f"{value:.2f}" for value in light(times) - 20000)
    triples = "\n".join(",".join(f"{value:.0f}" for value in row) for row in motion(axes, 64.0).T)
    return {
        "BVP.csv": f"{start_s:.2f}\n64.000000\n{samples}\n",
        "ACC.csv": f"{start_s + 0.5}, {start_s + 0.5}, {start_s + 0.5}\n32.0, 32.0, 32.0\n{triples}\n",
        "HR.csv": f"{start_s + 10}\n1.000000\n72.00\n73.00\n",
        "IBI.csv": f"{start_s}, IBI\n1.5,0.8\n",
        "tags.csv": "",
    }


def test_an_empatica_export_is_read_whole_from_a_folder_or_a_zip(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    with zipfile.ZipFile(tmp_path / "ben.zip", "w") as archive:
        for name, text in _empatica().items():
            (tmp_path / "anna" / name).write_text(text)
            archive.writestr(name, text)
    recordings = detect_and_load(tmp_path)
    assert [(one.name, one.subject) for one in recordings] == [
        ("anna", "empatica_e4/anna"),
        ("ben.zip", "empatica_e4/ben"),
    ]
    for one in recordings:
        assert (one.ppg_hz, one.acc_hz, one.label_count) == (64, 32, 0)
        assert one.duration_s == one.acc.shape[1] / one.acc_hz == 59.5
        np.testing.assert_allclose(one.ppg[0], light(np.arange(32, 64 * 60) / 64) - 20000, atol=0.01)
        assert np.median(np.linalg.norm(one.acc, axis=0)) == pytest.approx(1.0, abs=0.03)
        assert "HR.csv and IBI.csv: estimates of the bracelet, not used as labels" in one.notes[0]
    assert {path.name for path in find_source_files("empatica_e4", tmp_path)} == {"BVP.csv", "ACC.csv", "ben.zip"}
    assert len(detect_and_load(tmp_path / "anna" / "ACC.csv")) == 1


def test_a_wrist_at_rest_is_not_at_the_ends_of_a_coarse_accelerometer(tmp_path: Path) -> None:
    for name, text in _empatica().items():
        (tmp_path / name).write_text(text)
    (recording,) = detect_and_load(tmp_path)
    assert np.unique(recording.acc[2]).size < 12
    counts = counts_of(recording)
    assert counts.sensors.acc_range[0] < counts.acc.min() and counts.acc.max() < counts.sensors.acc_range[1]
    moved = replace(recording, acc=np.clip(recording.acc + np.where(np.arange(1904) % 50 == 0, 1.5, 0), -2, 2))
    assert counts_of(moved).sensors.acc_range[1] == counts_of(moved).acc.max()


def test_damaged_exports_end_in_one_line(tmp_path: Path) -> None:
    good = _empatica(seconds=10)
    for number, (name, text) in enumerate(
        [
            ("BVP.csv", "1.6e9\n64\n"),
            ("BVP.csv", "1.6e9\n0\n1\n"),
            ("ACC.csv", "1,1,1\n32,32,32\n1,2\n"),
            ("BVP.csv", "1\n64\nx\n"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        for member, content in (good | {name: text}).items():
            (folder / member).write_text(content)
        with pytest.raises(InputError) as error:
            detect_and_load(folder)
        assert name in str(error.value) and "\n" not in str(error.value)
    (tmp_path / "other.zip").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match=r"holds no BVP\.csv"):
        detect_and_load(tmp_path / "other.zip")


def _waveforms(folder: Path) -> list[tuple[Path, str]]:
    """A WFDB record and an EDF file, as far as their libraries are there, with the name of each library."""
    (folder / "walk.hea").write_text("walk 1 25 1500\nwalk.dat 16 1(0)/mV 16 0 0 0 0 ppg\n")
    (folder / "walk.dat").write_bytes(light(EVEN).astype("<i2").tobytes())
    (folder / "ride.edf").write_bytes(b"0" + b" " * 255)
    return [(folder / "walk.hea", "wfdb"), (folder / "ride.edf", "edfio")]


def test_a_missing_library_is_named_with_its_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    for path, library in _waveforms(tmp_path):
        with pytest.raises(InputError, match=f"{path.name}: .* pip install {library}"):
            detect_and_load(path)


def test_a_wfdb_record_is_read(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    (path, _), _ = _waveforms(tmp_path)
    (recording,) = detect_and_load(path)
    assert recording.ppg_hz == 25 and error_bpm([recording]) < 1.5
    path.write_text("walk 1 25 1500\n../walk.dat 16 1(0)/mV 16 0 0 0 0 ppg\n")
    with pytest.raises(InputError, match=r"walk\.hea"):
        detect_and_load(path)
    path.write_text("walk 1 25 1500\nmissing.dat 16 1(0)/mV 16 0 0 0 0 ppg\n")
    with pytest.raises(InputError, match=r"walk\.hea"):
        detect_and_load(path)


def test_an_edf_file_is_read_with_axes_that_share_a_name(tmp_path: Path) -> None:
    edfio = pytest.importorskip("edfio")
    units = [("wrist_ppg", "mV", light(EVEN))]
    units += [("wrist_low_noise_", "ms^-2", axis) for axis in motion(EVEN, 9.80665)]
    signals = [edfio.EdfSignal(data, 25, label=name, physical_dimension=unit) for name, unit, data in units]
    edfio.Edf([*signals, edfio.EdfSignal(light(EVEN), 25, label="chest_ecg")]).write(tmp_path / "ride.edf")
    (recording,) = detect_and_load(tmp_path / "ride.edf")
    assert recording.ppg_hz == 25 and error_bpm([recording]) < 1.5
    np.testing.assert_allclose(recording.acc, motion(EVEN), atol=1e-3)
    assert "signal not used: chest_ecg" in recording.notes


def test_a_pointer_of_git_lfs_is_named_by_every_reader(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for number, name in enumerate(("a.csv", "a.npz", "a.zip", "BAMI1_1.mat", "S1.pkl", "a.hea", "a.edf")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(pointer)
        for path in (folder / name,) if name == "a.zip" else (folder / name, folder):
            with pytest.raises(InputError, match=rf"{name}: is a Git LFS pointer, .*; fetch it with `git lfs pull`"):
                detect_and_load(path)
    (tmp_path / "model.tflite").write_text(pointer)
    with pytest.raises(InputError, match=r"is a Git LFS pointer"):
        read_tflite(tmp_path / "model.tflite")


def test_a_kind_that_is_not_known_is_told_what_is(tmp_path: Path) -> None:
    (tmp_path / "walk.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"no file of a known kind; .*CSV.*NPZ.*Empatica.*WFDB.*EDF"):
        detect_and_load(tmp_path / "walk.xlsx")
