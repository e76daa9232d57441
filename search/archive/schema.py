"""The tables of an archive file: made where there are none.

Anything else is refused in one line. Several processes may open one file at the same instant.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwmodels.basics.errors import InputError

APPLICATION_ID = 0x50504731  # "PPG1"
SCHEMA_VERSION = 3

_FIGURES = """
CREATE INDEX by_figures ON evaluations
    (origin, error, latency_ms, flash_bytes, peak_ram_bytes, energy_mj, power_mw, cycles,
     step_latency_ms, step_cycles, step_ram_bytes, step_energy_mj)
"""
_STEPS = (
    "step_latency_ms REAL",
    "step_cycles INTEGER",
    "step_ram_bytes INTEGER",
    "step_energy_mj REAL",
)
_SCHEMA = f"""
CREATE TABLE origins (
    origin INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    device TEXT NOT NULL,
    metric TEXT NOT NULL,
    weights TEXT NOT NULL,
    fold TEXT NOT NULL,
    protocol TEXT NOT NULL,
    UNIQUE (space, device, metric, weights, fold, protocol)
);
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    origin INTEGER NOT NULL REFERENCES origins,
    genes TEXT NOT NULL,
    arch_id TEXT NOT NULL,
    arch TEXT NOT NULL,
    latency_ms REAL NOT NULL,
    cycles INTEGER NOT NULL,
    flash_bytes INTEGER NOT NULL,
    peak_ram_bytes INTEGER NOT NULL,
    energy_mj REAL NOT NULL,
    power_mw REAL NOT NULL,
    error REAL NOT NULL,
    error_low REAL NOT NULL,
    error_high REAL NOT NULL,
    subject_errors TEXT NOT NULL,
    windows INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    {", ".join(_STEPS)},
    UNIQUE (genes, origin)
);
CREATE INDEX by_id ON evaluations (arch_id);
{_FIGURES};
CREATE TABLE searches (
    description TEXT PRIMARY KEY,
    rows_before INTEGER NOT NULL
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class ArchiveError(InputError):
    """A file that is no archive of this program, or of a schema that it cannot read."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside or nothing; writers wait for one another."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a blank file.

    Raises ArchiveError for another program's database and for a schema that is not known.
    """
    if _is_blank(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        with transaction(connection):
            if _is_blank(connection):
                for statement in _SCHEMA.strip().split(";\n"):
                    connection.execute(statement)
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise ArchiveError(f"archive {path}: a database of another program; choose another file")
    version = _pragma(connection, "user_version")
    if version != SCHEMA_VERSION:
        age = "an older" if version < SCHEMA_VERSION else "a newer"
        raise ArchiveError(
            f"archive {path}: schema {version} of {age} ppg-nas, this one reads {SCHEMA_VERSION}; "
            "move the file away and run the search again"
        )


def _is_blank(connection: sqlite3.Connection) -> bool:
    count: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return count == 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
