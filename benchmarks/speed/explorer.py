"""The explorer's page with ten thousand architectures in headless Chromium: its size, time to open, time to answer.

The page is a run's with its architectures repeated, each time with costs and errors moved by a few percent, so that
the picture is as crowded as a real one of that size.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hwmodels.basics.errors import InputError
from nas.report.explorer.page import explorer_page
from nas.report.explorer.records import run_records
from nas.run.run_directory import RunDirectory
from nas.terminal.arguments import positive_count

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_TIMED = """
<script>
window.onerror = (said) => { document.title = `error: ${said}`; };
addEventListener("load", () => setTimeout(() => {
  const opened = performance.now(), times = [];
  for (const slider of document.querySelectorAll(".slider input"))
    for (const value of [800, 500, 300, 1000]) {
      const start = performance.now();
      slider.value = value;
      slider.dispatchEvent(new Event("input"));
      times.push(performance.now() - start);
    }
  document.title = JSON.stringify({ opened, times });
}));
</script>
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks explorer`."""
    parser.add_argument("run", type=Path, help="a run with an archive")
    parser.add_argument("--architectures", type=positive_count, default=10_000, help="how many the page holds (10000)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Size in MB, milliseconds until it stands, and until a slider has answered; console errors are an InputError."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise InputError("no Chromium on the path; install one (Debian: apt-get install chromium)")
    record = crowded(run_records(RunDirectory.open(options.run)), options.architectures)
    page = explorer_page([record])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explorer.html"
        path.write_text(page.replace("<script>", _TIMED + "<script>", 1), encoding="utf-8")
        found = timed(browser, path)
    return {
        "architectures": len(record["archs"]["id"]),
        "page_mb": round(len(page.encode()) / 1e6, 2),
        "opened_ms": round(found["opened"], 1),
        "slider_median_ms": round(float(np.median(found["times"])), 1),
        "slider_most_ms": round(max(found["times"]), 1),
    }


def timed(browser: str, path: Path) -> dict[str, Any]:
    """What a page with _TIMED has measured of itself. Raises InputError for one that fails."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2000", "--dump-dom"]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, check=False, timeout=120)
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    if title is None:
        said = re.search(r"<title>(.*?)</title>", done.stdout)
        raise InputError(f"{browser}: the page did not finish ({said[1] if said else done.stderr[-200:]})")
    found: dict[str, Any] = json.loads(title[1])
    return found


def crowded(record: dict[str, Any], count: int) -> dict[str, Any]:
    """The record with its architectures repeated up to `count`."""
    rng = np.random.default_rng(0)
    held = len(record["archs"]["id"])
    at = np.arange(count) % held

    def moved(values: list[float]) -> list[float]:
        moves = np.where(np.arange(count) < held, 1.0, rng.normal(1.0, 0.03, count))
        return (np.asarray(values)[at] * moves).tolist()

    archs = {
        "id": [record["archs"]["id"][i] if n < held else f"{n:010x}" for n, i in enumerate(at)],
        "arch": [record["archs"]["arch"][i] for i in at],
        "genes": [record["archs"]["genes"][i] for i in at],
        **{name: moved(record["archs"][name]) for name in ("error", "low", "high")},
    }
    costs = {
        device: {name: moved(column) for name, column in columns.items()} for device, columns in record["costs"].items()
    }
    return {**record, "archs": archs, "costs": costs}
