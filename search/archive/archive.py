"""The archive: every evaluated architecture in one SQLite file, append-only, shared by processes.

The evaluator writes it, the search replays from it, queries read it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from hwmodels.basics.documents import parse_json, refuse_lfs_pointer
from hwmodels.basics.errors import InputError
from search.archive.schema import ArchiveError, prepare, transaction
from search.costs.cost_plan import COST_NAMES, STEP_NAMES
from supernet.space.arch import Arch
from supernet.space.search_space import Genes

BUSY_SECONDS = 60.0
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
COST_COLUMNS = (*COST_NAMES, *STEP_NAMES)

# CROSS JOIN fixes SQLite's loop order: this one walks the covering index of each origin.
_JOINED = "origins CROSS JOIN evaluations USING (origin)"
NOT_SUPERSEDED = "id NOT IN (SELECT id FROM superseded)"
"""Condition on rows after `mark_superseded`: the architecture was not measured on more windows elsewhere."""
_ORIGIN = ("space", "device", "metric", "weights", "fold", "protocol")


@dataclass(frozen=True)
class Provenance:
    """What an evaluation's figures depend on besides the architecture; equal values, equal figures.

    `weights` is the hash of the shared weights, `fold` the data split, `protocol` the hash of how
    errors were measured (windows, batch-norm re-estimation, resamples), `metric` the error's name.
    """

    weights: str
    fold: str
    protocol: str
    metric: str = "mae_bpm"


@dataclass(frozen=True)
class Metrics:
    """Accuracy of one architecture: the mean-of-subjects error and its interval over subjects."""

    error: float
    error_low: float
    error_high: float
    subject_errors: dict[str, float]
    windows: int


@dataclass(frozen=True)
class Row:
    """One archived evaluation: architecture, device and costs, metrics, and where they came from.

    The costs of a streaming step are None where the network cannot stream.
    """

    arch_id: str
    arch: str
    genes: tuple[int, ...]
    space: str
    device: str
    latency_ms: float
    cycles: int
    flash_bytes: int
    peak_ram_bytes: int
    energy_mj: float
    power_mw: float
    metric: str
    error: float
    error_low: float
    error_high: float
    subject_errors: dict[str, float]
    windows: int
    weights: str
    fold: str
    protocol: str
    seed: int
    generation: int
    step_latency_ms: float | None = None
    step_cycles: int | None = None
    step_ram_bytes: int | None = None
    step_energy_mj: float | None = None

    def values(self, names: Sequence[str]) -> list[Any]:
        """The named columns, as SQLite takes them."""
        written = {
            "genes": genes_text(self.genes),
            "subject_errors": json.dumps(self.subject_errors, sort_keys=True),
        }
        return [written[name] if name in written else getattr(self, name) for name in names]


COLUMNS = tuple(field.name for field in fields(Row))
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(COLUMNS, (str,)),
    **dict.fromkeys(("latency_ms", "energy_mj", "power_mw", "error", "error_low", "error_high"), (float,)),
    **dict.fromkeys(("cycles", "flash_bytes", "peak_ram_bytes", "windows", "seed", "generation"), (int,)),
    **dict.fromkeys(STEP_NAMES, (int, float, type(None))),
}
"""What SQLite may hold in a column."""
_OWN = tuple(name for name in COLUMNS if name not in _ORIGIN)


def _endless(name: str) -> str:
    """A numeric column in SQL, infinite where there is nothing to cost."""
    return f"ifnull({name}, 9e999)" if name in STEP_NAMES else name


def genes_text(genes: Iterable[int]) -> str:
    """Canonical genes as the archive keys them."""
    return ",".join(str(int(gene)) for gene in genes)


def make_row(
    arch: Arch,
    genes: Genes,
    space: str,
    device: str,
    costs: Mapping[str, Any],
    metrics: Metrics,
    provenance: Provenance,
    seed: int,
    generation: int,
) -> Row:
    """Put one evaluation's parts together; `genes` (genes,), `costs` by the names of COST_COLUMNS;
    those of steps may be missing.
    """
    return Row(
        arch_id=arch.id,
        arch=str(arch),
        genes=tuple(int(gene) for gene in genes),
        space=space,
        device=device,
        latency_ms=float(costs["latency_ms"]),
        cycles=int(costs["cycles"]),
        flash_bytes=int(costs["flash_bytes"]),
        peak_ram_bytes=int(costs["peak_ram_bytes"]),
        energy_mj=float(costs["energy_mj"]),
        power_mw=float(costs["power_mw"]),
        metric=provenance.metric,
        error=metrics.error,
        error_low=metrics.error_low,
        error_high=metrics.error_high,
        subject_errors=metrics.subject_errors,
        windows=metrics.windows,
        weights=provenance.weights,
        fold=provenance.fold,
        protocol=provenance.protocol,
        seed=seed,
        generation=generation,
        **{name: costs.get(name) for name in STEP_NAMES},
    )


def _guarded(method: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """A method of an archive in which what SQLite finds wrong with the file is an ArchiveError."""

    @wraps(method)
    def guarded(*given: _Given.args, **named: _Given.kwargs) -> _Result:
        archive: Any = given[0]
        try:
            return method(*given, **named)
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "full" in str(error):
                raise ArchiveError(f"archive {archive.path}: {error}; mend that and try again") from None
            raise archive._damaged(str(error)) from None
        except (sqlite3.Error, UnicodeError, OverflowError, TypeError) as error:
            raise archive._damaged(str(error)) from None

    return guarded


class Archive:
    """An open archive; use as a context manager. Each append is durable when the call returns.

    Several processes may hold one file: writers wait for one another, and a row that is there already
    is left alone. Raises ArchiveError for a foreign file, another schema, or (without `create`) none.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise ArchiveError(f"archive {self.path}: no such file; run a search first")
        refuse_lfs_pointer(self.path)
        if not self.path.parent.is_dir():
            raise ArchiveError(f"archive {self.path}: the folder {self.path.parent} does not exist")
        try:
            self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise ArchiveError(f"archive {self.path}: cannot be opened ({error})") from None
        try:
            prepare(self._connection, self.path)
        except sqlite3.DatabaseError as error:
            self.close()
            raise ArchiveError(
                f"archive {self.path}: not readable as an archive ({error}); move the file away"
            ) from None
        except BaseException:
            self.close()
            raise

    @_guarded
    def append(self, rows: Sequence[Row]) -> int:
        """Write rows in order, all or none. Returns how many are new.

        Of rows already there only the costs may change: another table gives the same architecture
        other figures on the same device.
        """
        run = self._connection.execute
        marks = ", ".join("?" * len(_OWN))
        statement = f"INSERT OR IGNORE INTO evaluations (origin, {', '.join(_OWN)}) VALUES (?, {marks})"
        names = ", ".join(COST_COLUMNS)
        places = ", ".join("?" * len(COST_COLUMNS))
        update = (
            f"UPDATE evaluations SET ({names}) = ({places}) "
            f"WHERE origin = ? AND genes = ? AND ({names}) IS NOT ({places})"
        )
        count = 0
        with transaction(self._connection):
            for row in rows:
                key = row.values(_ORIGIN)
                origin = self._origins(_ORIGIN, key)
                if not origin:
                    run(f"INSERT INTO origins ({', '.join(_ORIGIN)}) VALUES (?, ?, ?, ?, ?, ?)", key)
                    origin = self._origins(_ORIGIN, key)
                is_new = run(statement, [origin[0], *row.values(_OWN)]).rowcount
                count += is_new
                if not is_new:
                    costs = row.values(COST_COLUMNS)
                    run(update, [*costs, origin[0], *row.values(("genes",)), *costs])
        return count

    def _origins(self, names: Sequence[str], values: Sequence[str]) -> list[int]:
        condition = " AND ".join(f"{name} = ?" for name in names)
        found = self._connection.execute(f"SELECT origin FROM origins WHERE {condition}", values)
        return [origin for (origin,) in found]

    @_guarded
    def begin_search(self, description: str) -> int:
        """The id of the last row that was there when this search first began; 0 for none.

        Asked again after an interruption it gives the same answer, so that a search may build on
        earlier rows and still be replayed.
        """
        with transaction(self._connection):
            self._connection.execute(
                "INSERT OR IGNORE INTO searches SELECT ?, coalesce(max(id), 0) FROM evaluations",
                (description,),
            )
        statement = "SELECT rows_before FROM searches WHERE description = ?"
        before: int = self._connection.execute(statement, (description,)).fetchone()[0]
        return before

    @_guarded
    def mark_superseded(self) -> None:
        """Note, for this connection alone, the rows of architectures that another protocol measured on more
        windows (or later on as many): same space, device, metric, weights and fold. For `NOT_SUPERSEDED`.
        """
        run = self._connection.execute
        run("CREATE TEMP TABLE IF NOT EXISTS superseded (id INTEGER PRIMARY KEY)")
        run("DELETE FROM superseded")
        same = " AND ".join(f"less.{name} = more.{name}" for name in _ORIGIN if name != "protocol")
        pairs = run(
            f"SELECT less.origin, more.origin FROM origins AS less JOIN origins AS more ON {same} "
            "WHERE less.origin != more.origin"
        ).fetchall()
        counts = {origin: self.count("origin = ?", [origin]) for origin in {pair[0] for pair in pairs}}
        for less, more in pairs:
            # CROSS JOIN keeps the order of the loops: the smaller origin is walked, the other looked up.
            order = ("less", "more") if counts[less] < counts[more] else ("more", "less")
            run(
                f"INSERT OR IGNORE INTO superseded SELECT less.id FROM evaluations AS {order[0]} "
                f"CROSS JOIN evaluations AS {order[1]} USING (genes) WHERE less.origin = ? "
                "AND more.origin = ? AND (more.windows, more.id) > (less.windows, less.id)",
                (less, more),
            )

    @_guarded
    def metrics(self, genes: Genes, space: str, provenance: Provenance) -> list[Metrics | None]:
        """What is known of each row of genes under this provenance, whatever device it was costed for."""
        names = ("space", "metric", "weights", "fold", "protocol")
        key = (space, provenance.metric, provenance.weights, provenance.fold, provenance.protocol)
        origins = ", ".join(map(str, self._origins(names, key)))
        statement = (
            "SELECT error, error_low, error_high, subject_errors, windows FROM evaluations "
            f"WHERE genes = ? AND origin IN ({origins}) ORDER BY id LIMIT 1"
        )
        found: list[Metrics | None] = []
        for row_genes in genes:
            row = self._connection.execute(statement, (genes_text(row_genes),)).fetchone()
            found.append(None if row is None else self._metrics(*row))
        return found

    @_guarded
    def rows(self, where: str = "1", parameters: Sequence[Any] = ()) -> list[Row]:
        """Whole rows in the order they were written, narrowed by an SQL condition with `?` places."""
        statement = (
            f"SELECT {', '.join(COLUMNS)} FROM evaluations CROSS JOIN origins USING (origin) WHERE {where} ORDER BY id"
        )
        found = []
        for values in self._connection.execute(statement, parameters):
            found.append(self._row(dict(zip(COLUMNS, values, strict=True))))
        return found

    def _row(self, record: dict[str, Any]) -> Row:
        """A row of the table, every cell of its column's kind. Raises ArchiveError naming the cell."""
        for name, value in record.items():
            if not isinstance(value, _KINDS[name]):
                raise self._damaged(f"{name} of subnet {str(record['arch_id'])[:40]} is {str(value)[:40]!r}")
        try:
            record["genes"] = tuple(map(int, record["genes"].split(",")))
        except ValueError:
            raise self._damaged(f"genes of subnet {record['arch_id'][:40]}") from None
        record["subject_errors"] = self._errors(record["subject_errors"])
        return Row(**record)

    def _metrics(self, error: Any, low: Any, high: Any, subjects: Any, windows: Any) -> Metrics:
        if not all(isinstance(value, float) for value in (error, low, high)) or type(windows) is not int:
            raise self._damaged("an error is no number")
        return Metrics(error, low, high, self._errors(subjects), windows)

    def _errors(self, text: Any) -> dict[str, float]:
        """Errors by subject, as their cell holds them."""
        try:
            content = parse_json(text, "subject_errors") if isinstance(text, str) else None
        except InputError as error:
            raise self._damaged(str(error)) from None
        if not isinstance(content, dict) or not all(isinstance(value, int | float) for value in content.values()):
            raise self._damaged("subject_errors are no numbers")
        return {name: float(value) for name, value in content.items()}

    def _damaged(self, what: str) -> ArchiveError:
        return ArchiveError(f"archive {self.path}: damaged ({what}); move the file away and search again")

    @_guarded
    def figures(
        self, names: Sequence[str], where: str = "1", parameters: Sequence[Any] = ()
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Numeric columns and `id` as arrays of one length, rows in no particular order; infinite for steps
        that do not exist.

        Quick for millions of rows while only costs and the error are asked for.
        """
        for name in names:
            if name not in (*COLUMNS, "id"):
                raise ArchiveError(f"archive {self.path}: no column {name!r}")
        statement = f"SELECT {', '.join(map(_endless, names))} FROM {_JOINED} WHERE {where}"
        dtype = np.dtype([(name, np.float64) for name in names])
        table = np.fromiter(self._connection.execute(statement, parameters), dtype)
        return {name: np.ascontiguousarray(table[name]) for name in names}

    @_guarded
    def ordered(
        self,
        names: Sequence[str],
        where: str,
        parameters: Sequence[Any],
        *,
        descending: bool,
        most: int | None,
    ) -> list[int]:
        """`id` numbers of the first `most` matching rows, ordered by columns, then as they were written."""
        direction = "DESC" if descending else "ASC"
        order = ", ".join(f"{name} {direction}{' NULLS LAST' if name in STEP_NAMES else ''}" for name in names)
        statement = f"SELECT id FROM {_JOINED} WHERE {where} ORDER BY {order}, id LIMIT ?"
        limit = -1 if most is None else most
        return [number for (number,) in self._connection.execute(statement, [*parameters, limit])]

    def by_number(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these `id` numbers, in the order they were written."""
        found: list[Row] = []
        for start in range(0, len(numbers), 500):
            part = sorted(numbers)[start : start + 500]
            found += self.rows(f"id IN ({', '.join(map(str, part))})")
        return found

    @_guarded
    def sample_figures(
        self, names: Sequence[str], where: str, parameters: Sequence[Any], count: int
    ) -> npt.NDArray[np.float64]:
        """About `count` evenly spread rows' figures (n, names), of those that fulfil the condition."""
        last = self._connection.execute("SELECT max(id) FROM evaluations").fetchone()[0] or 0
        numbers = sorted(set(np.linspace(1, max(last, 1), count).astype(int).tolist()))
        statement = (
            f"SELECT {', '.join(map(_endless, names))} FROM evaluations CROSS JOIN origins USING (origin) "
            f"WHERE id IN ({', '.join(map(str, numbers))}) AND ({where})"
        )
        found = self._connection.execute(statement, parameters).fetchall()
        return np.array(found, np.float64).reshape(-1, len(names))

    @_guarded
    def count(self, where: str = "1", parameters: Sequence[Any] = ()) -> int:
        """How many rows fulfil an SQL condition."""
        statement = f"SELECT count(*) FROM {_JOINED} WHERE {where}"
        found: int = self._connection.execute(statement, parameters).fetchone()[0]
        return found

    @_guarded
    def __len__(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM evaluations").fetchone()[0]
        return count

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
