"""Predicting over recordings equals what evaluation says of their windows, and refuses what does not fit."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import nas
from hwmodels.basics.errors import InputError
from nas.assembly.choice import bundle_path, chosen_arch
from nas.cli import main
from nas.compress.finish import finished_model
from nas.data.loaders.tabular import save_recording
from nas.data.recording import Recording
from nas.data.synthetic import simulate
from nas.data.windows import make_windows
from nas.deploy.manifest import MANIFEST
from nas.evaluation.estimates import integer_estimates
from nas.run.run_directory import RunDirectory
from tests.nas.tiny_run import finished_run


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
    monkeypatch: pytest.MonkeyPatch,
    recording: Recording,
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
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PPG_NAS_MODEL", raising=False)
    with pytest.raises(InputError, match="no model given"):
        nas.infer_heart_rate(recording.ppg, recording.ppg_hz)
    with pytest.raises(AttributeError, match="nothing"):
        _ = nas.nothing
