"""Commands for every day: what runs there are, what the machine lacks, completion, and what was meant by a slip."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nas.commands import doctor
from tests.nas.tiny_run import exit_code, finished_run, refusal


@pytest.mark.arm
def test_runs_are_listed_with_what_they_have_come_to(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished_run(tmp_path_factory), tmp_path / "done", symlinks=True)
    shutil.copytree(tmp_path / "done", tmp_path / "half")
    for stage in ("finish", "verify", "evaluate", "report"):
        (tmp_path / "half" / "stages" / f"{stage}.json").unlink()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.yaml").write_text("name: [")
    assert exit_code("runs", tmp_path, "--json") == 0
    rows = {Path(row["run"]).name: row for row in json.loads(capsys.readouterr().out)}
    assert rows["done"]["state"] == "finished" and rows["done"]["test_error"] > 0 and rows["done"]["architectures"] > 0
    assert rows["half"]["state"] == "interrupted after search" and rows["half"]["error"] is None
    assert rows["broken"]["state"].startswith("unreadable: ")
    assert rows["done"]["size_mb"] >= rows["half"]["size_mb"] > 0


@pytest.mark.arm
def test_a_run_that_is_worked_on_is_said_to_be(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(tmp_path_factory)
    code = "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.lockf(lock, 2); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(run / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert exit_code("runs", run.parent, "--json") == 0
        assert json.loads(capsys.readouterr().out)[0]["state"] == "running, 9 of 9 stages done"
        holder.communicate(b"\n")


def test_a_folder_without_runs_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "ppg-nas run demo" in refusal(capsys, "runs", tmp_path)
    assert "no such folder" in refusal(capsys, "runs", tmp_path / "nowhere")


def test_what_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    exit_code("doctor", "--json")
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["qemu-system-arm"]["mend"] == "apt-get install qemu-system-arm"
    assert rows["extra formats"] == {
        "what": "extra formats",
        "state": "missing wfdb, edfio",
        "for": "WFDB and EDF recordings",
        "mend": "pip install 'ppg-nas[formats]'",
        "is_needed": False,
    }


def test_completion_knows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("completion", "bash") == 0
    script = capsys.readouterr().out
    assert "--max-flash-kb" in script and "personalize" in script
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("exlore", "x"), "did you mean 'explore'?"),
        (("pareto", "x", "--max-flahs-kb", "3"), "did you mean '--max-flash-kb'?"),
        (("run", "demo", "--set", "supernet.epoch=3"), "did you mean 'epochs'?"),
        (("run", "demo", "--set", "teacher.kind=resent"), "did you mean 'resnet'?"),
    ],
)
def test_a_slip_is_answered_by_what_was_meant(
    words: tuple[str, ...],
    meant: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(*words) == 2
    assert meant in capsys.readouterr().err
