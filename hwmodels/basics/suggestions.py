"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name resembles what was written, else nothing."""
    from difflib import get_close_matches  # for mistakes alone: it is slow to load

    near = get_close_matches(written, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
