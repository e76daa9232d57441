"""Sets whose reference is beats or an ECG, in miniature copies of their published layout that are made here."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from hwmodels.basics.errors import InputError
from nas.data.files.beats import heart_rates, heart_rates_of_ecg, read_beats
from nas.data.files.matlab import read_variables
from nas.data.files.restricted_pickle import load_array_pickle
from nas.data.loaders.galaxy_ppg import load_galaxy_ppg
from nas.data.loaders.ppg_dalia import load_ppg_dalia
from nas.data.loaders.wesad import load_wesad
from nas.data.loaders.wildppg import load_wildppg
from nas.data.loaders.wrist_exercise import load_wrist_exercise
from nas.data.own.labels import Labels
from nas.data.recording import Recording
from nas.data.sources import detect_and_load, find_source_files, load_source
from nas.data.windows import make_windows
from nas.evaluation.baselines import power_spectra, spectral_argmax
from tests.nas.test_data_loaders import _one_line, _real
from tests.nas.test_data_pickle import _distributed
from tests.nas.test_recording_formats import _empatica

SECONDS = 60


def beats(bpm: float = 84.0, seconds: int = SECONDS) -> NDArray[np.float64]:
    """Times of beats of a steady heart."""
    return np.arange(0.3, seconds - 0.2, 60.0 / bpm)


def ecg(rate_hz: float, bpm: float = 84.0, seconds: int = SECONDS) -> NDArray[np.float64]:
    """R waves, T waves and noise, in mV."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    since = times[:, None] - beats(bpm, seconds)
    waves = np.exp(-0.5 * (since / 0.012) ** 2) + 0.25 * np.exp(-0.5 * ((since - 0.25) / 0.05) ** 2)
    return waves.sum(axis=1) + 0.02 * np.random.default_rng(0).standard_normal(times.size)


def pulse(rate_hz: float, bpm: float = 84.0, seconds: int = SECONDS) -> NDArray[np.float64]:
    """Light of a wrist at rest."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return 1000.0 + 20.0 * np.sin(2 * np.pi * bpm / 60 * times) + 5.0 * np.sin(4 * np.pi * bpm / 60 * times)


def gravity(rate_hz: float, per_g: float = 1.0, seconds: int = SECONDS) -> NDArray[np.float64]:
    """A wrist that moves a little: (3, n)."""
    axes = 0.02 * np.random.default_rng(1).standard_normal((3, round(seconds * rate_hz)))
    return per_g * (axes + np.array([[0.0], [0.6], [0.8]]))


def _is_labelled(recording: Recording, bpm: float, source: str, subject: str) -> None:
    assert (recording.source, recording.subject) == (source, subject)
    np.testing.assert_allclose(recording.heart_rate_bpm, bpm, atol=0.5)
    windows = make_windows([recording], rates=(32,), margin_s=0)
    assert np.abs(spectral_argmax(windows) - bpm).max() <= 1.0
    if recording.acc is not None:
        assert np.median(np.linalg.norm(recording.acc, axis=0)) == pytest.approx(1.0, abs=0.05)


# Beats


def test_a_label_is_the_mean_interval_of_the_beats_inside_its_window() -> None:
    times = np.cumsum(np.tile([0.7, 0.8], 30))
    labels = heart_rates(times, 40.0)
    assert labels.times_s.tolist() == [4.0 + 2.0 * step for step in range(17)]
    for centre, rate in zip(labels.times_s, labels.heart_rate_bpm, strict=True):
        inside = times[(times >= centre - 4) & (times < centre + 4)]
        assert rate == pytest.approx(60 / np.diff(inside).mean())


@pytest.mark.parametrize(
    ("removed", "unlabelled"),
    [(slice(10, 11), []), (slice(10, 13), [0, 2, 4, 6, 8, 10]), (slice(4, 30), None)],
    ids=["one beat lost", "a gap of 2.9 s", "fewer than four"],
)
def test_windows_with_a_gap_or_too_few_beats_have_no_label(removed: slice, unlabelled: list[int] | None) -> None:
    times = np.delete(np.arange(0.1, 30, 60 / 84), removed)
    labelled = heart_rates(times, 30.0).times_s - 4
    if unlabelled is not None:
        gap = np.flatnonzero(np.diff(times) > 2.0)
        spoilt = [s for s in range(0, 23, 2) for g in gap if s <= times[g] and times[g + 1] < s + 8]
        assert set(labelled) == set(range(0, 23, 2)) - set(spoilt)
    else:
        assert all(((times >= start) & (times < start + 8)).sum() >= 4 for start in labelled)


def test_uneven_intervals_are_doubted_where_a_detector_found_them_and_taken_where_a_person_did() -> None:
    times = np.sort(np.append(beats(), 20.0))
    assert heart_rates(times, SECONDS).times_s.size == 27
    doubted = heart_rates(times, SECONDS, most_uneven=0.3).times_s
    assert doubted.size < 27 and not ((doubted > 16) & (doubted < 24)).any()


@pytest.mark.parametrize("rate_hz", [125.0, 128.0, 129.9, 250.0, 700.0])
@pytest.mark.parametrize("bpm", [45.0, 84.0, 180.0])
def test_the_heart_rate_of_an_ecg_is_that_of_its_r_waves(rate_hz: float, bpm: float) -> None:
    pytest.importorskip("wfdb")
    labels = heart_rates_of_ecg(ecg(rate_hz, bpm), rate_hz, "a test")
    assert labels.times_s.size >= 24
    np.testing.assert_allclose(labels.heart_rate_bpm, bpm, rtol=0.01)


def test_an_ecg_that_is_none_is_refused() -> None:
    for signal in (np.full(9000, 3.0), np.where(np.arange(9000) == 5, np.nan, 1.0)):
        with pytest.raises(InputError, match=r"S2\.pkl: the ECG is constant or not finite"):
            heart_rates_of_ecg(signal, 700.0, "S2.pkl")


LISTING = """\
      Time   Sample #  Type  Sub Chan  Num	Aux
    0:00.000        0     "    0    0    0	## time resolution: 256
    0:00.391      100     N    0    0    0
    0:00.700      180     +    0    0    0	(N
    0:01.172      300     V    0    0    0
"""


def test_a_listing_of_annotations_gives_its_beats_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.beats.txt"
    path.write_text(LISTING)
    np.testing.assert_allclose(read_beats(path, 256.0), [100 / 256, 300 / 256])
    for text, words in (
        ("", "holds no beats"),
        (LISTING + "    0:01 1e3 N\n", "row 6 .* names no sample"),
        (LISTING + "    0:00.391      100     N    0    0    0\n", "do not follow each other"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=f"a.beats.txt: .*{words}") as error:
            read_beats(path, 256.0)
        _one_line(error)


# Wrist PPG During Exercise


def listing(times: NDArray[np.float64], rate_hz: int = 256) -> str:
    """What `rdann -v` prints of annotated beats."""
    rows = [f"    {t // 60:.0f}:{t % 60:06.3f} {round(t * rate_hz):8d}     N    0    0    0" for t in times]
    return "\n".join([*LISTING.splitlines()[:2], *rows]) + "\n"


def exercise_edf(folder: Path, record: str = "s2_walk", bpm: float = 84.0) -> None:
    """A record as this copy of the set has it: EDF, whose names are cut to 16 letters, and a listing of beats."""
    edfio = pytest.importorskip("edfio")
    signals = [("chest_ecg", "mV", ecg(256, bpm)), ("wrist_ppg", "mV", pulse(256, bpm)), ("wrist_gyro_x", "", ecg(256))]
    signals += [(f"wrist_low_noise_{'_' * k}"[:16], "ms^-2", axis) for k, axis in enumerate(gravity(256, 9.80665))]
    signals += [("wrist_wide_range", "ms^-2", axis) for axis in gravity(256, 9.80665)]
    made = [edfio.EdfSignal(data, 256, label=name, physical_dimension=unit) for name, unit, data in signals]
    edfio.Edf(made).write(folder / f"{record}.edf")
    (folder / f"{record}.beats.txt").write_text(listing(beats(bpm)))


def exercise_wfdb(folder: Path, record: str = "s9_run", bpm: float = 84.0) -> None:
    """A record as PhysioNet distributes it."""
    wfdb = pytest.importorskip("wfdb")
    axes = list(gravity(256, 9.80665))
    names = ["chest_ecg", "wrist_ppg", *(f"wrist_low_noise_accelerometer_{axis}" for axis in "xyz")]
    samples = np.stack([ecg(256, bpm), pulse(256, bpm), *axes], axis=1)
    units = ["mV", "mV", "m/s^2", "m/s^2", "m/s^2"]
    wfdb.wrsamp(record, 256, units, names, samples, fmt=["16"] * 5, write_dir=str(folder))
    at = np.round(beats(bpm) * 256).astype(int)
    wfdb.wrann(record, "atr", at, ["N"] * at.size, write_dir=str(folder))


@pytest.mark.parametrize("make", [exercise_edf, exercise_wfdb], ids=["EDF", "WFDB"])
def test_wrist_exercise_is_read_from_either_format(tmp_path: Path, make: Callable[..., None]) -> None:
    make(tmp_path, "s9_low_resistance_bike", bpm=102.0)
    make(tmp_path, "s3_walk")
    ride, walk = sorted(load_wrist_exercise(tmp_path), key=lambda one: one.subject, reverse=True)
    _is_labelled(ride, 102.0, "wrist_exercise", "wrist_exercise/s9")
    _is_labelled(walk, 84.0, "wrist_exercise", "wrist_exercise/s3")
    assert (set(ride.activity), set(walk.activity)) == ({"low resistance bike"}, {"walking"})
    assert ride.ppg_hz == ride.acc_hz == 256 and ride.label_count == 27
    assert len(detect_and_load(tmp_path)) == 2


def test_wrist_exercise_in_both_formats_is_one_record_and_no_format_reads_it_again(tmp_path: Path) -> None:
    exercise_edf(tmp_path, "s2_walk")
    exercise_wfdb(tmp_path, "s2_walk")
    (one,) = detect_and_load(tmp_path)
    assert one.source == "wrist_exercise"
    assert len(find_source_files("wrist_exercise", tmp_path)) == 5
    for part in ("s2_walk.dat", "s2_walk.atr", "s2_walk.beats.txt", "s2_walk.edf"):
        assert len(detect_and_load(tmp_path / part)) == 1
    (plain,) = load_source("edf", tmp_path)
    assert plain.source == "edf" and plain.label_count == 0


def test_wrist_exercise_without_its_beats_is_refused_for_training_and_read_for_prediction(tmp_path: Path) -> None:
    exercise_edf(tmp_path)
    (tmp_path / "s2_walk.beats.txt").unlink()
    with pytest.raises(InputError, match=r"s2_walk\.edf: no beats; expected s2_walk\.atr or s2_walk\.beats\.txt"):
        load_wrist_exercise(tmp_path)
    (one,) = detect_and_load(tmp_path, needs_labels=False)
    assert one.label_count == 0 and any("labels not used" in note for note in one.notes)


def test_a_damaged_annotation_file_is_named(tmp_path: Path) -> None:
    exercise_wfdb(tmp_path)
    (tmp_path / "s9_run.atr").write_bytes(b"\xff" * 7)
    with pytest.raises(InputError, match=r"s9_run\.atr: ") as error:
        load_wrist_exercise(tmp_path)
    _one_line(error)


@pytest.mark.real_data
def test_the_real_wrist_exercise_set_has_nine_records_of_three_people_at_rates_that_its_light_shows() -> None:
    pytest.importorskip("edfio")
    recordings = load_source("wrist_exercise", _real("wrist_exercise"))
    assert len(recordings) == 9
    assert {one.subject for one in recordings} == {f"wrist_exercise/s{person}" for person in (2, 3, 5)}
    assert sum(one.label_count for one in recordings) == 1431
    rates = np.concatenate([one.heart_rate_bpm for one in recordings])
    assert rates.min() >= 67 and rates.max() <= 135
    rides = [one for one in recordings if "bike" in one.activity[0] and not one.subject.endswith("s5")]
    windows = make_windows(rides, rates=(32,), margin_s=0)
    grid, power = power_spectra(windows.normalized(32)[:, 1], 32)
    assert np.median(np.abs(grid[power.argmax(axis=1)] - windows.heart_rate_bpm)) < 3


@pytest.mark.real_data
def test_heart_rates_from_the_ecg_agree_with_annotated_beats_and_with_published_rates() -> None:
    edfio, _ = pytest.importorskip("edfio"), pytest.importorskip("wfdb")
    pairs = []
    for path in sorted(_real("wrist_exercise").glob("*.edf"))[::3]:
        signal = edfio.read_edf(path).signals[0].data
        truth = heart_rates(read_beats(path.with_suffix(".beats.txt"), 256.0), signal.size / 256)
        pairs.append((heart_rates_of_ecg(signal, 256.0, path.name), truth, 0.1))
    for one in load_source("ieee_spc", _real("ieee_spc"), ["training"])[::3]:
        (signal,) = read_variables(_real("ieee_spc") / "Training_data" / one.name, "sig")
        truth = Labels(one.label_times_s, one.heart_rate_bpm)
        pairs.append((heart_rates_of_ecg(signal[0], 125.0, one.name), truth, 0.9))
    for found, truth, share in pairs:
        _, ours, theirs = np.intersect1d(found.times_s, truth.times_s, return_indices=True)
        errors = np.abs(found.heart_rate_bpm[ours] - truth.heart_rate_bpm[theirs])
        assert errors.mean() < 0.6 and (errors > 10).sum() <= 1 and ours.size > share * truth.times_s.size


# WESAD


def wesad(bpm: float = 84.0, person: str = "S2", seconds: int = SECONDS) -> dict[str, object]:
    """A pickle's content: light at 64 Hz, acceleration at 32 Hz in 1/64 g, a chest ECG and states at 700 Hz."""
    chest = ecg(700, bpm, seconds)
    states = np.repeat([0, 1, 2, 4, 6], chest.size // 5)
    return {
        "subject": person,
        "signal": {
            "wrist": {"BVP": pulse(64, bpm, seconds)[:, None], "ACC": gravity(32, 64.0, seconds).T},
            "chest": {"ECG": chest[:, None]},
        },
        "label": states,
    }


def python2(value: object) -> bytes:
    """The pickle that Python 2 makes of dictionaries, text and arrays by default, without its final stop."""
    if isinstance(value, dict):
        return b"(d" + b"".join(python2(key) + python2(item) + b"s" for key, item in value.items())
    if isinstance(value, str):
        return b"S" + repr(value).encode() + b"\n"
    assert isinstance(value, np.ndarray)
    shape = b"".join(b"I%d\n" % length for length in value.shape)
    kind = b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb" % value.dtype.str[1:].encode()
    content = b"S" + repr(value.tobytes())[1:].encode() + b"\n"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return made + b"(I1\n(" + shape + b"t" + kind + b"I00\n" + content + b"tb"


def test_wesad_is_read_as_python_2_wrote_it(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    (tmp_path / "S2.pkl").write_bytes(python2(wesad()) + b".")
    np.testing.assert_array_equal(load_array_pickle(tmp_path / "S2.pkl")["label"], wesad()["label"])
    (one,) = load_wesad(tmp_path)
    _is_labelled(one, 84.0, "wesad", "wesad/S2")
    assert (one.ppg_hz, one.acc_hz, one.label_count) == (64, 32, 27)
    assert one.activity[[0, 6, 13, -9, -1]].tolist() == ["transition", "baseline", "stress", "meditation", ""]


def test_wesad_and_ppg_dalia_are_told_apart_by_what_their_pickles_hold(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    for folder, person, content in (("WESAD", "S2", wesad()), ("PPG_FieldStudy", "S3", _distributed())):
        (tmp_path / folder / person).mkdir(parents=True)
        (tmp_path / folder / person / f"{person}.pkl").write_bytes(pickle.dumps(content, protocol=2))
        for beside in (f"{person}_quest.csv", f"{person}_E4_Data.zip", f"{person}_activity.csv"):
            (tmp_path / folder / person / beside).write_text("not; a recording\n")
    assert [one.subject for one in detect_and_load(tmp_path)] == ["ppg_dalia/S3", "wesad/S2"]
    with pytest.raises(InputError, match=r"S2\.pkl: .*read this file as kind wesad"):
        load_ppg_dalia(tmp_path / "WESAD")
    with pytest.raises(InputError, match=r"S3\.pkl: .*kind ppg_dalia reads heart rates"):
        load_wesad(tmp_path / "PPG_FieldStudy")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signal": {"wrist": {}}}, r"signal\.wrist\.BVP"),
        ({"label": np.full(SECONDS * 700, 9)}, "outside 0 to 7"),
        ({"label": None}, "'label'"),
    ],
)
def test_a_wesad_pickle_of_another_layout_is_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    (tmp_path / "S2.pkl").write_bytes(pickle.dumps(wesad() | change, protocol=2))
    with pytest.raises(InputError, match=rf"S2\.pkl: .*{words}") as error:
        load_wesad(tmp_path)
    _one_line(error)
    (tmp_path / "S2.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError, match=r"S2\.pkl: pickle asks for os\.system"):
        load_wesad(tmp_path)


@pytest.mark.parametrize("place", ["S4", "S4/S4_E4_Data"])
def test_wesads_bracelet_exports_are_recordings_without_labels(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    light, axes = pulse(64), gravity(32, 64.0).T
    (folder / "BVP.csv").write_text("1.5e9\n64.0\n" + "\n".join(f"{value:.2f}" for value in light) + "\n")
    rows = "\n".join(",".join(f"{value:.0f}" for value in row) for row in axes)
    (folder / "ACC.csv").write_text("1.5e9, 1.5e9, 1.5e9\n32.0, 32.0, 32.0\n" + rows + "\n")
    (folder / "HR.csv").write_text("1.5e9\n1.0\n200\n200\n")
    (one,) = load_source("wesad", tmp_path)
    assert (one.source, one.subject, one.label_count) == ("wesad", "wesad/S4", 0)
    (tmp_path / "S4.pkl").write_bytes(pickle.dumps(wesad(person="S4"), protocol=2))
    assert [one.name for one in load_source("wesad", tmp_path, with_labels=False)] == ["S4.pkl"]


def test_wesads_archives_of_the_bracelet_are_its_own_wherever_kinds_are_recognized(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "S5_E4_Data.zip", "w") as archive:
        for name, text in _empatica().items():
            archive.writestr(name, text)
    (one,) = detect_and_load(tmp_path)
    assert (one.source, one.subject, one.label_count) == ("wesad", "wesad/S5", 0)


@pytest.mark.real_data
def test_the_real_bracelet_exports_of_wesad_have_no_labels() -> None:
    root = _real("wesad_e4")
    recordings = load_source("wesad", root)
    assert [one.subject for one in recordings] == [f"wesad/S{person}" for person in range(2, 7)]
    assert all(one.label_count == 0 and one.ppg_hz == 64 and one.duration_s > 5400 for one in recordings)
    assert [one.source for one in detect_and_load(root / "S2")] == ["empatica_e4"]


# WildPPG


def wildppg(folder: Path, person: str = "an0", bpm: float = 84.0, seconds: int = SECONDS, **changed: object) -> None:
    """A participant's file: structures of structures of samples `v` and a rate `fs`."""

    def sensor(samples: NDArray[np.float64]) -> dict[str, object]:
        return {"v": samples[None], "fs": 128}

    light = {f"ppg_{colour}": sensor(pulse(128, bpm, seconds)) for colour in ("g", "ir", "r")}
    axes = {f"acc_{axis}": sensor(values) for axis, values in zip("xyz", gravity(128, 1.0, seconds), strict=True)}
    wrist = {**light, **axes, **changed}
    content = {"id": person, "notes": "", "wrist": wrist, "sternum": {**wrist, "ecg": sensor(ecg(128, bpm, seconds))}}
    savemat(folder / f"WildPPG_Part_{person}.mat", content)


def test_wildppg_takes_the_wrists_light_and_the_heart_rate_of_the_sternums_ecg(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    wildppg(tmp_path)
    (one,) = detect_and_load(tmp_path)
    _is_labelled(one, 84.0, "wildppg", "wildppg/an0")
    assert (one.ppg.shape, one.ppg_hz, one.acc_hz, one.label_count) == ((1, 128 * SECONDS), 128, 128, 27)


def test_wildppg_is_split_where_its_light_was_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    light = pulse(128)
    light[20 * 128 : 25 * 128] = light[20 * 128]
    wildppg(tmp_path, ppg_g={"v": light[None], "fs": 128})
    before, after = load_wildppg(tmp_path)
    assert before.duration_s == pytest.approx(20, abs=0.1) and after.duration_s == pytest.approx(35, abs=0.1)
    assert before.subject == after.subject


def test_a_wildppg_file_without_its_ecg_or_axes_is_named(tmp_path: Path) -> None:
    wildppg(tmp_path, acc_x={"v": np.ones((1, 5)), "fs": 128})
    with pytest.raises(InputError, match=r"Part_an0\.mat: wrist\.acc_x, acc_y and acc_z differ"):
        load_wildppg(tmp_path)
    savemat(tmp_path / "WildPPG_Part_an0.mat", {"id": "an0", "wrist": {"ppg_g": 3.0}})
    with pytest.raises(InputError, match=r"Part_an0\.mat: structure 'sternum' is missing"):
        load_wildppg(tmp_path)
    with pytest.raises(InputError, match=r"Part_an0\.mat: variable 'ppg_g\.v' is missing"):
        load_wildppg(tmp_path, with_labels=False)


# GalaxyPPG

KOREA_MS = 9 * 3_600_000
START_MS = 1_700_000_000_000


def _csv(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


def galaxy(folder: Path, person: str = "P02", bpm: float = 84.0, seconds: int = SECONDS) -> Path:
    """A participant's folder; the strap's clock is nine hours ahead, and sends its ECG in packets of 73."""
    root = folder / person
    watch = [START_MS + 40 * k for k in range(25 * seconds)]
    light, axes = pulse(25, bpm, seconds), gravity(25, 4096.0, seconds)
    received = START_MS + 5000
    _csv(root / "GalaxyWatch/PPG.csv", "dataReceived,timestamp,ppg,status",
         [(received, t, round(v), 0) for t, v in zip(watch, light, strict=True)])  # fmt: skip
    _csv(root / "GalaxyWatch/ACC.csv", "dataReceived,timestamp,x,y,z",
         [(received, t, *np.round(v).astype(int)) for t, v in zip(watch, axes.T, strict=True)])  # fmt: skip
    _csv(root / "GalaxyWatch/HR.csv", "dataReceived,timestamp,hr,hrStatus", [(received, watch[0], 200, 1)])
    strap = [START_MS + KOREA_MS + round(73 * (k // 73) / 0.13) for k in range(130 * seconds)]
    _csv(root / "PolarH10/ECG.csv", "phoneTimestamp,sensorTimestamp,ecg",
         [(t, 0, round(1000 * v)) for t, v in zip(strap, ecg(130, bpm, seconds), strict=True)])  # fmt: skip
    _csv(root / "PolarH10/HR.csv", "phoneTimestamp,hr,hrv",
         [(START_MS + KOREA_MS + 1000 * k, round(bpm), "") for k in range(seconds)])  # fmt: skip
    _csv(root / "Event.csv", "timestamp,session,status",
         [(START_MS, "baseline", "ENTER"), (START_MS + 30_000, "baseline", "EXIT"),
          (START_MS + 31_000, "walking", "ENTER"), (START_MS + 60_000, "walking", "EXIT")])  # fmt: skip
    _csv(root / "E4/BVP.csv", "value,timestamp", [(1.0, START_MS * 1000)])
    _csv(folder / "Meta.csv", "UID,AGE", [(person, 30)])
    return root


def test_galaxy_ppg_takes_the_watchs_light_and_the_heart_rate_of_the_straps_ecg(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    galaxy(tmp_path)
    (one,) = detect_and_load(tmp_path)
    _is_labelled(one, 84.0, "galaxy_ppg", "galaxy_ppg/P02")
    assert (one.ppg_hz, one.acc_hz) == (25, 25) and one.label_count >= 24
    sessions = dict(zip(one.label_times_s.round().tolist(), one.activity.tolist(), strict=True))
    assert (sessions[10], sessions[40]) == ("baseline", "walking")
    assert len(detect_and_load(tmp_path / "P02/GalaxyWatch/ACC.csv")) == 1


def test_galaxy_ppg_without_an_ecg_takes_what_the_strap_says_and_never_the_watch(tmp_path: Path) -> None:
    root = galaxy(tmp_path, bpm=96.0)
    (root / "PolarH10/ECG.csv").unlink()
    (one,) = load_galaxy_ppg(tmp_path)
    _is_labelled(one, 96.0, "galaxy_ppg", "galaxy_ppg/P02")
    (root / "PolarH10/HR.csv").unlink()
    with pytest.raises(InputError, match=r"PPG\.csv: no PolarH10/ECG\.csv, nor HR\.csv") as error:
        load_galaxy_ppg(tmp_path)
    _one_line(error)
    (root / "GalaxyWatch/PPG.csv").write_text("dataReceived,timestamp,green\n1,2,3\n")
    with pytest.raises(InputError, match=r"PPG\.csv: column 'ppg' is missing"):
        load_galaxy_ppg(tmp_path, with_labels=False)


def test_a_reference_that_needs_a_library_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wildppg(tmp_path)
    monkeypatch.setitem(sys.modules, "wfdb.processing", None)
    with pytest.raises(InputError, match=r"Part_an0\.mat: beats are read by the package wfdb, .* pip install wfdb"):
        load_wildppg(tmp_path)
    assert len(load_wildppg(tmp_path, with_labels=False)) == 1
