"""How much memory and time heart rates of a long recording take: made-up samples at 25 Hz with an accelerometer.

Each length runs in a process of its own, which says how far its memory has grown: samples, program and all.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from nas.terminal.arguments import positive_number

_HZ = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks long_recordings`."""
    parser.add_argument(
        "--hours", type=positive_number, action="append", help="length (repeatable; by default 1, 10 and 100)"
    )


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each length: windows, seconds of CPU, times real time, and peak memory in GB."""
    return [_apart(hours) for hours in options.hours or (1.0, 10.0, 100.0)]


def _apart(hours: float) -> dict[str, Any]:
    command = [sys.executable, "-c", f"from {__name__} import measured; measured({hours})"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def measured(hours: float) -> None:
    """Print the row of a length, as JSON."""
    from nas import infer_heart_rate

    rng = np.random.default_rng(0)
    time_s = np.arange(round(hours * 3600 * _HZ), dtype=np.float32) / _HZ
    ppg = 200 * np.sin(2 * np.pi * 1.2 * time_s) + 20 * rng.standard_normal(time_s.size, dtype=np.float32)
    acc = 0.02 * rng.standard_normal((3, time_s.size), dtype=np.float32)
    acc[2] += 1
    del time_s
    started = time.process_time()
    found = infer_heart_rate(ppg, _HZ, acc, _HZ)
    seconds = time.process_time() - started
    row = {
        "hours": hours,
        "windows": len(found.estimate),
        "cpu_s": round(seconds, 2),
        "times_real_time": round(3600 * hours / seconds),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3),
    }
    print(json.dumps(row))
