"""Folds' files hold what the runs said, to 1/16 BPM, and refuse to be mixed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.support.fold_results import (
    FoldResult,
    FoldResultError,
    assemble,
    fold_result,
    load_fold_result,
    mae_difference,
    metrics_of,
    save_fold_result,
)
from nas.evaluation.metrics import heart_rate_metrics
from nas.run.run_directory import RunDirectory
from tests.nas.tiny_run import benchmark, finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module")
def result(finished: Path) -> FoldResult:
    return fold_result(RunDirectory.open(finished))


def of_others(result: FoldResult, fold: int) -> FoldResult:
    """The same fold as if other people had been tested."""
    return replace(result, fold=fold, subject=np.char.add(result.subject, f"'{fold}"))


def test_a_file_gives_the_metrics_of_its_run(result: FoldResult, finished: Path, tmp_path: Path) -> None:
    read = load_fold_result(save_fold_result(result, tmp_path))
    told = json.loads((finished / "evaluation" / "results.json").read_text())
    for estimator, by_source in told.items():
        for source, expected in by_source.items():
            found = metrics_of(read, estimator, source).to_dict()
            for key in ("mae_bpm", "median_bpm", "p90_bpm"):
                assert found[key]["value"] == pytest.approx(expected[key]["value"], abs=1 / 16)


def test_folds_together_are_the_metrics_of_all_their_windows(result: FoldResult) -> None:
    together = assemble([result, of_others(result, 1)])
    source = str(result.source[0])
    here = together.source == source
    expected = heart_rate_metrics(
        together.estimate_bpm["teacher"][here], together.reference_bpm[here], together.subject[here]
    )
    assert metrics_of(together, "teacher", source).mae_bpm == expected.mae_bpm
    assert expected.subjects == 2 * len(np.unique(result.subject))


def test_a_difference_pairs_every_window_with_itself(result: FoldResult) -> None:
    source = str(result.source[0])
    exact = {"int8 subnet": result.reference_bpm + 3.5, "float subnet": result.reference_bpm - 3.0}
    made = replace(result, estimate_bpm={**result.estimate_bpm, **exact})
    found = mae_difference(made, "int8 subnet", "float subnet", source)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    own = mae_difference(result, "int8 subnet", "float subnet", source)
    both = [metrics_of(result, name, source).mae_bpm.value for name in ("int8 subnet", "float subnet")]
    assert own.value == pytest.approx(both[0] - both[1])


def test_folds_that_do_not_belong_together_are_refused(result: FoldResult, tmp_path: Path) -> None:
    with pytest.raises(FoldResultError, match="is tested in folds 0 and 1"):
        assemble([result, replace(result, fold=1)])
    with pytest.raises(FoldResultError, match="made with other settings than fold 0"):
        assemble([result, replace(of_others(result, 1), settings="other")])
    path = save_fold_result(result, tmp_path)
    path.write_text(path.read_text()[:-200])
    with pytest.raises(FoldResultError, match="not a fold's result"):
        load_fold_result(path)


def test_the_benchmark_tells_what_the_files_say(
    result: FoldResult, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["accuracy", "--config", str(finished.parent / "tiny.yaml"), "--results", str(tmp_path)]
    assert benchmark(*given) == 2
    assert "no fold of tiny yet; give --fold 0" in capsys.readouterr().err
    for fold in (0, 1):
        save_fold_result(of_others(result, fold), tmp_path)
    assert benchmark(*given, "--json", "--plots", tmp_path / "plots") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folds"] == "0, 1 of 3"
    assert [row["fold"] for row in told["per_fold"]] == [0, 1]
    (difference,) = told["int8_minus_float_mae_bpm"].values()
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert (tmp_path / "plots" / "bland_altman.png").stat().st_size > 1000
