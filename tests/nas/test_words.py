"""What commands say: tables that cut nothing, progress that is heard but not endless, interrupts in one line."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwmodels.basics.errors import InputError
from nas.assembly.loss_check import require_losses
from nas.report.comparison import comparison_lines, training_line
from nas.run.config import ConfigError, load_config, parse_config
from nas.run.overrides import overridden
from nas.terminal import progress as progress_module
from nas.terminal.output import chosen_columns, print_table
from nas.terminal.progress import PlainLines, progress
from supernet.settings.losses import LOSSES
from supernet.settings.teachers import TEACHERS
from tests.nas.tiny_run import exit_code, finished_run, refusal

ROWS = [{"id": "0123456789", "mae_bpm": 1.5, "arch": "x" * 200}, {"id": "abcdefghij", "mae_bpm": 22.25, "arch": "y"}]


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_no_cell_of_a_table_is_cut(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    print_table(ROWS, ("id", "mae_bpm", "arch"))
    printed = capsys.readouterr().out
    assert all(str(row[name]) in printed for row in ROWS for name in ("id", "arch")) and "…" not in printed


def test_columns_are_the_usual_ones_unless_others_are_asked_for() -> None:
    assert chosen_columns(ROWS, None, ("id", "latency_ms", "mae_bpm")) == ["id", "mae_bpm"]
    assert chosen_columns(ROWS, ("arch", "id"), ("id",)) == ["arch", "id"]
    assert chosen_columns(ROWS, ("all",), ("id",)) == ["id", "mae_bpm", "arch"]
    with pytest.raises(InputError, match=r"no column 'beauty'; known are id, mae_bpm, arch"):
        chosen_columns(ROWS, ("beauty",), ("id",))


@pytest.mark.arm
@pytest.mark.parametrize("command", [("pareto",), ("search", "--evaluations", "8"), ("verify",), ("report",)])
def test_tables_of_a_run_fit_a_hundred_columns(
    command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(tmp_path_factory)
    capsys.readouterr()
    assert exit_code(command[0], run, *command[1:]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    paths = [line for line in lines if str(run.parent) in line]
    assert max(len(line) for line in lines if line not in paths) <= 100 and "…" not in "".join(lines)
    if command[0] in ("pareto", "search"):
        assert lines[0].split() == ["id", "mae_bpm", "latency_ms", "flash_kb", "ram_kb"]


@pytest.mark.arm
def test_an_unknown_column_is_refused(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(tmp_path_factory)
    assert "no column 'beauty'" in refusal(capsys, "pareto", run, "--columns", "id,beauty")


def test_work_in_a_pipe_is_heard_of_while_it_stands_still() -> None:
    said: list[str] = []
    lines = PlainLines("training", said.append, every_s=0.05)
    time.sleep(0.12)
    lines(3, 12, "error 2.5")
    time.sleep(0.12)
    lines.close()
    before = len(said)
    time.sleep(0.12)
    assert said[0].startswith("training after ") and "training: 3 of 12 after " in said[-1]
    assert said[-1].rstrip().endswith("left error 2.5") and len(said) == before


def test_quick_work_in_a_pipe_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("quick") as advance:
        advance(1, 2, "")
    assert capsys.readouterr().err == ""


def test_a_terminal_is_not_flooded_by_an_hour_of_progress() -> None:
    assert 16 * 60 / progress_module.REDRAW_S * 200 < 100_000
    script = (
        "import time\nfrom nas.terminal.progress import progress\n"
        "with progress('training') as advance:\n"
        "    for step in range(400):\n        advance(step, 400, f'{step} windows/s'); time.sleep(0.01)\n"
    )
    leader, follower = pty.openpty()
    command, terminal = [sys.executable, "-c", script], os.environ | {"TERM": "xterm"}
    process = subprocess.Popen(command, stderr=follower, stdout=follower, env=terminal)
    os.close(follower)
    written = io.BytesIO()
    while True:
        try:
            written.write(os.read(leader, 65536))
        except OSError:
            break
    assert process.wait() == 0
    assert 0 < len(written.getvalue()) < 4000


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2, 0.5])
def test_an_interrupt_is_one_line_from_the_first_import_on(after_s: float, tmp_path: Path) -> None:
    # The entry says when it has begun, as what comes before it is the interpreter's own start.
    script = f"""
import os, signal, sys
import nas.terminal.entry as entry
real = signal.signal
def told(*given):
    former = real(*given)
    if given[1] is entry._leave:
        os.write(1, b"x")
    return former
signal.signal = told
sys.argv = ["ppg-nas", "run", "demo", "--run", {str(tmp_path / "run")!r}]
sys.exit(entry.main())
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.read(1) == b"x"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert error.splitlines()[-1] == "ppg-nas: interrupted; the same command continues where it stopped"
    assert "Traceback" not in error


@pytest.mark.parametrize("space", ["demo", "spectral"])
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_loss_that_nobody_can_give_is_refused_with_the_configuration(space: str, kind: str, teacher: str) -> None:
    settings = [f"teacher={{kind: {teacher}}}", f"finish.fine_tuning.distillation=[{{kind: {kind}}}]"]
    base = load_config("bami" if space == "spectral" else "demo")
    content = overridden(base.model_dump(mode="json"), settings)
    config = parse_config(content, "demo")
    student = "frequency" if space == "spectral" else "time"
    if kind == "attention" and TEACHERS[teacher].positions_along != student:
        with pytest.raises(ConfigError, match=r"finish\.fine_tuning\.distillation\.0\.kind: attention: no teacher"):
            require_losses(config, "demo")
    else:
        require_losses(config, "demo")
    content = overridden(content, ["finish.fine_tuning.distillation=[]", f"supernet.distillation=[{{kind: {kind}}}]"])
    if LOSSES[kind].reads != "logits":
        with pytest.raises(ConfigError, match=r"supernet\.distillation\.0\.kind"):
            require_losses(parse_config(content, "demo"), "demo")


def results(*values: float) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    names = ("int8 subnet", "int8 subnet, tracked", "spectral tracker", "spectral argmax")
    return {name: {"bami1": {"mae_bpm": {"value": value}}} for name, value in zip(names, values, strict=True)}


def test_a_network_that_a_classical_estimator_beats_is_said_to_be_so() -> None:
    (line,) = comparison_lines(results(3.51, 3.4, 2.1, 20.0))
    assert "int8 subnet, tracked is off by 3.40 BPM, better than the spectral argmax (20.00)" in line
    assert "NOT better than the spectral tracker (2.10)" in line
    (line,) = comparison_lines(results(1.4, 1.5, 2.1, 20.0))
    assert line.endswith("off by 1.40 BPM, better than the spectral tracker (2.10) and the spectral argmax (20.00)")
    assert comparison_lines({"int8 subnet": {}}) == []
    assert "30 + 5 epochs" in training_line(30, 5) and "without further training" in training_line(30, 0)
