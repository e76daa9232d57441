"""Runs a command again and again, killing it with SIGKILL at chosen moments: the nursery of test_resume.

Started as a process of its own that has everything imported, it forks one child per attempt, so that
dozens of kills cost seconds. Prints one JSON list: for each attempt the last thing its log said and
whether it was killed or ended by itself.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# The last one torch would import at the first step of a training, a second or two of every attempt.
_MODULES = ("nas.commands.run", "nas.commands.export", "nas.report.run_report", "torch._dynamo")
_POLL_S = 0.002
_ATTEMPTS = 120
_LENGTHS_S = {
    "prepare": 0.2,
    "teacher": 0.3,
    "supernet": 0.1,
    "search": 0.2,
    "finish": 0.2,
    "verify": 0.6,
    "evaluate": 0.1,
    "report": 1.0,
}


def start(arguments: Sequence[str], told: Path) -> int:
    """Fork a child, leader of its own session, that runs a command; returns its process number."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        os.setsid()
        with told.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        code = importlib.import_module("nas.cli").main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def events(log: Path) -> list[dict[str, Any]]:
    """What a run's log holds; a line that a kill cut short is passed over."""
    found = []
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def wait_for(child: int, is_due: Callable[[], bool], seconds: float = 300.0) -> int | None:
    """Poll until `is_due()`, the time is over, or the child ends; its exit code in the last case."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not is_due():
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_POLL_S)
    return None


def kill(child: int) -> None:
    """End a child and all of its own children at once."""
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def attempt(
    arguments: Sequence[str], log: Path, told: Path, known: set[str], rng: np.random.Generator
) -> dict[str, Any]:
    """One attempt at a run.

    The first time that it begins with some stage it is killed in the midst of that; else a moment
    after it has got one step further.
    """
    before = len(events(log))
    child = start(arguments, told)

    def new_lines(count: int) -> Callable[[], bool]:
        return lambda: len(events(log)) >= before + count

    code, place = wait_for(child, new_lines(1)), "nothing"
    if code is None:
        first = events(log)[before]
        place = f"{first['event']} {first.get('stage', first.get('training', ''))}"
        if place not in known:
            length_s = _LENGTHS_S.get(first.get("stage", ""), 0.1)
            code = wait_for(child, new_lines(2), float(rng.uniform(0, length_s)))
        else:
            code = wait_for(child, new_lines(2))
            if code is None:
                code = wait_for(child, lambda: False, float(rng.uniform(0, 0.03)))
            place = f"after {place}"
    if code is None:
        kill(child)
    return {"at": place, "code": code}


def interrupt_run(arguments: Sequence[str], run: Path, told: Path, seed: int) -> list[dict[str, Any]]:
    """Kill a run inside every stage, epoch and pause between them, until it comes to its end."""
    rng = np.random.default_rng(seed)
    attempts: list[dict[str, Any]] = []
    while len(attempts) < _ATTEMPTS:
        known = {done["at"] for done in attempts}
        attempts.append(attempt(arguments, run / "log.jsonl", told, known, rng))
        if attempts[-1]["code"] is not None:
            break
    return attempts


def interrupt_command(arguments: Sequence[str], told: Path, seed: int) -> list[dict[str, Any]]:
    """Kill a command after random times that grow, until it comes to its end."""
    rng = np.random.default_rng(seed)
    attempts: list[dict[str, Any]] = []
    while len(attempts) < _ATTEMPTS:
        child = start(arguments, told)
        delay_s = rng.uniform(0.3, 1) * 0.02 * 1.4 ** len(attempts)
        code = wait_for(child, lambda: False, delay_s)
        if code is None:
            kill(child)
        attempts.append({"at": f"{delay_s:.3f} s", "code": code})
        if code is not None:
            break
    return attempts


def main() -> None:
    """Read {"arguments", "run", "told", "seed"} from standard input; without "run" delays alone count."""
    order = json.load(sys.stdin)
    for name in _MODULES:
        importlib.import_module(name)
    told = Path(order["told"])
    if order.get("run"):
        found = interrupt_run(order["arguments"], Path(order["run"]), told, order["seed"])
    else:
        found = interrupt_command(order["arguments"], told, order["seed"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
