"""Stage 9: report.html and the picture of the front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.report.run_report import write_report
from nas.run.run_directory import RunDirectory

NAME = "report"
NEEDS: tuple[str, ...] = (
    "prepare",
    "profile",
    "teacher",
    "supernet",
    "search",
    "finish",
    "verify",
    "evaluate",
)


def inputs(run: RunDirectory) -> object:
    """Nothing of its own."""
    return []


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The page and the picture."""
    return tuple(run.path / name for name in ("report.html", "explorer.html", "front.png"))


def execute(run: RunDirectory) -> dict[str, Any]:
    """Write the report."""
    page, picture = write_report(run)
    return {"report": str(page), "picture": str(picture)}
