"""Filters and Pareto queries: grammar, units, fronts, errors."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.basics.errors import InputError
from search.archive.archive import Archive
from search.archive.filters import FilterError, parse, to_sql
from search.archive.query import Query, QueryError, run_query
from search.archive.rows import Metrics, Origin, Provenance, make_row
from search.archive.ties import indistinguishable_from_best
from search.costs.budgets import Budgets
from search.costs.cost_plan import compile_costs
from tests.search.search_fakes import FakeCostModel, every_member, made_up_errors, small_space

SPACE = small_space()
ORIGIN = Provenance("w", "0", "p")
PLACE = Origin("small", "fake", ORIGIN)
OBJECTIVES = ("error", "latency_ms", "flash_bytes", "peak_ram_bytes")


def selected(where: str, **record: float | str) -> bool:
    """Whether SQLite lets one record through a filter."""
    connection = sqlite3.connect(":memory:")
    names = ", ".join(record)
    connection.execute(f"CREATE TABLE t ({names})")
    connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(record))})", list(record.values()))
    condition, values = to_sql(parse(where))
    found = connection.execute(f"SELECT count(*) FROM t WHERE {condition}", values).fetchone()[0]
    connection.close()
    return bool(found)


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("flash_kb <= 80 and latency_ms <= 50 and power_mw <= 5", True),
        ("flash <= 80 KB", True),
        ("flash <= 80kb", True),
        ("flash_kb < 80", False),
        ("flash_bytes == 81920", True),
        ("flash < 0.078 MB", False),
        ("flash <= 81920 B", True),
        ("latency > 49 ms and latency < 0.0501 s", True),
        ("power <= 4 mW or latency = 5e1 ms", True),
        ("not power <= 5 mW", False),
        ("not (power > 5 mW or mae > 3 BPM)", True),
        ("not not mae >= 3", True),
        ("mae < 3 or mae > 3 and latency_ms > 0", False),
        ("(mae >= 3 or mae > 3) and latency_ms > 50", False),
        ("device = 'cortex-m7' and device != \"other\"", True),
        ("DEVICE = 'cortex-m7' AND Flash_KB >= 80", True),
        ("energy < 1 mJ and energy >= 900 uJ", True),
    ],
)
def test_filters_mean_what_they_say(where: str, holds: bool) -> None:
    record = {
        "flash_bytes": 81920,
        "latency_ms": 50.0,
        "power_mw": 5.0,
        "error": 3.0,
        "device": "cortex-m7",
        "energy_mj": 0.9,
    }
    assert selected(where, **record) is holds


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("", "a column name"),
        ("flash", "one of <= <"),
        ("flash <=", "a number"),
        ("flash <= 80", r"a unit of flash \(b, kb, mb\)"),
        ("flash <= 80 ms", "a unit of flash"),
        ("latency_ms <= 5 KB", "a unit of latency_ms"),
        ("cycles < 5 ms", "and, or, or the end"),
        ("speed > 3", "unknown column 'speed'; known are .*latency_ms"),
        ("mae < 3 latency_ms > 3", "a unit of mae"),
        ("mae < 3 and", "a column name at position 12"),
        ("(mae < 3", r"'\)'"),
        ("mae < 3)", "the end at position 8"),
        ("mae < 3; drop table evaluations", "cannot read ';' at position 8"),
        ("__import__('os').system('x')", r"cannot read '\.'"),
        ("device <= 'a'", "= or != for the text column"),
        ("device = cortex", "a text in quotes"),
        ("mae < 'a'", "a number"),
        ("device = 'a", "cannot read"),
        ("(" * 80 + "mae < 3" + ")" * 80, "nested deeper"),
        ("and mae < 3", "a column name"),
    ],
)
def test_malformed_filters_are_refused_with_the_place_and_what_was_expected(where: str, words: str) -> None:
    with pytest.raises(FilterError, match=words) as caught:
        parse(where)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_is_refused_in_words(text: str) -> None:
    try:
        condition, values = to_sql(parse(text))
    except FilterError:
        return
    assert condition.count("?") == len(values)


numbers = st.integers(-3, 3)
comparisons = st.tuples(
    st.sampled_from(["mae", "seed", "cycles"]), st.sampled_from(["<", "<=", "=", "!=", ">"]), numbers
)
trees = st.recursive(
    comparisons, lambda inner: st.tuples(st.sampled_from(["and", "or", "not"]), inner, inner), max_leaves=8
)


def _text(tree) -> str:
    if tree[0] == "not":
        return f"not ({_text(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({_text(tree[1])}) {tree[0]} ({_text(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def _holds(tree, record) -> bool:
    if tree[0] == "not":
        return not _holds(tree[1], record)
    if tree[0] in ("and", "or"):
        both = _holds(tree[1], record), _holds(tree[2], record)
        return all(both) if tree[0] == "and" else any(both)
    value = record[tree[0]]
    return {
        "<": value < tree[2],
        "<=": value <= tree[2],
        "=": value == tree[2],
        "!=": value != tree[2],
        ">": value > tree[2],
    }[tree[1]]


@given(trees, numbers, numbers, numbers)
@settings(max_examples=100, deadline=None)
def test_nested_filters_equal_their_meaning(tree, mae: int, seed: int, cycles: int) -> None:
    expected = _holds(tree, {"mae": mae, "seed": seed, "cycles": cycles})
    assert selected(_text(tree), error=mae, seed=seed, cycles=cycles) is expected


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("query") / "archive.sqlite"
    plan = compile_costs(SPACE, FakeCostModel())
    genes = every_member(SPACE)[::3]
    costs, errors = plan.costs(genes), made_up_errors(SPACE, genes)
    rows = []
    for index, arch in enumerate(SPACE.decode(genes)):
        error = float(errors[index])
        metrics = Metrics(error, error - 1, error + 1, {"a": error - 0.5, "b": error + 0.5}, 10)
        rows.append(make_row(arch, genes[index], costs.row(index), metrics, PLACE, generation=index // 40))
    with Archive(path) as archive:
        archive.append(rows)
        yield archive, rows


def _brute_front(rows):
    def key(row):
        return np.array([getattr(row, name) for name in OBJECTIVES])

    return [
        row
        for row in rows
        if not any((key(other) <= key(row)).all() and (key(other) < key(row)).any() for other in rows)
    ]


def test_the_front_within_budgets_equals_brute_force(filled) -> None:
    archive, rows = filled
    limit = float(np.median([row.latency_ms for row in rows]))
    answer = run_query(archive, Query(budgets=Budgets(latency_ms=limit), where="flash_kb <= 12"))
    inside = [row for row in rows if row.latency_ms <= limit and row.flash_bytes <= 12 * 1024]
    assert answer.matched == len(inside)
    assert answer.total == len(rows)
    assert {row.arch for row in answer.rows} == {row.arch for row in _brute_front(inside)}
    assert [row.error for row in answer.rows] == sorted(row.error for row in answer.rows)


def test_large_selections_are_pruned_in_the_database_without_changing_the_front(filled, monkeypatch) -> None:
    archive, rows = filled
    monkeypatch.setattr("search.archive.query._MANY", 10)
    pruned = run_query(archive, Query(device="fake"))
    assert {row.arch for row in pruned.rows} == {row.arch for row in _brute_front(rows)}


def test_sorting_top_knee_and_all_rows(filled) -> None:
    archive, rows = filled
    cheap = run_query(archive, Query(is_front_only=False, sort="flash", top=5)).rows
    assert [row.flash_bytes for row in cheap] == sorted(row.flash_bytes for row in rows)[:5]
    dear = run_query(archive, Query(is_front_only=False, sort="latency_ms", is_descending=True, top=3)).rows
    assert dear[0].latency_ms == max(row.latency_ms for row in rows)
    best = run_query(archive, Query(is_knee_only=True)).rows
    assert len(best) == 1
    assert best[0].arch in {row.arch for row in _brute_front(rows)}


def test_table_rows_are_plain_and_name_the_metric(filled) -> None:
    archive, _ = filled
    row = run_query(archive, Query(top=1)).table()[0]
    assert {"id", "mae_bpm", "mae_bpm_low", "mae_bpm_high", "latency_ms", "flash_kb", "tie"} <= set(row)
    assert all(isinstance(value, str | int | float | bool | None) for value in row.values())
    assert row["tie"] is True


def test_questions_that_nothing_answers_are_told_in_one_line(filled, tmp_path: Path) -> None:
    archive, rows = filled
    with Archive(tmp_path / "empty.sqlite") as empty, pytest.raises(QueryError, match="no evaluations yet"):
        run_query(empty, Query())
    least = min(row.flash_bytes for row in rows)
    with pytest.raises(QueryError, match=f"smallest archived: flash_bytes {least}"):
        run_query(archive, Query(budgets=Budgets(flash_bytes=1)))
    with pytest.raises(QueryError, match="check device"):
        run_query(archive, Query(device="toaster"))
    with pytest.raises(FilterError, match="unknown column"):
        run_query(archive, Query(sort="beauty"))
    with pytest.raises(QueryError, match="unknown objective"):
        run_query(archive, Query(objectives=("error", "1; drop")))
    with pytest.raises(QueryError, match="top"):
        run_query(archive, Query(top=0))


def test_ties_are_judged_by_paired_differences(filled) -> None:
    _, rows = filled
    names = [f"s{index}" for index in range(12)]
    wide = {name: 3.0 + 2.0 * index for index, name in enumerate(names)}

    def row(shift: dict[str, float]):
        errors = {name: wide[name] + shift[name] for name in names}
        mean = float(np.mean(list(errors.values())))
        return replace(rows[0], subject_errors=errors, error=mean, error_low=mean - 4, error_high=mean + 4)

    rng = np.random.default_rng(0)
    best = row(dict.fromkeys(names, 0.0))
    always_worse = row({name: 0.2 + 0.05 * rng.random() for name in names})
    sometimes_worse = row({name: 0.2 + 3 * (-1) ** index for index, name in enumerate(names)})
    assert indistinguishable_from_best([always_worse, best, sometimes_worse]).tolist() == [False, True, True]
    assert len(indistinguishable_from_best([])) == 0


def test_a_row_that_is_there_keeps_its_figures_and_takes_the_costs_of_a_newer_table(tmp_path: Path) -> None:
    genes = every_member(SPACE)[:3]
    archs, costs = SPACE.decode(genes), compile_costs(SPACE, FakeCostModel()).costs(genes)

    def rows(error: float, factor: int):
        return [
            make_row(
                arch,
                genes[index],
                costs.row(index) | {"cycles": factor * costs.row(index)["cycles"]},
                Metrics(error, error - 1, error + 1, {"s": error}, 10),
                PLACE,
            )
            for index, arch in enumerate(archs)
        ]

    with Archive(tmp_path / "a.sqlite") as archive:
        assert archive.append(rows(4.0, 1)) == 3
        before = archive.rows()
        assert archive.append(rows(9.0, 1)) == 0
        assert archive.rows() == before
        assert archive.append(rows(9.0, 2)) == 0
        after = archive.rows()
        assert [row.error for row in after] == [4.0] * 3
        assert [row.cycles for row in after] == [2 * row.cycles for row in before]
