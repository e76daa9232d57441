"""The documents and the fenced blocks in them, as the tests of the documentation read them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
_FENCE = re.compile(r"^```(\w+)?(?: +title=\"([^\"]+)\")?[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is the content of, and its text."""

    language: str
    title: str
    text: str

    @property
    def commands(self) -> Iterator[list[str]]:
        """The words of every command in a block of shell."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def documents() -> list[Path]:
    """README and every page."""
    return [CHECKOUT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(document: Path) -> str:
    """A document's path in the checkout, as tests are named for it."""
    return document.relative_to(CHECKOUT).as_posix()


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return [Block(*(part or "" for part in match)) for match in _FENCE.findall(document.read_text(encoding="utf-8"))]


def without_blocks(document: Path) -> str:
    """The text of a document around its fenced blocks."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))
