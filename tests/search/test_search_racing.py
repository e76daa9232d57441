"""Error bars: who can be told apart, who is measured again on more windows, and what the archive keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.archive.archive import Archive
from search.archive.query import Query, run_query
from search.archive.rows import Metrics, Origin, Provenance, Row, make_row
from search.archive.ties import indistinguishable_from_best, surely_smaller, tied
from search.costs.budgets import Budgets
from search.costs.cost_plan import compile_costs
from search.loop.evaluator import Evaluator, MeanOfSubjects
from search.loop.racing import contenders, most_precise, objectives_of
from search.loop.search_loop import SearchResult, Study, run_search
from search.loop.settings import SearchSettings
from search.pareto.fronts import non_dominated
from supernet.space.arch import Arch
from tests.search.search_fakes import FakeCostModel, every_member, made_up_errors, small_space
from tests.search.test_search_run import content

SPACE = small_space()
PLAN = compile_costs(SPACE, FakeCostModel())
MEMBERS = every_member(SPACE)
LATENCY = PLAN.costs(MEMBERS).latency_ms
NAMES = ("error", "latency_ms")
FIRST, FINAL = Provenance("w", "0", "few"), Provenance("w", "0", "many")
PEOPLE = [f"s{index}" for index in range(12)]


def row_of(errors: np.ndarray, index: int = 0, people: list[str] = PEOPLE, origin: Provenance = FIRST) -> Row:
    genes = MEMBERS[index]
    arch = SPACE.decode(genes)[0]
    by_name = dict(zip(people, np.asarray(errors, float).tolist(), strict=True))
    metrics = Metrics(float(np.mean(errors)), float(np.min(errors)), float(np.max(errors)), by_name, 10)
    return make_row(arch, genes, PLAN.of(arch), metrics, Origin(SPACE.name, "fake", origin))


def test_paired_differences_tell_apart_what_intervals_do_not() -> None:
    hard = np.arange(12) * 2.0 + 1.0
    best, shifted = row_of(hard), row_of(hard + 0.3, 1)
    mixed = row_of(hard + 0.3 + 3.0 * (-1.0) ** np.arange(12), 2)
    strangers = row_of(hard + 0.3, 3, [f"t{index}" for index in range(12)])
    rows = [best, shifted, mixed, strangers]
    smaller = surely_smaller(rows, rows)
    assert smaller[0].tolist() == [False, True, False, False]
    assert not (smaller & smaller.T).any()
    same = tied(rows)
    assert (same == same.T).all()
    assert same.diagonal().all()
    assert indistinguishable_from_best(rows).tolist() == [True, False, True, True]


def test_equal_architectures_are_told_apart_about_as_seldom_as_stated() -> None:
    rng = np.random.default_rng(0)
    people = [f"s{index}" for index in range(20)]
    pairs = [rng.normal(5, 1, (1, 20)) + rng.normal(0, 0.5, (2, 20)) for _ in range(200)]
    wrong = 0
    for first, second in pairs:
        rows = [row_of(first, 0, people), row_of(second, 1, people)]
        wrong += not tied(rows)[0, 1]
    assert wrong / 200 < 0.12


def test_contenders_are_the_front_and_whom_nothing_surely_keeps_off_it() -> None:
    order = np.argsort(LATENCY, kind="stable")
    quick, middle, slow = order[0], order[150], order[399]
    wiggle = np.tile([0.4, -0.4], 6)
    front = row_of(np.full(12, 3.0), quick)
    surely_off = row_of(np.full(12, 3.2) + 0.01 * wiggle, middle)
    maybe = row_of(3.1 + wiggle, slow)
    assert contenders([surely_off, maybe, front], NAMES, "many", 0.95) == [front, maybe]
    measured = replace(front, protocol="many")
    assert contenders([surely_off, maybe, measured], NAMES, "many", 0.95) == [maybe]
    assert contenders([measured], NAMES, "many", 0.95) == []


def noisy_windows(arch: Arch, per_subject: int) -> np.ndarray:
    """Errors of windows whose noise depends on architecture and window alone; more windows, less noise."""
    level = made_up_errors(SPACE, SPACE.encode([arch]))[0]
    noise = np.random.default_rng(int(arch.id, 16)).normal(0, 1.0, (len(PEOPLE), 400))[:, :per_subject]
    return (level + noise).reshape(-1)


class Measuring:
    """So many windows of each subject; fails once it has measured `left` architectures."""

    def __init__(self, per_subject: int, left: int = 10**9) -> None:
        self.per_subject, self.left = per_subject, left

    def __call__(self, arch: Arch) -> np.ndarray:
        if self.left == 0:
            raise RuntimeError("crashed")
        self.left -= 1
        return noisy_windows(arch, self.per_subject)


def race(path: Path, left: tuple[int, int] = (10**9, 10**9), **changes) -> tuple[SearchResult, list[str]]:
    said: list[str] = []
    evaluators = [
        Evaluator(Measuring(count, most), MeanOfSubjects(np.repeat(PEOPLE, count), 50), origin)
        for count, most, origin in zip((4, 400), left, (FIRST, FINAL), strict=True)
    ]
    settings = SearchSettings(**{"evaluations": 60, "population": 12, "objectives": NAMES, **changes})
    study = Study(plan=PLAN, budgets=Budgets(), evaluators=evaluators, device="fake")
    with Archive(path) as archive:
        result = run_search(study, settings, archive, say=said.append)
    return result, said


def test_the_front_is_measured_on_all_windows_and_both_evaluations_are_kept(tmp_path: Path) -> None:
    result, said = race(tmp_path / "a.sqlite", reevaluations=60)
    assert result.open_contenders == 0
    assert "the front is stable" in said[-1]
    assert {row.protocol for row in result.front} == {"many"}
    assert 0 < result.reevaluated < 60
    with Archive(tmp_path / "a.sqlite") as archive:
        rows = archive.rows()
        assert len(rows) == 60 + result.reevaluated
        assert result.rows == tuple(most_precise(rows))
        answer = run_query(archive, Query(objectives=NAMES))
        assert {row.arch for row in answer.rows} == {row.arch for row in result.front}
        everything = run_query(archive, Query(is_front_only=False))
        assert everything.matched == len(everything.rows) == 60
        assert run_query(archive, Query(is_front_only=False, protocol="few")).matched == 60
        assert run_query(archive, Query(is_front_only=False, protocol="many")).matched == result.reevaluated
    first = [row for row in rows if row.protocol == "few"]
    lucky = [row for row, on in zip(first, non_dominated(objectives_of(first, NAMES)), strict=True) if on]

    def bias(front) -> float:
        real = made_up_errors(SPACE, np.array([row.genes for row in front]))
        return float(np.abs(np.array([row.error for row in front]) - real).mean())

    assert bias(result.front) < bias(lucky) / 3, "the luck of few windows must be gone"


def test_reevaluations_are_limited_and_what_is_left_is_told(tmp_path: Path) -> None:
    result, said = race(tmp_path / "a.sqlite", reevaluations=3)
    assert result.reevaluated == 3
    assert result.open_contenders > 0
    assert f"{result.open_contenders} contenders left" in said[-1]
    assert race(tmp_path / "b.sqlite", reevaluations=0)[0].reevaluated == 0


@pytest.mark.parametrize("left", [(30, 0), (60, 0), (60, 1), (60, 7)])
def test_a_crash_while_racing_resumes_to_the_same_archive(tmp_path: Path, left: tuple[int, int]) -> None:
    race(tmp_path / "undisturbed.sqlite")
    with pytest.raises(RuntimeError):
        race(tmp_path / "crashed.sqlite", left)
    race(tmp_path / "crashed.sqlite")
    assert content(tmp_path / "crashed.sqlite") == content(tmp_path / "undisturbed.sqlite")


def test_tables_name_the_quicker_member_that_is_as_good(tmp_path: Path) -> None:
    order = np.argsort(LATENCY, kind="stable")
    quick, slow = row_of(np.full(12, 3.0), order[0]), row_of(2.9 + np.tile([0.4, -0.4], 6), order[399])
    best = row_of(np.full(12, 2.0), order[398])
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.append([quick, slow, best])
        table = {row["id"]: row for row in run_query(archive, Query(is_front_only=False)).table()}
    assert table[slow.arch_id]["quicker_tie"] == quick.arch_id
    assert table[slow.arch_id]["tied_with"] == 1
    assert table[quick.arch_id]["quicker_tie"] is None
    assert table[best.arch_id]["tie"]
    assert not table[quick.arch_id]["tie"]


def test_settings_of_the_race_are_checked() -> None:
    with pytest.raises(ValueError, match="confidence"):
        SearchSettings(confidence=1.0)
    with pytest.raises(ValueError, match="reevaluations"):
        SearchSettings(reevaluations=-1)
