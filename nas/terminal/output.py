"""What commands print: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from hwmodels.basics.errors import InputError

Row = Mapping[str, Any]
_WIDEST = 4096


class Noted(Protocol):
    """Anything that has a name and remarks, such as a Recording."""

    @property
    def name(self) -> str:
        """What the remarks are about."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to it while it was read, in words."""
        ...


def print_json(content: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, indent=1, allow_nan=False))


def print_csv(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Rows as CSV on standard output, a header first."""
    writer = csv.DictWriter(sys.stdout, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def print_note(text: str) -> None:
    """One line on standard error, which leaves the result on standard output clean."""
    print(f"ppg-nas: note: {text}", file=sys.stderr, flush=True)


def print_notes(noted: Sequence[Noted]) -> None:
    """What loaders remarked, on standard error: one line a remark, those that several recordings share once."""
    names: dict[str, list[str]] = {}
    for one in noted:
        for note in one.notes:
            names.setdefault(note, []).append(one.name)
    for note, (first, *others) in names.items():
        more = f" and {len(others)} more" if others else ""
        print_note(f"{first}{more}: {note}")


def format_value(value: Any) -> str:
    """A table cell: figures to a sensible precision, nothing for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def print_table(rows: Sequence[Row], columns: Sequence[str], title: str | None = None) -> None:
    """Rows as a table on standard output, figures to the right, every cell whole: nothing is cut to fit."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        figures = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(column, justify="right" if figures else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(format_value(row.get(column)) for column in columns))
    console = Console()
    whole = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    Console(width=max(console.width, whole)).print(table)


def column_names(text: str) -> tuple[str, ...]:
    """Columns of a table as `--columns` takes them: names separated by commas, or "all"."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"must be column names separated by commas, or all, got {text!r}")
    return names


def chosen_columns(rows: Sequence[Row], asked: Sequence[str] | None, usual: Sequence[str]) -> list[str]:
    """The columns to print: those asked for, all of them, else the usual ones. Raises InputError for an unknown one."""
    known = list(rows[0])
    if asked is None:
        return [name for name in usual if name in known]
    if tuple(asked) == ("all",):
        return known
    for name in asked:
        if name not in known:
            raise InputError(f"--columns: no column {name!r}; known are {', '.join(known)}, or all")
    return list(asked)


def plain(summary: Row) -> dict[str, Any]:
    """The entries of a summary that are one figure or word."""
    return {name: value for name, value in summary.items() if isinstance(value, int | float | str)}


def print_fields(fields: Row) -> None:
    """Name and value, one a line, names aligned."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        print(f"{name:<{width}}  {format_value(value)}")
