"""Benchmarks that train single networks: what is trained once is kept, and tables come from files alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.bench import distillation
from nas.cli import main
from nas.run_directory import RunDirectory
from nas.trials import FoldData, TrialError, load_rows, mean_and_gain, once, save_rows, together
from tests.supernet_sets import sines
from tests.tiny_run import copy_of, finished_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = finished_run(tmp_path_factory)
    return copy_of(found, found.parent / "own")


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON that a benchmark prints."""
    assert main(["bench", *map(str, arguments), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def fold_arguments(run: Path, folder: Path, *more: object) -> list[object]:
    config = run.parent / "tiny.yaml"
    return ["--config", config, "--run", run, "--fold", 0, "--epochs", 1, "--results", folder, *more]


def test_what_is_made_from_the_same_is_made_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> dict[str, Any]:
        calls.append(1)
        return {"value": len(calls)}

    path = tmp_path / "kept.json"
    assert once(path, ["a"], make)["value"] == once(path, ["a"], make)["value"] == 1
    assert once(path, ["b"], make)["value"] == 2


def test_a_gain_is_positive_for_the_better_row_and_paired_by_subject() -> None:
    rng = np.random.default_rng(0)
    hard = {f"s{i}": float(v) for i, v in enumerate(rng.uniform(1, 20, 12))}
    errors = {"hard": hard, "soft": {s: v - 0.5 for s, v in hard.items()}}
    mean, gain = mean_and_gain(errors, "soft", "hard")
    assert gain is not None and gain.value == pytest.approx(0.5) and gain.low == pytest.approx(0.5)
    assert mean.high - mean.low > 1 and mean_and_gain(errors, "hard", "hard")[1] is None
    assert mean_and_gain({"hard": {"other": 1.0}, "soft": hard}, "soft", "hard")[1] is None


def test_fewer_people_means_fewer_people_of_every_source(run: Path) -> None:
    data = FoldData.of(RunDirectory.open(run))
    many = sines(60)
    names = np.array([f"{'one' if i % 6 < 4 else 'two'}/{i % 6}" for i in range(60)])
    data = replace(data, training=replace(many, subjects=names))
    for number in (1, 3, 5):
        held = data.of_subjects(number).training.subjects
        assert held is not None and len(np.unique(held)) == number and len(held) == 10 * number
        assert number < 2 or {name.split("/")[0] for name in held} == {"one", "two"}


def test_the_ablation_trains_each_row_once_and_reads_its_table_from_files(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fold_arguments(run, tmp_path, "--student", "smallest", "--part", "losses", "--losses",
                           "soft_labels+features")  # fmt: skip
    first = told(capsys, "distillation", *given)
    names = [row["name"] for row in first["rows"]]
    assert {"hard labels", "soft_labels", "features", "progressive", "soft_labels+features"} <= set(names)
    row = next(row for row in first["rows"] if row["name"] == "soft_labels")
    assert row["test_gain_bpm"]["low"] <= row["test_gain_bpm"]["value"] <= row["test_gain_bpm"]["high"]
    monkeypatch.setattr(distillation, "train_graph", None)
    assert told(capsys, "distillation", *given)["rows"] == first["rows"]
    assert told(capsys, "distillation", "--config", run.parent / "tiny.yaml", "--results", tmp_path)["rows"]


def test_rows_of_other_sensors_and_people_are_held_against_their_own_hard_labels(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distillation, "_PEOPLE", (1,))
    given = fold_arguments(run, tmp_path, "--student", "smallest", "--part", "sensors", "--part", "subjects")
    rows = {row["name"]: row for row in told(capsys, "distillation", *given)["rows"]}
    assert rows["PPG alone: cross_modal"]["against"] == "PPG alone: hard labels"
    assert rows["1 people: soft_labels"]["against"] == "1 people: hard labels"
    assert all((row["test_gain_bpm"] is None) == (row["name"] == row["against"]) for row in rows.values())


def test_a_loss_that_the_teacher_cannot_give_is_said_so(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="no kind 'love'"):
        list(distillation._rows(type("O", (), {"part": ["losses"], "losses": ["love"]})()))
    assert (
        main(["bench", "distillation", "--config", str(run.parent / "tiny.yaml"), "--results", str(tmp_path)])
        == 2
    )


def test_files_that_do_not_belong_together_are_refused(run: Path, tmp_path: Path) -> None:
    directory = RunDirectory.open(run)
    rows = [{"name": "hard labels", "test": {"a": 1.0}, "validation": {"b": 2.0}}]
    save_rows(tmp_path / "tiny-fold0.json", directory, "one", rows)
    assert together(load_rows(tmp_path, "tiny"), "test") == {"hard labels": {"a": 1.0}}
    save_rows(tmp_path / "tiny-fold1.json", directory, "two", rows)
    with pytest.raises(TrialError, match="other settings"):
        load_rows(tmp_path, "tiny")
    (tmp_path / "tiny-fold1.json").write_text("{}")
    with pytest.raises(TrialError, match="not a file of this benchmark"):
        load_rows(tmp_path, "tiny")
