"""Predicting over recordings equals what evaluation says of their windows, and refuses what does not fit."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nas
from benchmarks.support.noises import NOISES, noise
from hwmodels.basics.errors import InputError
from hwmodels.firmware import front_end
from hwmodels.network.interpreter import ClassSettings, InputSettings
from hwmodels.validation.network_check import random_model
from nas.assembly.choice import bundle_path, chosen_arch
from nas.cli import main
from nas.compress.finish import finished_model
from nas.data.loaders.tabular import save_recording
from nas.data.recording import Recording
from nas.data.synthetic import simulate
from nas.data.windows import make_windows
from nas.deploy.manifest import MANIFEST
from nas.evaluation.estimates import integer_estimates
from nas.predict import sensor_counts
from nas.predict.inference import infer, references_of
from nas.predict.shipped import shipped_for
from nas.report.plots import rate_trace
from nas.run.run_directory import RunDirectory
from supernet.space.search_space import load_space
from tests.nas.tiny_run import finished_run, refusal


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return simulate(1, minutes=1.0, seed=5)[0]


@pytest.fixture(scope="module")
def file(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "walk.npz"
    save_recording(path, recording)
    return path


def test_run_and_bundle_say_what_evaluation_says(
    finished: Path, file: Path, recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDirectory.open(finished)
    model = finished_model(run, chosen_arch(run))
    windows = make_windows([recording], rates=(round(model.input.rate_hz),), margin_s=0.0)
    expected = dict(zip(windows.start_s + 4.0, integer_estimates(model, windows).estimate, strict=True))
    answers = []
    for folder in (finished, bundle_path(run)):
        assert main(["predict", str(folder), str(file), "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)[0])
    assert answers[0] == answers[1]
    said = {row["time_s"]: row["heart_rate_bpm"] for row in answers[0]["windows"]}
    common = [time for time in expected if time in said]
    assert len(common) > 10
    # The same network behind the firmware's integer front end, which rounds.
    apart = np.array([abs(said[time] - expected[time]) for time in common])
    assert np.median(apart) < 0.1 and apart.max() < 5


def test_csv_and_picture_are_written(finished: Path, file: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "said.csv", tmp_path / "said.png"
    given = ["predict", str(finished), str(file), "--track", "--out", str(out), "--plot", str(plot)]
    assert main(given) == 0
    rows = list(csv.DictReader(out.open()))
    assert {row["valid"] for row in rows} <= {"0", "1"} and float(rows[0]["time_s"]) == 4.0
    assert plot.stat().st_size > 5000


def test_three_lines_of_python_say_the_same(
    finished: Path, recording: Recording, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPG_NAS_MODEL", str(finished))
    found = nas.infer_heart_rate(recording.ppg, recording.ppg_hz, recording.acc, recording.acc_hz)
    assert found.estimate.shape == found.valid.shape == found.time_s.shape
    assert np.isfinite(found.estimate).all() and ((found.estimate > 29) & (found.estimate < 221)).all()
    doubled = nas.infer_heart_rate(
        1000 * np.asarray(recording.ppg) + 7, recording.ppg_hz, recording.acc, recording.acc_hz
    )
    # The unit of the light does not matter.
    assert np.median(np.abs(doubled.estimate - found.estimate)) < 0.5


def test_what_does_not_fit_is_told_in_one_line(
    finished: Path,
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refusal(*arguments: object) -> str:
        assert main(["predict", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "neither a run nor a bundle" in refusal(tmp_path, file)
    assert "no such file or folder" in refusal(finished, tmp_path / "nothing.csv")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / MANIFEST).write_text("{}")
    assert "not a bundle" in refusal(bundle, file)
    with pytest.raises(AttributeError, match="nothing"):
        _ = nas.nothing


def _desk(kind: str, seconds: float = 60.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Light and acceleration, both at 64 Hz, of a watch that lies on a desk."""
    rng = np.random.default_rng(seed)
    acc = np.array([[0.0], [0.0], [1.0]]) + 0.003 * rng.standard_normal((3, round(64 * seconds)))
    return noise(kind, seconds, 64, seed), acc


@pytest.mark.parametrize("kind", NOISES)
def test_noise_off_the_wrist_is_not_valid_and_says_so(finished: Path, kind: str) -> None:
    valid, count = 0, 0
    for seed in range(4):
        light, acc = _desk(kind, seed=seed)
        found = nas.infer_heart_rate(light, 64, acc, 64, model=finished)
        count += found.valid.size
        valid += int((found.invalid & (1 << 16) == 0).sum())
        assert found.reason_counts.get("no pulse", 0) == sum(
            "no pulse" in found.reasons(i) for i in range(found.valid.size)
        )
    assert valid < 0.12 * count


def test_reasons_of_windows_are_counted_in_the_summary(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    light, acc = _desk("three counts", 120)
    np.savez(tmp_path / "desk.npz", ppg=light, ppg_hz=64, acc=1000 * acc, acc_hz=64, acc_unit="g")
    given = ["predict", str(finished), str(tmp_path / "desk.npz")]
    assert main(given) == 0
    out, err = capsys.readouterr()
    assert "no pulse" in out and "reasons" in out.splitlines()[0]
    assert "note: desk.npz: acceleration has a median of 999" in err and "fits mg, divide by 1000" in err
    assert main([*given, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    counted = {reason: sum(reason in one["reasons"].split("+") for one in row["windows"]) for reason in row["reasons"]}
    assert row["reasons"] == counted and counted["no pulse"] > 50 and counted["motion"] == row["windows"].__len__()
    assert row["valid"] == sum(one["valid"] for one in row["windows"])


def test_a_wearer_has_a_pulse(finished: Path, recording: Recording) -> None:
    found = nas.infer_heart_rate(recording.ppg, recording.ppg_hz, recording.acc, recording.acc_hz, model=finished)
    assert "no pulse" not in found.reason_counts


def test_rates_that_give_sensors_different_durations_are_refused_or_said(
    finished: Path, recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ppg, acc, rate = np.asarray(recording.ppg), np.asarray(recording.acc), recording.ppg_hz
    with pytest.raises(InputError, match=r"acc ends at .* check ppg_hz and acc_hz"):
        nas.infer_heart_rate(ppg, rate / 2, acc, recording.acc_hz, model=finished)
    with pytest.warns(UserWarning, match="s before ppg"):
        nas.infer_heart_rate(ppg, rate, acc[:, : -round(3 * recording.acc_hz)], recording.acc_hz, model=finished)
    short = dataclasses.replace(
        recording, acc=acc[:, : -round(3 * recording.acc_hz)], label_times_s=None, heart_rate_bpm=None,
        activity=None, trusted=None,
    )  # fmt: skip
    save_recording(tmp_path / "short.npz", short)
    assert main(["predict", str(finished), str(tmp_path / "short.npz")]) == 0
    assert "note: short.npz: acc ends 3.0 s before ppg" in capsys.readouterr().err
    np.savez(tmp_path / "tenth.npz", ppg=ppg, ppg_hz=rate * 4, acc=acc, acc_hz=recording.acc_hz)
    assert "tenth.npz: acc ends at" in refusal(capsys, "predict", finished, tmp_path / "tenth.npz")


def test_samples_in_columns_are_the_same_samples(finished: Path, recording: Recording) -> None:
    ppg, acc = np.asarray(recording.ppg), np.asarray(recording.acc)
    rows = nas.infer_heart_rate(ppg[0], recording.ppg_hz, acc, recording.acc_hz, model=finished)
    for light, motion in ((ppg[:1].T, acc.T), (ppg[:1], acc.T), (ppg[0].tolist(), acc.T.tolist())):
        columns = nas.infer_heart_rate(light, recording.ppg_hz, motion, recording.acc_hz, model=finished)
        np.testing.assert_array_equal(columns.estimate, rows.estimate)


def test_samples_of_no_such_shape_are_refused_in_words(finished: Path, recording: Recording) -> None:
    ppg, rate = np.asarray(recording.ppg), recording.ppg_hz
    acc = np.asarray(recording.acc)
    for light, light_hz, motion, told in (
        (ppg[0], rate, acc[:2], r"acc: has shape \(2, .*give \(3, n\) or \(n, 3\)"),
        (ppg[0], rate, acc[0], r"acc: has shape .*give \(3, n\) or \(n, 3\)"),
        (ppg[None], rate, acc, r"ppg: has shape \(1, .*give \(n,\), \(channels, n\)"),
        ([], rate, acc, "ppg"),
        (["a", "b"], rate, acc, "ppg: holds no numbers"),
        (ppg[0], "fast", acc, "ppg_hz: is 'fast'"),
        (ppg[0], None, acc, "ppg_hz: is None"),
        (ppg[0], 10.0, None, "ppg_hz: 10 Hz is too low"),
    ):
        with pytest.raises(nas.InputError, match=told):
            nas.infer_heart_rate(light, light_hz, motion, recording.acc_hz, model=finished)


def test_the_library_tracks_as_the_command_does(
    finished: Path, recording: Recording, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = nas.infer_heart_rate(
        recording.ppg, recording.ppg_hz, recording.acc, recording.acc_hz, model=finished, track=True
    )
    assert main(["predict", str(finished), str(file), "--track", "--json"]) == 0
    said = [one["heart_rate_bpm"] for one in json.loads(capsys.readouterr().out)[0]["windows"]]
    np.testing.assert_allclose(found.estimate, said, atol=1e-3)
    plain = nas.infer_heart_rate(recording.ppg, recording.ppg_hz, recording.acc, recording.acc_hz, model=finished)
    assert not np.array_equal(found.estimate, plain.estimate)


def test_the_package_offers_its_version_and_errors_without_loading_torch() -> None:
    text = (
        "import sys, nas\n"
        "assert issubclass(nas.InputError, ValueError) and nas.__version__[0].isdigit()\n"
        "assert not {'torch', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert issubclass(nas.RunError, nas.InputError) and issubclass(nas.BundleError, nas.InputError)\n"
        "assert set(nas.__all__) <= set(dir(nas)) and all(hasattr(nas, name) for name in nas.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", text], check=True)
    assert (Path(nas.__file__).parent / "py.typed").exists()


def test_rhythms_are_judged_by_their_labels() -> None:
    (recording,) = simulate(1, 0, minutes=3, task="rhythm")
    space = load_space("rhythm", window_s=10, head="class_head", outputs=4)
    model = random_model(space.lower(space.largest()), np.random.default_rng(0))
    names = recording.rhythm_classes[::-1]
    rate = model.input.window_samples / 10
    model = dataclasses.replace(
        model, input=InputSettings(rate, 10.0, "ppg", (0.4, 8.0), 0.3), head=ClassSettings(names, 0.1)
    )
    found = infer(model, recording)
    truth = [names.index(recording.rhythm_classes[index]) for index in recording.rhythm]
    times = np.asarray(recording.label_times_s)
    right = [
        said == truth[int(np.abs(times - time).argmin())]
        for time, said in zip(found.time_s, found.estimate, strict=True)
        if np.abs(times - time).min() <= 1
    ]
    assert found.accuracy == pytest.approx(np.mean(right)) and found.mae_bpm is None
    bare = dataclasses.replace(recording, label_times_s=None, rhythm=None, rhythm_classes=())
    assert infer(model, bare).accuracy is None


@pytest.mark.parametrize(("labels", "told"), [(80.0, ["reference (a strap)"]), (np.nan, [])])
def test_a_legend_says_what_the_reference_is_or_leaves_it_out(labels: float, told: list[str]) -> None:
    time_s = np.arange(5.0)
    figure = rate_trace(time_s, np.full(5, labels), time_s + 70, time_s > 2, "walk", "a strap")
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [text for text in texts if text.startswith("reference")] == told


@pytest.mark.parametrize("has_acceleration", [True, False])
def test_a_recording_read_in_pieces_reads_as_whole(monkeypatch: pytest.MonkeyPatch, has_acceleration: bool) -> None:
    recording = simulate(1, 3, minutes=2.0)[0]
    given = recording if has_acceleration else dataclasses.replace(recording, acc=None)
    model, tracker = shipped_for(has_acceleration).load()
    whole, followed = infer(model, given), infer(model, given, tracker)
    for module, name, value in ((front_end, "_BLOCK", 37), (front_end, "_WINDOWS", 5), (sensor_counts, "_BLOCK", 41)):
        monkeypatch.setattr(module, name, value)
    for found, expected in ((infer(model, given), whole), (infer(model, given, tracker), followed)):
        np.testing.assert_array_equal(found.estimate, expected.estimate)
        np.testing.assert_array_equal(found.confidence, expected.confidence)
        np.testing.assert_array_equal(found.invalid, expected.invalid)


def test_the_nearest_label_is_the_first_of_those_as_near() -> None:
    recording = dataclasses.replace(
        simulate(1, 3, minutes=1.0)[0],
        label_times_s=np.array([9.0, 7.0, 7.0, 30.0]),
        heart_rate_bpm=np.array([90.0, 70.0, 71.0, 130.0]),
        activity=None,
        trusted=None,
    )
    found = references_of(recording, np.array([6.5, 8.0, 9.9, 20.0, 31.0]))
    np.testing.assert_array_equal(found, [70.0, 70.0, 90.0, np.nan, 130.0])


def test_what_comes_with_the_program_needs_no_torch() -> None:
    code = "import sys, nas; nas.infer_heart_rate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
