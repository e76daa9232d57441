"""Costs of streaming steps as columns, budgets and objectives, and archives made before there were any."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from search.archive.archive import Archive, ArchiveError
from search.archive.query import Query, QueryError, run_query
from search.archive.rows import Metrics, Origin, Provenance, make_row
from search.costs.budgets import Budgets
from search.costs.cost_plan import CostPlan, compile_both_modes, compile_costs
from search.costs.names import COST_NAMES, STEP_NAMES
from search.feasibility.budget_check import StreamingBudget, check
from search.feasibility.explain import explain
from search.feasibility.uniform import UniformSampler
from search.loop.evaluator import Evaluator, MeanOfSubjects
from search.loop.search_loop import Study, run_search
from search.loop.settings import SearchSettings
from supernet.space.arch import Arch
from tests.search.search_fakes import FakeCostModel, every_member, made_up_errors, small_space

SPACE = small_space()
PLAN = compile_both_modes(SPACE, FakeCostModel(), 2.0)
CENTRED = compile_both_modes(small_space(padding="centred"), FakeCostModel(), 2.0)
# A quarter of a second is two samples at 8 Hz, which two strides of the 32 Hz stem do not part.
MIXED = compile_both_modes(
    small_space(
        stems=({"rate_hz": 8, "kernel": 3, "stride": 1}, {"rate_hz": 32, "kernel": 5, "stride": 16}),
    ),
    FakeCostModel(),
    0.5,
)
ORIGIN = Provenance("w", "0", "p")
SUBJECTS = np.repeat(["a", "b", "c"], 4)


def rows_of(plan: CostPlan, genes, device: str = "fake"):
    costs, errors = plan.costs(genes), made_up_errors(plan.space, genes)
    found = []
    for index, arch in enumerate(plan.space.decode(genes)):
        error = float(errors[index])
        metrics = Metrics(error, error - 1, error + 1, {"a": error}, 10)
        found.append(make_row(arch, genes[index], costs.row(index), metrics, Origin(plan.space.name, device, ORIGIN)))
    return found


def test_costs_of_steps_stand_beside_those_of_windows() -> None:
    genes = every_member(SPACE)[::7]
    costs, steps = PLAN.costs(genes), compile_costs(SPACE, FakeCostModel(), step_s=2.0).costs(genes)
    windows = compile_costs(SPACE, FakeCostModel()).costs(genes)
    for name in COST_NAMES:
        assert (costs.column(name) == windows.column(name)).all()
    assert (costs.column("step_latency_ms") == steps.latency_ms).all()
    assert (costs.column("step_ram_bytes") == steps.peak_ram_bytes).all()
    row = costs.row(3)
    assert row["step_cycles"] == int(steps.cycles[3])
    assert set(row) == {*COST_NAMES, *STEP_NAMES}
    with pytest.raises(ValueError, match="no streaming steps"):
        windows.column("step_cycles")


def test_what_cannot_stream_has_no_figures_and_is_outside_every_budget() -> None:
    genes = every_member(MIXED.space)
    costs = MIXED.costs(genes)
    streams = np.isfinite(costs.column("step_latency_ms"))
    assert 0 < streams.sum() < len(genes)
    assert (Budgets(step_latency_ms=1e9).admits(costs) == streams).all()
    for name in STEP_NAMES:
        assert (np.isfinite(costs.column(name)) == streams).all()
    row = costs.row(int(np.flatnonzero(~streams)[0]))
    assert [row[name] for name in STEP_NAMES] == [None] * len(STEP_NAMES)


@pytest.mark.parametrize("plan", [PLAN, MIXED])
@pytest.mark.parametrize("quantile", [0.002, 0.05, 0.6])
def test_shares_and_draws_within_a_budget_of_steps_hold_against_brute_force(plan, quantile: float) -> None:
    members = every_member(plan.space)
    costs = plan.costs(members)
    finite = costs.column("step_latency_ms")[np.isfinite(costs.column("step_latency_ms"))]
    budgets = Budgets(step_latency_ms=float(np.quantile(finite, quantile)))
    truth = budgets.admits(costs).mean()
    found = explain(plan, budgets)
    meaning = found.limits["step_latency_ms"]
    assert meaning.share.lower <= truth <= meaning.share.upper <= 1.02 * meaning.share.lower + 1e-9
    assert meaning.smallest.value == pytest.approx(finite.min())
    assert found.joint.lower <= truth <= found.joint.upper
    sampler = UniformSampler(plan, budgets)
    assert sampler.kept_share >= 0.5
    drawn = sampler(500, np.random.default_rng(0))
    assert len(drawn) == 500
    assert budgets.admits(plan.costs(drawn)).all()


def test_a_budget_of_steps_where_nothing_streams_is_refused_in_words() -> None:
    with pytest.raises(StreamingBudget, match="no network of space 'small' can stream"):
        check(CENTRED, Budgets(step_latency_ms=100.0))


def window_errors(arch: Arch) -> np.ndarray:
    level = made_up_errors(MIXED.space, MIXED.space.encode([arch]))[0]
    return level * np.repeat([0.5, 1.0, 1.5], 4)


def test_a_search_with_an_objective_of_steps_keeps_to_networks_that_stream(tmp_path: Path) -> None:
    evaluator = Evaluator(window_errors, MeanOfSubjects(SUBJECTS, resamples=50), ORIGIN, None)
    settings = SearchSettings(evaluations=50, population=12, objectives=("error", "step_latency_ms", "step_ram_bytes"))
    study = Study(
        plan=MIXED,
        budgets=Budgets(),
        evaluators=(evaluator,),
        device="fake",
        seed=1,
        students=[MIXED.space.largest()],
    )
    with Archive(tmp_path / "a.sqlite") as archive:
        found = run_search(study, settings, archive)
        rows = archive.rows()
        assert len(rows) == 50
        assert all(row.step_latency_ms is not None for row in rows)
        answer = run_query(archive, Query(objectives=settings.objectives))
    assert {row.arch for row in answer.rows} == {row.arch for row in found.front}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    genes = every_member(MIXED.space)[::5]
    rows = rows_of(MIXED, genes)
    with Archive(tmp_path_factory.mktemp("steps") / "archive.sqlite") as archive:
        archive.append(rows)
        yield archive, rows


def test_filters_and_fronts_of_steps_leave_out_what_cannot_stream(mixed) -> None:
    archive, rows = mixed
    streams = [row for row in rows if row.step_latency_ms is not None]
    limit = float(np.median([row.step_latency_ms for row in streams]))
    below = {row.arch for row in streams if row.step_latency_ms <= limit}
    above = {row.arch for row in streams if row.step_latency_ms > limit}

    def archs(**query) -> set[str]:
        return {row.arch for row in run_query(archive, Query(is_front_only=False, **query)).rows}

    assert archs(where=f"step_latency_ms <= {limit!r}") == below
    assert archs(where=f"not (step_latency <= {limit!r} ms)") == above
    assert archs(where=f"step_latency_ms > {limit!r}") == above
    assert archs(budgets=Budgets(step_latency_ms=limit)) == below
    front = run_query(archive, Query(objectives=("error", "step_latency_ms")))
    assert front.matched == len(streams)
    kept = [(row.error, row.step_latency_ms) for row in front.rows]
    assert all(not any(a <= e and b < s for a, b in kept) for e, s in kept)


def test_rows_without_steps_stand_last_and_show_nothing(mixed) -> None:
    archive, rows = mixed
    streams = sum(row.step_latency_ms is not None for row in rows)
    for descending in (False, True):
        query = Query(is_front_only=False, sort="step_ram", is_descending=descending)
        sizes = [row.step_ram_bytes for row in run_query(archive, query).rows]
        known = sizes[:streams]
        assert known == sorted(known, reverse=descending)
        assert sizes[streams:] == [None] * (len(rows) - streams)
        top = run_query(archive, Query(is_front_only=False, sort="step_ram", top=3, is_descending=descending))
        assert [row.step_ram_bytes for row in top.rows] == known[:3]
    table = run_query(archive, Query(is_front_only=False)).table()
    assert sum(row["step_ram_kb"] is None for row in table) == len(rows) - streams


def test_a_question_about_steps_that_nothing_answers_says_so(tmp_path: Path) -> None:
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.append(rows_of(CENTRED, every_member(CENTRED.space)[:20]))
        with pytest.raises(QueryError, match="no network here streams"):
            run_query(archive, Query(objectives=("error", "step_latency_ms")))
        with pytest.raises(QueryError, match="none of 20 evaluations matches"):
            run_query(archive, Query(budgets=Budgets(step_latency_ms=5.0)))


def test_schemas_that_are_not_known_are_refused_in_words(tmp_path: Path) -> None:
    for version, age in ((0, "an older"), (99, "a newer")):
        path = tmp_path / f"{version}.sqlite"
        Archive(path).close()
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        with pytest.raises(ArchiveError, match=f"schema {version} of {age} ppg-nas") as caught:
            Archive(path)
        assert "\n" not in str(caught.value)
