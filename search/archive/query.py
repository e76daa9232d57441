"""Pareto queries on an archive: budgets and filters, the front, sorting, top-k, the knee, what is a tie.

Rows come out as plain dictionaries, ready for a table, JSON or CSV.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwmodels.basics.errors import InputError
from search.archive.archive import NOT_SUPERSEDED, Archive
from search.archive.filters import column_named, parse, to_sql
from search.archive.rows import COST_COLUMNS, Row
from search.archive.ties import indistinguishable_from_best, tied
from search.costs.budgets import KB, Budgets
from search.costs.names import OBJECTIVES, STEP_NAMES
from search.pareto.fronts import dominates, knee, non_dominated
from search.pareto.proposals import proposals

_NUMERIC = ("error", *COST_COLUMNS)
_PIVOTS = 3
_SAMPLE = 1500
_MANY = 20_000
_MOST_TIED = 300


class QueryError(InputError):
    """A query that asks for something an archive does not have, or that nothing answers."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to show of an archive.

    `where` is a filter (search.archive.filters); `device`, `weights`, `fold`, `protocol` narrow to one origin;
    without `protocol`, an architecture that was measured in several ways counts once, by most windows;
    `sort` is a column as filters name it; `is_front_only` keeps what nothing else in the selection
    dominates in `objectives`; costs of steps among them leave out what
    cannot stream; `top`, `is_knee_only` and `proposals`, so many
    members that stand for the front, shorten the answer further.
    """

    budgets: Budgets = field(default_factory=Budgets)
    where: str | None = None
    device: str | None = None
    weights: str | None = None
    fold: str | None = None
    protocol: str | None = None
    objectives: tuple[str, ...] = OBJECTIVES
    is_front_only: bool = True
    is_knee_only: bool = False
    proposals: int | None = None
    sort: str = "error"
    is_descending: bool = False
    top: int | None = None


@dataclass(frozen=True)
class Answer:
    """Rows in the order asked for; `matched` counts what the filters let through before the front."""

    rows: tuple[Row, ...]
    matched: int
    total: int

    def table(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of plain values; see `table_row`.

        `tie` tells that the error cannot be told from the smallest one, `quicker_tie` names the quickest
        row whose error cannot be told from this one's (None for this one itself), `tied_with` counts all
        such rows; both None in answers of more than 300 rows. Paired bootstrap over subjects, 95 %.
        """
        ties = indistinguishable_from_best(self.rows)
        table = [{**table_row(row), "tie": bool(tie)} for row, tie in zip(self.rows, ties, strict=True)]
        is_short = len(self.rows) <= _MOST_TIED
        pairs = tied(self.rows) if is_short else np.zeros((len(self.rows), 0), bool)
        for row, same in zip(table, pairs, strict=True):
            alike = [self.rows[index] for index in np.flatnonzero(same)]
            quickest = min(alike, key=lambda tied_row: (tied_row.latency_ms, tied_row.arch_id), default=None)
            is_other = quickest is not None and quickest.arch_id != row["id"]
            row["quicker_tie"] = quickest.arch_id if quickest is not None and is_other else None
            row["tied_with"] = len(alike) - 1 if is_short else None
        return table


def table_row(row: Row) -> dict[str, Any]:
    """One row for people and programs: id, error with its interval, costs in their units, architecture.

    The error stands under the metric's own name, for instance mae_bpm, mae_bpm_low, mae_bpm_high.
    """
    return {
        "id": row.arch_id,
        row.metric: row.error,
        f"{row.metric}_low": row.error_low,
        f"{row.metric}_high": row.error_high,
        "latency_ms": row.latency_ms,
        "flash_kb": row.flash_bytes / KB,
        "ram_kb": row.peak_ram_bytes / KB,
        "energy_mj": row.energy_mj,
        "power_mw": row.power_mw,
        "cycles": row.cycles,
        "step_latency_ms": row.step_latency_ms,
        "step_ram_kb": None if row.step_ram_bytes is None else row.step_ram_bytes / KB,
        "step_energy_mj": row.step_energy_mj,
        "step_cycles": row.step_cycles,
        "device": row.device,
        "generation": row.generation,
        "arch": row.arch,
    }


def run_query(archive: Archive, query: Query) -> Answer:
    """Answer a query. Raises QueryError for an empty archive or when nothing matches, FilterError for a
    filter or column that cannot be read.
    """
    total = len(archive)
    if total == 0:
        raise QueryError(f"archive {archive.path}: holds no evaluations yet; run a search first")
    if query.top is not None and query.top < 1:
        raise QueryError(f"top must be at least 1, got {query.top}")
    for name in query.objectives:
        if name not in _NUMERIC:
            raise QueryError(f"unknown objective {name!r}; known are {', '.join(_NUMERIC)}")
    sort = column_named(query.sort).stored
    if query.protocol is None:
        archive.mark_superseded()
    condition, values = _condition(query)
    matched = archive.count(condition, values)
    if matched == 0:
        nearest = _nearest(archive, query)
        raise QueryError(f"archive {archive.path}: none of {total} evaluations matches{nearest}")
    if query.is_front_only or query.is_knee_only or query.proposals:
        chosen = _front(archive, query, condition, values, matched)
    else:
        chosen = archive.ordered([sort, "error"], condition, values, descending=query.is_descending, most=query.top)
    rows = archive.by_number(chosen)
    rows.sort(key=lambda row: (_known(getattr(row, sort)), row.error, row.arch), reverse=query.is_descending)
    # What has no figure stands last in either order.
    rows.sort(key=lambda row: getattr(row, sort) is None)
    return Answer(tuple(rows[: query.top]), matched, total)


def _known(value: Any) -> Any:
    return 0 if value is None else value


def _condition(query: Query, with_budgets: bool = True) -> tuple[str, list[Any]]:
    conditions: list[str] = [NOT_SUPERSEDED if query.protocol is None else "1"]
    values: list[Any] = []
    for name in ("device", "weights", "fold", "protocol"):
        wanted = getattr(query, name)
        if wanted is not None:
            conditions.append(f"{name} = ?")
            values.append(wanted)
    for name, limit in query.budgets.limits.items() if with_budgets else ():
        conditions.append(f"{name} <= ?")
        values.append(limit)
    if query.is_front_only or query.is_knee_only:
        conditions += [f"{name} IS NOT NULL" for name in query.objectives if name in STEP_NAMES]
    if query.where is not None:
        condition, more = to_sql(parse(query.where))
        conditions.append(f"({condition})")
        values += more
    return " AND ".join(conditions), values


def _nearest(archive: Archive, query: Query) -> str:
    """What the archive's smallest costs are, where budgets leave nothing."""
    limits = query.budgets.limits
    condition, values = _condition(query, with_budgets=False)
    if not limits or archive.count(condition, values) == 0:
        streaming = any(name in STEP_NAMES for name in (*query.objectives, *limits))
        return "; check device, filter and spelling" + (" (no network here streams)" if streaming else "")
    figures = archive.figures(list(limits), condition, values)
    smallest = ", ".join(f"{name} {figures[name].min():.6g} (limit {limit:.6g})" for name, limit in limits.items())
    return f" the budgets; smallest archived: {smallest}; relax them or search again"


def _front(archive: Archive, query: Query, condition: str, values: list[Any], matched: int) -> list[int]:
    """Row numbers of the non-dominated rows, or of the knee or the proposals among them."""
    names = list(query.objectives)
    if matched > _MANY:
        condition, values = _pruned(archive, names, condition, values)
    figures = archive.figures(["id", *names], condition, values)
    points = np.stack([figures[name] for name in names], axis=1)
    kept = np.flatnonzero(non_dominated(points))
    if query.proposals:
        kept = kept[proposals(points[kept], query.proposals)]
    if query.is_knee_only:
        kept = kept[[knee(points[kept])]]
    numbers: list[int] = figures["id"][kept].astype(np.int64).tolist()
    return numbers


def _pruned(archive: Archive, names: list[str], condition: str, values: list[Any]) -> tuple[str, list[Any]]:
    """The condition, without what a few strong rows dominate: SQLite drops that without handing it over."""
    sample = archive.sample_figures(names, condition, values, _SAMPLE)
    beats = dominates(sample)
    conditions, together = [condition], list(values)
    for _ in range(_PIVOTS):
        beaten = beats.sum(axis=1)
        if len(beaten) == 0 or beaten.max() == 0:
            break
        pivot = int(beaten.argmax())
        beats[:, beats[pivot]] = False
        worse = " OR ".join(f"{name} < ?" for name in names)
        same = " AND ".join(f"{name} = ?" for name in names)
        conditions.append(f"({worse} OR ({same}))")
        together += sample[pivot].tolist() * 2
    return " AND ".join(conditions), together
