"""A whole run in seconds for tests of the application, built once a session; who changes it takes a copy."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.__main__ import main as benchmarks_main
from nas.cli import main

SPACE = """\
name: tiny
sensors: [ppg, ppg_acc]
stems:
  - {rate_hz: 16, kernel: 5, stride: 1}
stem_widths: [8]
stages:
  - stride: 2
    widths: [8, 16]
    min_depth: 1
    blocks:
      - &block
        inverted_residual: {kernels: [3, 5], dilations: [1, 2], expansions: [1, 2]}
        dilated: {kernels: [3], dilations: [2]}
      - *block
"""


def tiny_config(folder: Path) -> dict[str, Any]:
    """The smallest configuration that goes through every stage; its space is written into `folder`."""
    space = folder / "space.yaml"
    space.write_text(SPACE)
    return {
        "name": "tiny",
        "space": str(space),
        "threads": 1,
        "data": {"folds": 3, "sources": [{"kind": "synthetic", "subjects": 4, "minutes": 1}]},
        "teacher": {"kind": "resnet", "width": 4, "blocks": [1], "epochs": 2},
        "supernet": {"epochs": 2, "warmup_epochs": 1, "random_subnets": 1},
        "search": {
            "evaluations": 8,
            "population": 4,
            "validation_windows": 32,
            "calibration_windows": 32,
        },
        "finish": {
            "candidates": 1,
            "golden_vectors": 2,
            "fine_tuning": {"epochs": 2},
            "quantization": {"epochs": 2},
        },
    }


def write_config(path: Path, content: Any) -> Path:
    """A configuration as a YAML file."""
    path.write_text(yaml.safe_dump(content))
    return path


def without_arm_compiler() -> str | None:
    """Why a run cannot be verified here, or None."""
    from hwmodels.c.toolchain import ToolchainError, find_toolchain

    try:
        find_toolchain()
    except ToolchainError as error:
        return str(error)
    return None


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test session, the same one in every worker of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny_run"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time."""
    with (folder / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the session's tiny run, finished, with its configuration, output and cache beside it."""
    reason = without_arm_compiler()
    if reason:
        pytest.skip(reason)
    folder = shared_folder(tmp_path_factory)
    with locked(folder):
        if not (folder / "done").exists():
            config = write_config(folder / "tiny.yaml", tiny_config(folder))
            command = [sys.executable, "-m", "nas.cli", "run", str(config), "--run", str(folder / "run")]
            with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
                subprocess.run(command, check=True, stdout=out, stderr=err, env=environment(folder))
            (folder / "done").touch()
    mine = tmp_path_factory.mktemp("finished")
    for name in ("tiny.yaml", "stdout", "stderr"):
        shutil.copy(folder / name, mine)
    (mine / "cache").symlink_to(folder / "cache")
    return copy_of(folder / "run", mine / "run")


def environment(folder: Path) -> dict[str, str]:
    """The environment of commands in tests: look-up tables are made once per session."""
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}


def copy_of(run: Path, target: Path) -> Path:
    """A copy of a run that a test may change."""
    shutil.copytree(run, target)
    return target


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file under a folder, locks and SQLite's side files left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock" and not path.name.endswith(("-wal", "-shm"))
    }


def exit_code(*arguments: object) -> int:
    """The exit code of a command, run in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


def benchmark(*arguments: object) -> int:
    """The exit code of `python -m benchmarks`, run in this process."""
    try:
        return benchmarks_main([str(argument) for argument in arguments])
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """The one line in which a command refuses, progress notes of stages before it left out.

    Asserts the exit code, that standard output is empty, and that nothing else is said.
    """
    capsys.readouterr()
    found = exit_code(*arguments)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert found == code, err
    assert out == ""
    assert "Traceback" not in err
    told = [number for number, line in enumerate(lines) if "error:" in line]
    assert told == [len(lines) - 1], err
    return lines[-1]
