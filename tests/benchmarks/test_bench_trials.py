"""Benchmarks that train single networks: what is trained once is kept, and tables come from files alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy_studies import distillation, peers, ranks
from benchmarks.support.fold_results import fold_result, save_fold_result
from benchmarks.support.trials import FoldData, TrialError, load_rows, mean_and_gain, once, save_rows, together
from hwmodels.network.graph import LayerGraph
from nas.assembly.choice import archive_path
from nas.run.run_directory import RunDirectory
from search.archive.archive import Archive
from search.archive.rows import Row
from search.pareto.fronts import non_dominated
from supernet.space.search_space import load_space
from tests.nas.tiny_run import benchmark, copy_of, finished_run
from tests.supernet.supernet_sets import sines


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = finished_run(tmp_path_factory)
    return copy_of(found, found.parent / "own")


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON that a benchmark prints."""
    assert benchmark(*arguments, "--json") == 0
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
    given = fold_arguments(
        run, tmp_path, "--student", "smallest", "--part", "losses", "--losses", "soft_labels+features"
    )
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
    assert benchmark("distillation", "--config", run.parent / "tiny.yaml", "--results", tmp_path) == 2


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


def archived(arch_id: str, error: float, latency_ms: float) -> Row:
    """A row of an archive."""
    costs = (latency_ms, 0, 0, 0, 0.0, 0.0)
    return Row(arch_id, "", (), "", "", *costs, "mae_bpm", error, error, error, {}, 1, "", "", "", 0, 0)


def test_archs_are_taken_over_the_whole_cost_range_of_the_front() -> None:
    rng = np.random.default_rng(0)
    latency = rng.uniform(2, 50, 200)
    rows = [archived(f"{i:03}", 20 / t + rng.exponential(2.0), t) for i, t in enumerate(latency)]
    chosen = ranks.chosen_rows(rows, 30)
    assert len({row.arch_id for row in chosen}) == 30
    taken = sorted(row.latency_ms for row in chosen)
    front = np.array([[row.error, row.latency_ms] for row in rows])
    on_front = front[non_dominated(front)]
    span = on_front[:, 1].max() - on_front[:, 1].min()
    assert on_front[:, 1].min() <= taken[0] and taken[-1] <= on_front[:, 1].max()
    assert max(np.diff(taken)) < span / 6
    assert len(ranks.chosen_rows(rows[:2], 30)) <= 2


def test_tau_is_that_of_its_definition_and_its_interval_holds_it() -> None:
    first = np.arange(30.0)
    assert ranks.rank_correlation(first, 2 * first) == pytest.approx((1.0, 1.0, 1.0))
    assert ranks.rank_correlation(first, -first)[0] == pytest.approx(-1.0)
    noisy = first + np.random.default_rng(0).normal(0, 8, 30)
    tau, low, high = ranks.rank_correlation(first, noisy)
    pairs = [(i, j) for i in range(30) for j in range(i)]
    assert tau == pytest.approx(np.mean([np.sign(noisy[i] - noisy[j]) for i, j in pairs]))
    assert 0 < low < tau < high < 1


def test_ranks_are_told_within_a_sensor_set_too() -> None:
    """Two clusters far apart rank well together even when nothing ranks inside them."""
    rng = np.random.default_rng(3)
    rows = []
    for sensors, level in (("ppg", 6.0), ("ppg_acc", 1.5)):
        for _ in range(12):
            errors = dict(
                zip(("inherited", "independent", "fine_tuned"), level + 0.1 * rng.normal(size=3), strict=True)
            )
            rows.append({"arch": f"16Hz/{sensors}/8/x", "latency_ms": 1.0, "seconds": 1.0, **errors})
            rows[-1]["independent_by_seed"] = [errors["independent"], level + 0.1 * rng.normal()]
    found = ranks.summary(rows)
    assert 0.3 < found["tau_between_trainings"] < 0.8
    assert found["tau_inherited_independent"] > 0.4
    within = [float(found[f"tau_within_{sensors}"].split()[0]) for sensors in ("ppg", "ppg_acc")]
    assert np.mean(within) < found["tau_inherited_independent"] - 0.2


def test_ranks_are_measured_arch_by_arch_and_continue(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["ranks", run, "--archs", 3, "--epochs", 1, "--tuning-epochs", 1, "--seeds", 2]
    assert benchmark(*given, "--seconds", "1", "--json") in (0, 2)
    capsys.readouterr()
    first = told(capsys, *given)
    assert first["archs"] == 3 and -1 <= first["tau_inherited_independent"] <= 1
    row = first["rows"][0]
    assert {"inherited", "independent", "fine_tuned", "latency_ms"} <= set(row)
    seeds = row["independent_by_seed"]
    assert seeds[0] != seeds[1] and row["independent"] == pytest.approx(np.mean(seeds), abs=1e-4)
    monkeypatch.setattr(ranks, "train_graph", None)
    assert told(capsys, *given) == first


def test_peers_are_trained_quantized_costed_and_tabled(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fold_arguments(run, tmp_path, "--student", "cornet-cnn", "--student", "cornet")
    given += ["--max-flash-kb", 12]
    rows = {row["name"]: row for row in told(capsys, "peers", *given)["rows"]}
    int8 = rows["cornet-cnn, distilled, int8"]
    assert int8["cost"]["flash_kb"] > int8["parameters"] / 1024 and int8["cost"]["latency_ms"] > 0
    assert int8["test_gain_bpm"] is not None and "cornet-cnn, hard labels, int8, post-training" in rows
    narrowed = rows["cornet-cnn, narrowed, distilled, int8"]
    assert narrowed["cost"]["flash_kb"] <= 12 < int8["cost"]["flash_kb"]
    assert narrowed["test_gain_bpm"] is not None and "cornet, narrowed, distilled, float" not in rows
    assert "no kernel" in rows["cornet, distilled, float"]["cost"]["note"]
    monkeypatch.setattr(peers, "train_graph", None)
    assert {row["name"] for row in told(capsys, "peers", *given)["rows"]} == set(rows)


@pytest.mark.parametrize("name", ["default", "spectral"])
def test_hand_made_students_are_narrowed_until_they_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(graph: LayerGraph, _: str) -> dict[str, float]:
        return {"latency_ms": graph.macs / 1e5}

    monkeypatch.setattr(peers, "graph_cost", cost)
    space = load_space(name)
    for student in peers.handmade(space):
        share = peers.share_that_fits(space, student, "", {"latency_ms": 3.0})
        fits, next_up = (cost(peers.graph_of(space, student, s), "") for s in (share, share + 0.05))
        assert 0 < share < 1 and fits["latency_ms"] <= 3.0 < next_up["latency_ms"]
        assert peers.share_that_fits(space, student, "", {}) == 1.0


def test_compression_is_stated_step_by_step(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Archive(archive_path(RunDirectory.open(run)), create=False) as archive:
        largest = max(archive.rows(), key=lambda row: (row.flash_bytes, row.arch_id)).arch_id
    given = ["compression", run, "--arch", largest, "--epochs", 1]
    answer = told(capsys, *given)
    rows = {row["name"]: row for row in answer["rows"]}
    whole, small = rows["chosen, float"], rows["pruned, int8"]
    assert small["parameters"] < whole["parameters"] and small["cost"]["macs"] < whole["cost"]["macs"]
    assert whole["test_gain_bpm"] is None and rows["chosen, int8 after training"]["test_gain_bpm"] is not None
    other = rows.get("searched no larger, int8")
    if other is not None:
        assert other["cost"]["flash_kb"] <= small["cost"]["flash_kb"] + 0.01
    assert told(capsys, *given) == answer


def test_augmentations_are_compared_on_validation_subjects(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["augmentation", run, "--epochs", 1, "--student", "smallest", "--way", "contact loss"]
    rows = told(capsys, *given)["rows"]
    assert [row["name"] for row in rows] == ["as configured", "contact loss"]
    assert rows[0]["gain_bpm"] is None and rows[1]["gain_bpm"] is not None


def test_the_appendix_of_results_is_written_from_files_and_says_what_is_missing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "docs" / "results"
    checkout = Path(__file__).parents[2]
    shutil.copytree(checkout / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("results"))
    tables = ["tables", "--root", tmp_path, "--name", "tiny"]
    assert told(capsys, *tables)["measured"] == []
    document = tmp_path / "docs" / "reference" / "results.md"
    missing = document.read_text().count("Not measured yet.")
    assert missing == document.read_text().count(" begin -->")
    told(capsys, "peers", *fold_arguments(run, results / "peers", "--student", "cornet-cnn"))
    told(
        capsys,
        "distillation",
        *fold_arguments(run, results / "distillation", "--student", "smallest", "--part", "losses"),
    )
    save_fold_result(fold_result(RunDirectory.open(run)), results / "accuracy")
    for name, arguments in (
        ("ranks", [run, "--archs", 3, "--epochs", 1, "--tuning-epochs", 1]),
        ("compression", [run, "--epochs", 1]),
        ("augmentation/tiny", [run, "--epochs", 1, "--student", "smallest", "--way", "contact loss"]),
        ("schedules", [run, "--epochs", 1, "--way", "sandwich"]),
    ):
        path = results / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(told(capsys, name.split("/")[0], *arguments)))
    shutil.copy(run / "teacher" / "reliability.json", results)
    measured = told(capsys, *tables)["measured"]
    recipes = {"founding", "peers", "distillation", "ranks", "schedules", "compression", "augmentation", "reliability"}
    assert set(measured) == recipes | {"folds", "int8"}
    text = document.read_text()
    assert text.count("Not measured yet.") == missing - len(measured) and "cornet-cnn, distilled, int8" in text
    assert "| searched, int8 |" in text and "Kendall's tau, inherited against independent weights" in text
    told(capsys, *tables)
    assert document.read_text() == text
