"""Progress of long work: a line that is redrawn on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int, int, str], None]
"""Called as advance(done, total, note)."""
REDRAW_S = 2.0
"""Seconds between redraws: a run of an hour leaves a recorded terminal readable."""
PLAIN_S = 30.0
"""Seconds between plain lines."""


class PlainLines:
    """Progress where nothing can be redrawn: a line every PLAIN_S, whether or not the work has moved on."""

    def __init__(self, title: str, write: Callable[[str], object], every_s: float = PLAIN_S) -> None:
        self._title, self._write, self._every_s = title, write, every_s
        self._begun = time.monotonic()
        self._state: tuple[int, int, str] = (0, 0, "")
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Note how far the work is."""
        self._state = (done, total, note)

    def close(self) -> None:
        """Say nothing any more."""
        self._ended.set()
        self._teller.join()

    def _tell(self) -> None:
        while not self._ended.wait(self._every_s):
            done, total, note = self._state
            passed = time.monotonic() - self._begun
            reached = f": {done} of {total}" if total else ""
            left = f", {_duration(passed * (total - done) / done)} left" if done else ""
            self._write(f"{self._title}{reached} after {_duration(passed)}{left} {note}".rstrip() + "\n")


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """Progress on standard error while the body runs; gives the function that moves it."""
    if not sys.stderr.isatty():
        lines = PlainLines(title, lambda line: print(line, end="", file=sys.stderr, flush=True))
        try:
            yield lines
        finally:
            lines.close()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, refresh_per_second=1 / REDRAW_S) as bar:
        task = bar.add_task(title, total=None, note="")

        def advance(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance
