"""Figures of README and appendix are generated from result files, between markers, and nothing else is touched."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.support.fold_results import FoldResult, save_fold_result
from benchmarks.support.markdown import rewrite
from benchmarks.support.run_tables import run_tables
from hwmodels.basics.errors import InputError
from tests.nas.tiny_run import benchmark

CHECKOUT = Path(__file__).parents[2]

FIRMWARE = {
    "run": "mine",
    "id": "1f",
    "flash_kb": 31.37,
    "ram_kb": 27.32,
    "stack_bytes": 6356,
    "reading_ms": 28.946,
    "samples_ms": 1.191,
    "power_mw": 0.523,
    "mismatches": 0,
    "golden_vectors": 19,
    "readings": 4,
    "budgets": {"flash_kb": 80.0, "ram_kb": None, "reading_ms": 50.0, "power_mw": 5.0},
}

FACTS = dict.fromkeys(
    ("chosen", "arch", "device", "predicted", "verified", "golden_vectors", "mismatches", "validation")
)
FACTS |= dict.fromkeys(("validation", "seed", "version", "hardware", "seconds_by_stage", "seconds"))


def result(name: str, fold: int, errors_bpm: dict[str, float]) -> FoldResult:
    """A fold in which each estimator is wrong by so much, in every window of three people."""
    reference = np.full(30, 80.0)
    return FoldResult(
        name=name,
        fold=fold,
        folds=2,
        settings="same",
        facts=FACTS,
        subject=np.array([f"set/{fold}{person}" for person in range(3)] * 10),
        source=np.array(["set"] * 30),
        activity=np.array([""] * 30),
        reference_bpm=reference,
        estimate_bpm={estimator: reference + error for estimator, error in errors_bpm.items()},
        spread_bpm=dict.fromkeys(errors_bpm),
    )


ERRORS = {"spectral argmax": 9.0, "spectral tracker": 4.0, "int8 subnet": 3.0, "int8 subnet, tracked": 2.0}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "README.md").write_text("before\n<!-- accuracy begin -->\nold\n<!-- accuracy end -->\nafter\n")
    return tmp_path


def test_the_readme_sets_the_tracked_int8_subnet_beside_the_best_baseline_over_all_folds(checkout: Path) -> None:
    for fold in range(2):
        save_fold_result(result("mine", fold, ERRORS), checkout / "docs" / "results" / "accuracy")
    assert benchmark("readme", "--root", checkout) == 0
    text = (checkout / "README.md").read_text()
    row = "| set | other people, 2 of 2 folds | 6 | spectral tracker | 4.00 [4.00, 4.00] | 2.00 [2.00, 2.00] | 2.00"
    assert row in text and text.startswith("before\n") and text.endswith("\nafter\n") and "\nold\n" not in text
    assert benchmark("readme", "--root", checkout) == 0
    assert (checkout / "README.md").read_text() == text


def test_a_fold_without_a_baseline_makes_no_row(checkout: Path) -> None:
    ours = {"int8 subnet, tracked": 2.0}
    save_fold_result(result("mine", 0, ours), checkout / "docs" / "results" / "accuracy")
    assert benchmark("readme", "--root", checkout) == 0
    assert "Not measured yet." in (checkout / "README.md").read_text()


def test_a_readme_without_markers_is_refused_and_left_alone(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "README.md").write_text("nothing here\n")
    assert benchmark("readme", "--root", checkout) == 2
    assert "the markers <!-- accuracy begin -->" in capsys.readouterr().err
    assert (checkout / "README.md").read_text() == "nothing here\n"


def test_tables_of_runs_say_what_their_files_say(tmp_path: Path) -> None:
    (tmp_path / "lut_build.json").write_text(json.dumps({"seconds": 7.2, "entries": 583}))
    (tmp_path / "firmware.json").write_text(json.dumps({"runs": [FIRMWARE]}))
    tables = run_tables(tmp_path)
    assert "| mine | `1f` | 31.4 of 80 | 27.3 | 6.2 | 28.9 of 50 | 1.2 | 0.52 of 5 | 0 of 23 |" in tables["firmware"]
    assert "7 (583 entries)" in tables["model"]
    assert tables["rhythm"] == tables["folds"] == ""


def test_only_what_lies_between_the_markers_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one begin -->\nold\n<!-- one end -->\nb\n<!-- two begin -->\nkept\n<!-- two end -->\n")
    rewrite(page, {"one": "new"}, "no remedy")
    assert page.read_text() == (
        "a\n<!-- one begin -->\nnew\n<!-- one end -->\nb\n<!-- two begin -->\nkept\n<!-- two end -->\n"
    )
    with pytest.raises(InputError, match="once each"):
        rewrite(page, {"three": "new"}, "no remedy")


@pytest.mark.parametrize("name, page", [("readme", "README.md"), ("tables", "docs/reference/results.md")])
def test_the_figures_of_this_checkout_are_generated_not_typed(name: str, page: str, tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "docs", tmp_path / "docs")
    shutil.copy(CHECKOUT / "README.md", tmp_path)
    assert benchmark(name, "--root", tmp_path) == 0
    assert (tmp_path / page).read_text() == (CHECKOUT / page).read_text()


def test_all_long_tables_of_results_stand_in_the_appendix() -> None:
    for page in (CHECKOUT / "docs").rglob("*.md"):
        assert (" begin -->" in page.read_text()) == (page.name == "results.md"), page
