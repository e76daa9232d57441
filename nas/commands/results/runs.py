"""`ppg-nas runs FOLDER`: what runs there are, how far each is, its best error, its size and when it last worked."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodels.basics.errors import InputError
from nas.terminal.output import print_json, print_table

if TYPE_CHECKING:
    from nas.run.run_directory import RunDirectory

_COLUMNS = ("run", "state", "architectures", "error", "test_error", "size_mb", "worked")
_LOCK = ".lock"


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="folder of runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the runs, the one that worked last first."""
    from nas.run.run_directory import RunDirectory

    if not options.folder.is_dir():
        raise InputError(f"{options.folder}: no such folder; name the one that holds your runs")
    found = sorted(path.parent for path in options.folder.glob("*/config.yaml"))
    if not found:
        raise InputError(f"{options.folder}: holds no runs; ppg-nas run demo makes one in runs/demo")
    rows = []
    for path in found:
        try:
            rows.append(run_row(RunDirectory.open(path)))
        except InputError as error:
            rows.append({"run": str(path), "state": f"unreadable: {error}"[:80], "seconds_ago": float("inf")})
    rows.sort(key=lambda row: row["seconds_ago"])
    for row in rows:
        row.pop("seconds_ago")
    if options.json:
        print_json([{name: row.get(name) for name in _COLUMNS} for row in rows])
    else:
        print_table(rows, _COLUMNS)
    return 0


def run_row(run: RunDirectory) -> dict[str, Any]:
    """One run: figures of stages that are done, None for others; size of all its files in MB."""
    from nas.report.closing import STAGES

    stamps = {stage: stamp for stage in STAGES if (stamp := run.stamp(stage)) is not None}
    files = [path.stat() for path in run.path.rglob("*") if path.is_file()]
    latest = max((file.st_mtime for file in files), default=0.0)
    ago = max(0.0, time.time() - latest)
    finish = stamps["finish"].summary if "finish" in stamps else {}
    errors = finish.get("validation_errors", {}).get(finish.get("chosen"), {})
    return {
        "run": str(run.path),
        "state": _state(run, list(stamps), len(STAGES)),
        "architectures": stamps["search"].summary.get("evaluated") if "search" in stamps else None,
        "error": errors.get("int8"),
        "test_error": _test_error(stamps["evaluate"].summary if "evaluate" in stamps else {}),
        "size_mb": round(sum(file.st_size for file in files) / 1e6, 1),
        "worked": _ago(ago),
        "seconds_ago": ago,
    }


def _state(run: RunDirectory, done: list[str], stages: int) -> str:
    if _is_worked_on(run.path / _LOCK):
        return f"running, {len(done)} of {stages} stages done"
    if len(done) == stages:
        return "finished"
    return f"interrupted after {done[-1]}" if done else "not begun"


def _is_worked_on(lock: Path) -> bool:
    """Whether another process holds the run; the lock is let go of at once."""
    import fcntl

    if not lock.exists():
        return False
    with lock.open("r+") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _test_error(summary: dict[str, Any]) -> float | None:
    """The int8 subnet's error on test subjects, as the evaluation has summed it up."""
    for name, value in summary.items():
        if name.startswith("int8 subnet,") and "tracked" not in name and isinstance(value, int | float):
            return float(value)
    return None


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"
