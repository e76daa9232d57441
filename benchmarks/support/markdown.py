"""Tables in Markdown files, written between markers from result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwmodels.basics.errors import InputError
from nas.run.run_files import write_text

_BEGIN, _END = "<!-- {} begin -->", "<!-- {} end -->"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def rewrite(path: Path, parts: Mapping[str, str], remedy: str) -> None:
    """Put each part between the markers of its name in a file.

    Raises InputError, ending in `remedy`, when the file cannot be read, or naming a marker that does not
    stand in it once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise InputError(f"{path}: cannot be read; {remedy}") from None
    for name, content in parts.items():
        begin, end = _BEGIN.format(name), _END.format(name)
        if text.count(begin) != 1 or text.count(end) != 1:
            raise InputError(f"{path}: the markers {begin} and {end} must stand in it once each")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    write_text(path, text)
