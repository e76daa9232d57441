"""A command that is killed at any moment continues when given again, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nas.stages.names import STAGE_NAMES
from tests.nas.tiny_run import contents, copy_of, environment, finished_run

pytestmark = pytest.mark.arm


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


def interrupted(reference: Path, order: dict[str, Any]) -> list[dict[str, Any]]:
    """What killed_commands did; the last attempt must have come to its end by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.nas.killed_commands"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        env=environment(reference.parent),
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    attempts: list[dict[str, Any]] = json.loads(done.stdout)
    assert attempts[-1]["code"] == 0, Path(order["told"]).read_text()[-3000:]
    assert all(attempt["code"] is None for attempt in attempts[:-1])
    return attempts


def undisturbed(command: list[str], run: Path) -> None:
    """Let a command come to its end."""
    command = [sys.executable, "-m", "nas.cli", *command]
    subprocess.run(command, env=environment(run.parent), check=True, capture_output=True)


def archived(run: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of a run's archive, whole."""
    with sqlite3.connect(run / "archive.sqlite") as archive:
        tables = ("origins", "evaluations", "searches")
        return {table: archive.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}


def lasting(run: Path) -> dict[str, str]:
    """Contents of a run but for what holds the time, or the path of the run."""
    passing = ("log.jsonl", "report.html", "data_root.json", "archive.sqlite")
    return {
        name: digest for name, digest in contents(run).items() if name not in passing and not name.startswith("stages/")
    }


@pytest.mark.slow
def test_a_run_killed_in_every_stage_ends_as_an_undisturbed_one(run, tmp_path):
    mine = tmp_path / "run"
    command = ["run", str(run.parent / "tiny.yaml"), "--run", str(mine)]
    told = tmp_path / "told"
    attempts = interrupted(run, {"arguments": command, "run": str(mine), "told": str(told), "seed": 0})
    places = {attempt["at"] for attempt in attempts[:-1]}
    assert {f"stage started {name}" for name in STAGE_NAMES} <= places
    assert {f"after stage started {name}" for name in ("teacher", "supernet", "finish")} <= places
    assert archived(mine) == archived(run)
    assert lasting(mine) == lasting(run)
    assert "Traceback" not in told.read_text()


@pytest.mark.slow
def test_an_export_killed_at_random_moments_leaves_whole_bundles_alone(run, tmp_path):
    ids = [row[3] for row in archived(run)["evaluations"]]
    other = next(arch_id for arch_id in ids if not (run / "subnets" / arch_id).exists())
    bundles = {}
    for name in ("undisturbed", "interrupted"):
        mine = copy_of(run, tmp_path / name)
        bundles[name] = tmp_path / f"{name} bundle"
        command = ["export", str(mine), "--arch", other, "--out", str(bundles[name])]
        if name == "undisturbed":
            undisturbed(command, run)
        else:
            attempts = interrupted(run, {"arguments": command, "told": str(tmp_path / "told"), "seed": 1})
            assert len(attempts) > 3
    assert contents(bundles["interrupted"]) == contents(bundles["undisturbed"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "undisturbed",
        "interrupted",
        "undisturbed bundle",
        "interrupted bundle",
        "told",
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
def test_workers_of_a_killed_profiling_end_and_the_next_command_makes_the_same_table(run, tmp_path):
    config, mine = run.parent / "tiny.yaml", tmp_path / "run"
    command = [sys.executable, "-m", "nas.cli", "run", str(config), "--run", str(mine), "--until", "profile"]
    own = {**environment(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen(command, env=own, start_new_session=True, stderr=subprocess.DEVNULL) as killed:
        wait_until(lambda: len(group(killed.pid)) > 2)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        wait_until(lambda: not group(killed.pid))
    assert not (mine / "hardware").exists()
    subprocess.run(command, env=own, check=True, capture_output=True)
    tables = [json.loads((path / "hardware" / "lut-cortex-m7.json").read_text()) for path in (run, mine)]
    assert tables[0]["entries"] == tables[1]["entries"]


def wait_until(holds: Any, seconds: float = 300) -> None:
    """Poll; fails when it does not come true in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def group(leader: int) -> list[int]:
    """Python processes of a session that are neither gone nor waiting to be reaped."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                state, _, _, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
                is_python = "python" in (path / "comm").read_text()
            except OSError:
                continue
            if int(session) == leader and state != "Z" and is_python:
                found.append(int(path.name))
    return found
