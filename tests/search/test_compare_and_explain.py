"""Comparing fronts, the same subnets on another device, and explaining one, through the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.cli import main
from search.pareto.compare import compare_fronts
from search.pareto.fronts import non_dominated
from tests.nas.tiny_run import finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_front_that_is_better_everywhere_dominates_all_of_the_other() -> None:
    worse = np.random.default_rng(0).random((20, 3)) + 1
    found = compare_fronts(worse - 0.5, worse)
    assert found.first_dominated == 0 and found.second_dominated == 1
    assert found.first_hypervolume > found.second_hypervolume


def test_a_front_against_itself_is_a_draw() -> None:
    points = np.random.default_rng(1).random((40, 3))
    points = points[non_dominated(points)]
    found = compare_fronts(points, points)
    assert found.first_hypervolume == found.second_hypervolume
    assert found.first_dominated == found.second_dominated == 0
    with pytest.raises(ValueError, match="without members"):
        compare_fronts(points, points[:0])


def test_another_device_costs_the_same_subnets(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = {row["id"]: row for row in answer(capsys, "pareto", finished, "--all", "--json")}
    there = {row["id"]: row for row in answer(capsys, "pareto", finished, "--all", "--json", "--device", "stm32h743")}
    assert set(here) == set(there)
    for arch, row in there.items():
        assert row["device"] == "stm32h743" and row["mae_bpm"] == here[arch]["mae_bpm"]
        # The same core at another clock.
        assert row["cycles"] == here[arch]["cycles"]
        assert row["latency_ms"] == pytest.approx(here[arch]["latency_ms"] * 64 / 480)


def test_a_run_against_itself(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "pareto", finished, "--against", finished, "--json")
    assert found["same_split"]
    assert [row["dominated by the other"] for row in found["fronts"]] == [0, 0]


def test_explaining_adds_up(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = answer(capsys, "pareto", finished, "--all", "--json")
    arch = max(rows, key=lambda row: row["latency_ms"])
    found = answer(capsys, "explain", finished, arch["id"], "--json")
    assert sum(row["share"] for row in found["layers"]) == pytest.approx(1)
    assert sum(row["cycles"] for row in found["layers"]) <= arch["cycles"]
    assert sum(row["cycles"] for row in found["by_kind"]) == sum(row["cycles"] for row in found["layers"])
    assert all(row["latency_ms"] < arch["latency_ms"] for row in found["cheaper"])
    assert all(row["mae_bpm"] < arch["mae_bpm"] for row in found["better"])
    assert main(["explain", str(finished), "ffffffffff"]) == 2
    assert "no architecture with id" in capsys.readouterr().err
    assert main(["explain", str(finished), arch["id"]]) == 0
    assert "dearest:" in capsys.readouterr().out
