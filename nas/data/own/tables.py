"""Separated text that any logger may have written: settings, a header, units, then rows, read in bounded memory.

First step of the loaders of CSV and of Empatica's exports; every failure is one line with file, row and remedy.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import chain, count
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.documents import DocumentError, UndecodableError, refuse_lfs_pointer

MOST_BYTES = 1 << 30
MOST_VALUES = 150_000_000
_MOST_LINE = 1 << 20
_MOST_LINES_OF_ROW = 16
_MOST_COLUMNS = 1000
_MOST_NAME = 200
_UNIT_LINES = 3
_SEPARATORS = ("\t", ";", ",", "|")
_MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "?"))
Converter = Callable[[str], float]
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Head:
    """What stands above the rows: `# key: value` settings, the header's names, and the units of a line of units."""

    settings: Mapping[str, str]
    names: tuple[str, ...]
    units: Mapping[str, str]


class Table:
    """A file of separated text, opened at its first row; `read` goes through the rows once.

    Raises DocumentError (or UndecodableError) naming the file, the row and the remedy for whatever is no such text.
    """

    def __init__(self, lines: Iterator[str], origin: str) -> None:
        self._origin = origin
        self._number = 0
        settings, first = self._settings(lines)
        separator = "," if first is None else _separator(first)
        if first is not None and (named := re.fullmatch(r'"?sep=(.)"?\s*', first)):
            separator, first = named[1], next(lines, None)
            self._number += 1
        if first is None:
            self.fail("no rows; expected a header line and samples")
        self._decimal_comma = separator in ";\t"
        rows = self._parsed(chain([first], lines), separator)
        header = next(rows)[1]
        while header and not header[-1].strip():
            header.pop()
        self._require_header(header)
        names = tuple(name.strip() for name in header)
        units: dict[str, str] = {}
        data = next(rows, None)
        for _ in range(_UNIT_LINES):
            if data is None or _is_sample(data[1], self._decimal_comma):
                break
            units = dict(zip(names, (unit.strip() for unit in data[1]), strict=False))
            data = next(rows, None)
        self.head = Head(settings, names, units)
        self._rows: Iterable[Row] = rows if data is None else chain([data], rows)

    def fail(self, what: str) -> NoReturn:
        """Raise UndecodableError about this file."""
        raise UndecodableError(f"{self._origin}: {what}")

    def read(
        self, numbers: Sequence[str], texts: Sequence[str] = (), time: str | None = None
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, list[str]], bool]:
        """The columns of those names as numbers (NaN where empty) and as text; `time` as seconds where it holds dates.

        The last of the result says whether it does.
        """
        names = self.head.names
        places = [(names.index(name), name) for name in numbers]
        values = {name: array("d") for name in numbers}
        words: dict[str, list[str]] = {name: [] for name in texts}
        rows = iter(self._rows)
        first = next(rows, None)
        if first is None:
            self.fail("no rows; expected a header line and samples")
        converters: dict[str, Converter] = dict.fromkeys(numbers, self._number_of)
        has_dates = time is not None and _is_date(first[1], names.index(time))
        if has_dates and time is not None:
            converters[time] = date_seconds
        budget = MOST_VALUES // max(1, len(numbers) + len(texts))
        for done, (line, row) in enumerate(chain([first], rows)):
            if len(row) < len(names) or any(field.strip() for field in row[len(names) :]):
                self.fail(f"row {line} has {len(row)} fields, the header {len(names)}; repair it")
            if done >= budget:
                self.fail(f"more than {budget:,} rows; split it into several files")
            for place, name in places:
                try:
                    values[name].append(converters[name](row[place]))
                except ValueError:
                    self._not_numeric(name, line, row[place], name == time)
            for name in texts:
                words[name].append(row[names.index(name)].strip())
        return {name: np.frombuffer(held, np.float64) for name, held in values.items()}, words, has_dates

    def _number_of(self, field: str) -> float:
        try:
            if "_" not in field:
                return float(field)
        except ValueError:
            pass
        if field.strip().lower() in _MISSING:
            return float("nan")
        if self._decimal_comma and field.count(",") == 1 and "_" not in field:
            return float(field.replace(",", "."))
        raise ValueError

    def _not_numeric(self, name: str, line: int, field: str, is_time: bool) -> NoReturn:
        remedy = "write seconds, or dates such as 2024-05-01 13:58:58.08" if is_time else "repair it"
        self.fail(f"column {name!r} is not numeric in row {line} ({field[:40]!r}); {remedy}")

    def _settings(self, lines: Iterator[str]) -> tuple[dict[str, str], str | None]:
        """The settings, and the first line after them."""
        settings = {}
        for line in lines:
            self._number += 1
            if line.startswith("#"):
                key, _, value = line.lstrip("#").partition(":")
                settings[key.strip().lower()] = value.strip()
            elif line.strip():
                return settings, line
        return settings, None

    def _parsed(self, lines: Iterable[str], separator: str) -> Iterator[Row]:
        lines_of_row = whole = 0

        def counted() -> Iterator[str]:
            nonlocal lines_of_row
            for line in lines:
                lines_of_row += 1
                if lines_of_row > _MOST_LINES_OF_ROW:
                    self.fail(f"row {before + whole + 1}: a quotation mark is not closed; repair it")
                yield line

        reader = csv.reader(counted(), delimiter=separator)
        before = self._number - 1
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                self.fail(f"row {before + reader.line_num}: {error}; is it separated text with a header line?")
            if row is None:
                return
            lines_of_row, whole = 0, reader.line_num
            if row:
                yield before + reader.line_num, row

    def _require_header(self, header: Sequence[str]) -> None:
        if len(header) > _MOST_COLUMNS or any(len(name) > _MOST_NAME for name in header):
            self.fail("no header line: too many or too long names; write one such as time_s,ppg,acc_x,acc_y,acc_z")
        if not header or all(_is_number(name, self._decimal_comma) for name in header):
            self.fail(
                f"its first line ({', '.join(header)[:60]}) names no columns; write a header line such as "
                "time_s,ppg,acc_x,acc_y,acc_z"
            )


def open_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file; raises DocumentError for what is none, is too large, or cannot be opened."""
    refuse_lfs_pointer(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UndecodableError(f"{path}: {size:,} bytes, more than {MOST_BYTES:,}; split it into several files")
        with path.open("rb") as stream:
            yield from bounded_lines(stream, str(path))
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None


def bounded_lines(stream: IO[bytes], origin: str) -> Iterator[str]:
    """Lines of at most a megabyte. Raises UndecodableError for longer ones, and for bytes that are no UTF-8."""
    for number in count(1):
        line = stream.readline(_MOST_LINE)
        if not line:
            return
        if len(line) == _MOST_LINE:
            raise UndecodableError(f"{origin}: row {number} is longer than {_MOST_LINE:,} bytes; is it a CSV file?")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UndecodableError(f"{origin}: row {number} is no UTF-8 text; save the file as UTF-8 CSV") from None
        # Files of old systems end their lines with a carriage return alone.
        yield from io.StringIO(text, newline=None) if "\r" in text.rstrip("\r\n") else (text,)


def _separator(line: str) -> str:
    """The separator of a header line: the one that stands there most, a tab or semicolon before a comma."""
    return max(_SEPARATORS, key=line.count) if any(map(line.count, _SEPARATORS)) else ","


def _is_number(field: str, decimal_comma: bool) -> bool:
    try:
        float(field.replace(",", ".") if decimal_comma else field)
    except ValueError:
        return False
    return True


def _is_sample(row: Sequence[str], decimal_comma: bool) -> bool:
    """Whether a row holds numbers or dates, rather than the units of its columns."""
    fields = [field.strip() for field in row if field.strip()]
    if not fields:
        return False
    sampled = sum(_is_number(field, decimal_comma) or _is_date([field], 0) for field in fields)
    return sampled > 0 or not all(_is_unit(field) for field in fields)


def _is_unit(field: str) -> bool:
    return len(field) <= 40 and re.fullmatch(r"[A-Za-zµ%°/()^*·.²⁻_\- 0-9\[\]:]+", field) is not None


def _is_date(row: Sequence[str], place: int) -> bool:
    try:
        if place < len(row):
            float(row[place].replace(",", "."))
        return False
    except ValueError:
        pass
    try:
        date_seconds(row[place])
    except ValueError:
        return False
    return True


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def date_seconds(field: str) -> float:
    """Seconds of a date and time (since 1970, UTC where no zone is named), or of a time of day (since midnight)."""
    text = re.sub(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", r"\1-\2-\3", field.strip())
    if not text:
        return float("nan")
    if len(text) > 40:
        raise ValueError(field)
    if re.match(r"\d{1,2}:", text):
        at = time.fromisoformat(f"0{text}" if text[1] == ":" else text)
        return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond) / _SECOND
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) / _SECOND


_SECOND = timedelta(seconds=1)
