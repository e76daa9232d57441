"""The filter language of queries: `flash <= 80 KB and not (latency_ms > 50 or device = "stm32h743")`.

Text becomes a syntax tree, the tree an SQL condition with parameters. Nothing is ever evaluated as code.
Neither a comparison with what a network does not have, the cost of a step that it cannot stream, nor its
opposite holds.

    filter     = term { "or" term }          term       = factor { "and" factor }
    factor     = "not" factor | "(" filter ")" | comparison
    comparison = column operator ( number [unit] | "text" )
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hwmodels.basics.errors import InputError

Quantity = Literal["bytes", "time", "power", "energy", "error", "count", "text"]


class FilterError(InputError):
    """A filter that does not follow the grammar; the message points at the place."""


@dataclass(frozen=True)
class Column:
    """A column that filters and sorting know: its name in the archive, what it measures, its scale.

    `scale` is archive units per unit of the name (1024 for flash_kb); None when the name carries no
    unit, so that a number needs one.
    """

    stored: str
    quantity: Quantity
    scale: float | None = 1.0


_UNITS: dict[Quantity, dict[str, float]] = {
    "bytes": {"b": 1, "kb": 1024, "mb": 1024**2},
    "time": {"us": 1e-3, "ms": 1, "s": 1000},
    "power": {"uw": 1e-3, "mw": 1, "w": 1000},
    "energy": {"uj": 1e-3, "mj": 1, "j": 1000},
    "error": {"bpm": 1},
    "count": {},
    "text": {},
}


def _columns() -> dict[str, Column]:
    columns = {
        "latency": Column("latency_ms", "time", None),
        "latency_ms": Column("latency_ms", "time"),
        "cycles": Column("cycles", "count"),
        "energy": Column("energy_mj", "energy", None),
        "energy_mj": Column("energy_mj", "energy"),
        "energy_uj": Column("energy_mj", "energy", 1e-3),
        "step_latency": Column("step_latency_ms", "time", None),
        "step_latency_ms": Column("step_latency_ms", "time"),
        "step_cycles": Column("step_cycles", "count"),
        "step_energy": Column("step_energy_mj", "energy", None),
        "step_energy_mj": Column("step_energy_mj", "energy"),
        "step_energy_uj": Column("step_energy_mj", "energy", 1e-3),
        "power": Column("power_mw", "power", None),
        "power_mw": Column("power_mw", "power"),
    }
    memories = {"flash": "flash_bytes", "ram": "peak_ram_bytes", "peak_ram": "peak_ram_bytes"}
    for name, stored in {**memories, "step_ram": "step_ram_bytes"}.items():
        columns[name] = Column(stored, "bytes", None)
        columns[f"{name}_kb"] = Column(stored, "bytes", 1024)
        columns[f"{name}_bytes"] = Column(stored, "bytes")
    for name in ("error", "mae", "mae_bpm", "macro_f1_error"):
        columns[name] = Column("error", "error")
    for name in ("error_low", "error_high"):
        columns[name] = Column(name, "error")
    for name in ("seed", "generation", "windows"):
        columns[name] = Column(name, "count")
    for name in ("arch", "arch_id", "device", "space", "weights", "fold", "protocol", "metric"):
        columns[name] = Column(name, "text")
    columns["id"] = Column("arch_id", "text")
    return columns


COLUMNS: dict[str, Column] = _columns()


def column_named(name: str) -> Column:
    """The column of a name as users write it. Raises FilterError listing the known names."""
    column = COLUMNS.get(name.lower())
    if column is None:
        raise FilterError(f"unknown column {name!r}; known are {', '.join(sorted(COLUMNS))}")
    return column


@dataclass(frozen=True)
class Comparison:
    """column operator value, the value in the archive's units."""

    column: str
    operator: str
    value: float | str


@dataclass(frozen=True)
class Not:
    """The opposite of one condition."""

    inner: Node


@dataclass(frozen=True)
class Junction:
    """Conditions joined by one word, `and` or `or`."""

    word: Literal["and", "or"]
    parts: tuple[Node, ...]


Node = Comparison | Not | Junction


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


_TOKENS = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<operator><=|>=|==|!=|<|>|=)
      | (?P<parenthesis>[()])
    )""",
    re.VERBOSE,
)
_DEEPEST = 50


def _tokens(source: str) -> Iterator[_Token]:
    position, end = 0, len(source.rstrip())
    while position < end:
        match = _TOKENS.match(source, position)
        if match is None or match.lastgroup is None:
            at = position + len(source[position:]) - len(source[position:].lstrip())
            raise FilterError(f"filter {source!r}: cannot read {source[at]!r} at position {at + 1}")
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        position = match.end()
    yield _Token("end", "the end", len(source))


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = list(_tokens(source))
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        parsed = self._filter()
        self._expect(self._peek().kind == "end", "and, or, or the end")
        return parsed

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek()
        self._next += token.kind != "end"
        return token

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            token = self._peek()
            raise FilterError(
                f"filter {self._source!r}: expected {what} at position {token.position + 1}, found {token.text!r}"
            )

    def _is_word(self, *words: str) -> bool:
        token = self._peek()
        return token.kind == "word" and token.text.lower() in words

    def _joined(self, word: Literal["and", "or"]) -> Node:
        inner = self._term if word == "or" else self._factor
        parts = [inner()]
        while self._is_word(word):
            self._take()
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _filter(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FilterError(f"filter {self._source[:40]!r}...: nested deeper than {_DEEPEST}")
        parsed = self._joined("or")
        self._depth -= 1
        return parsed

    def _term(self) -> Node:
        return self._joined("and")

    def _factor(self) -> Node:
        is_negated = False
        while self._is_word("not"):
            self._take()
            is_negated = not is_negated
        if self._peek().text == "(" and self._peek().kind == "parenthesis":
            self._take()
            parsed = self._filter()
            self._expect(self._peek().text == ")" and self._peek().kind == "parenthesis", "')'")
            self._take()
        else:
            parsed = self._comparison()
        return Not(parsed) if is_negated else parsed

    def _comparison(self) -> Node:
        self._expect(self._peek().kind == "word" and not self._is_word("and", "or"), "a column name")
        name = self._take().text
        column = column_named(name)
        self._expect(self._peek().kind == "operator", "one of <= < >= > = !=")
        operator = {"==": "="}.get(self._peek().text, self._peek().text)
        if column.quantity == "text":
            self._expect(operator in ("=", "!="), f"= or != for the text column {name}")
            self._take()
            self._expect(self._peek().kind == "text", "a text in quotes")
            return Comparison(column.stored, operator, self._take().text[1:-1])
        self._take()
        self._expect(self._peek().kind == "number", "a number")
        value = float(self._take().text)
        return Comparison(column.stored, operator, value * self._scale(name, column))

    def _scale(self, name: str, column: Column) -> float:
        units = _UNITS[column.quantity]
        if self._peek().kind == "word" and not self._is_word("and", "or", "not"):
            known = f"a unit of {name} ({', '.join(units)})" if units else "and, or, or the end"
            self._expect(self._peek().text.lower() in units, known)
            return units[self._take().text.lower()]
        self._expect(column.scale is not None, f"a unit of {name} ({', '.join(units)})")
        return 1.0 if column.scale is None else column.scale


def parse(source: str) -> Node:
    """The syntax tree of a filter. Raises FilterError pointing at the first thing that is wrong."""
    return _Parser(source).whole()


def to_sql(node: Node) -> tuple[str, list[Any]]:
    """An SQL condition and the values of its `?` places."""
    if isinstance(node, Comparison):
        return f"{node.column} {node.operator} ?", [node.value]
    if isinstance(node, Not):
        condition, values = to_sql(node.inner)
        return f"NOT ({condition})", values
    conditions, together = [], []
    for part in node.parts:
        condition, values = to_sql(part)
        conditions.append(f"({condition})")
        together += values
    return f" {node.word.upper()} ".join(conditions), together
