"""The archive: every evaluated architecture in one SQLite file, append-only, shared by processes.

The evaluator writes it, the search replays from it, queries read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from hwmodels.basics.documents import refuse_lfs_pointer
from search.archive.rows import (
    COLUMNS,
    COST_COLUMNS,
    DamagedCellError,
    Metrics,
    Provenance,
    Row,
    genes_text,
    read_metrics,
    read_row,
)
from search.archive.schema import ArchiveError, prepare, transaction
from search.costs.names import STEP_NAMES
from supernet.space.search_space import Genes

BUSY_SECONDS = 60.0
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

# CROSS JOIN fixes SQLite's loop order: this one walks the covering index of each origin.
_JOINED = "origins CROSS JOIN evaluations USING (origin)"
NOT_SUPERSEDED = "id NOT IN (SELECT id FROM superseded)"
"""Condition on rows after `mark_superseded`: the architecture was not measured on more windows elsewhere."""
_ORIGIN = ("space", "device", "metric", "weights", "fold", "protocol")
_BESIDES_ORIGIN = tuple(name for name in COLUMNS if name not in _ORIGIN)


def _endless(name: str) -> str:
    """A numeric column in SQL, infinite where there is nothing to cost."""
    return f"ifnull({name}, 9e999)" if name in STEP_NAMES else name


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
        except (DamagedCellError, sqlite3.Error, UnicodeError, OverflowError, TypeError) as error:
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
        marks = ", ".join("?" * len(_BESIDES_ORIGIN))
        statement = f"INSERT OR IGNORE INTO evaluations (origin, {', '.join(_BESIDES_ORIGIN)}) VALUES (?, {marks})"
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
                is_new = run(statement, [origin[0], *row.values(_BESIDES_ORIGIN)]).rowcount
                count += is_new
                if not is_new:
                    costs = row.values(COST_COLUMNS)
                    run(update, [*costs, origin[0], *row.values(("genes",)), *costs])
        return count

    def _origins(self, names: Sequence[str], values: Sequence[str]) -> list[int]:
        condition = " AND ".join(f"{name} = ?" for name in names)
        rows = self._connection.execute(f"SELECT origin FROM origins WHERE {condition}", values)
        return [origin for (origin,) in rows]

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
        known: list[Metrics | None] = []
        for row_genes in genes:
            cells = self._connection.execute(statement, (genes_text(row_genes),)).fetchone()
            known.append(None if cells is None else read_metrics(*cells))
        return known

    @_guarded
    def rows(self, where: str = "1", parameters: Sequence[Any] = ()) -> list[Row]:
        """Whole rows in the order they were written, narrowed by an SQL condition with `?` places."""
        statement = (
            f"SELECT {', '.join(COLUMNS)} FROM evaluations CROSS JOIN origins USING (origin) WHERE {where} ORDER BY id"
        )
        return [read_row(cells) for cells in self._connection.execute(statement, parameters)]

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
        rows: list[Row] = []
        for start in range(0, len(numbers), 500):
            part = sorted(numbers)[start : start + 500]
            rows += self.rows(f"id IN ({', '.join(map(str, part))})")
        return rows

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
        rows = self._connection.execute(statement, parameters).fetchall()
        return np.array(rows, np.float64).reshape(-1, len(names))

    @_guarded
    def count(self, where: str = "1", parameters: Sequence[Any] = ()) -> int:
        """How many rows fulfil an SQL condition."""
        statement = f"SELECT count(*) FROM {_JOINED} WHERE {where}"
        count: int = self._connection.execute(statement, parameters).fetchone()[0]
        return count

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
