"""A run carries its space and its devices: it moves, and the files that it was made with may go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hwmodels.basics.shipped import shipped_folder
from nas.run.run_directory import RunDirectory
from tests.nas.tiny_run import copy_of, exit_code, finished_run, refusal

pytestmark = pytest.mark.arm


def own_device(folder: Path, name: str = "my-watch", megahertz: int = 80) -> Path:
    """A device file that is a faster default device."""
    text = (shipped_folder("devices") / "cortex-m7-64mhz.yaml").read_text()
    path = folder / "mine.yaml"
    text = text.replace("name: cortex-m7-64mhz", f"name: {name}")
    path.write_text(text.replace("clock_hz: 64000000", f"clock_hz: {megahertz}000000"))
    return path


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    return copy_of(finished_run(tmp_path_factory), tmp_path / "run")


def test_a_moved_run_needs_no_file_that_it_was_made_with(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "elsewhere" / "run"
    moved.parent.mkdir()
    shutil.move(run, moved)
    opened = RunDirectory.open(moved)
    assert Path(opened.config.space) == moved / "space.yaml"
    assert "space: space.yaml" in (moved / "config.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    assert exit_code("pareto", moved, "--json") == 0
    assert {row["device"] for row in json.loads(capsys.readouterr().out)} == {"cortex-m7-64mhz"}


def test_a_device_of_ones_own_goes_by_its_name_once_the_run_has_seen_it(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = own_device(tmp_path)
    assert exit_code("search", run, "--device", device, "--evaluations", "6", "--json") == 0
    capsys.readouterr()
    device.unlink()
    assert exit_code("pareto", run, "--device", "my-watch", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["device"] for row in rows} == {"my-watch"}
    assert exit_code("export", run, "--device", "my-watch", "--out", tmp_path / "bundle") == 0
    capsys.readouterr()
    assert exit_code("verify", tmp_path / "bundle", "--json") == 0
    assert json.loads(capsys.readouterr().out)["device"] == "my-watch"


def test_two_devices_of_one_name_are_told_apart_or_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("search", run, "--device", own_device(tmp_path), "--evaluations", "6", "--json") == 0
    faster = own_device(tmp_path, megahertz=100)
    assert "another device is already named my-watch" in refusal(capsys, "search", run, "--device", faster)
    shipped = own_device(tmp_path, name="stm32h743")
    assert "another device is already named stm32h743" in refusal(capsys, "pareto", run, "--device", shipped)


@pytest.mark.parametrize("name", ["log.jsonl", "archive.sqlite", "config.yaml", "stages/finish.json"])
def test_links_inside_a_run_are_not_written_through(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    (run / name).rename(outside)
    before = outside.read_bytes()
    (run / name).symlink_to(outside)
    for command in (("pareto", run), ("search", run, "--evaluations", "6"), ("export", run)):
        assert f"{run / name}: is a link" in refusal(capsys, *command)
    assert outside.read_bytes() == before


def test_verify_of_a_run_verifies_its_bundle(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("verify", run, "--json") == 0
    chosen = RunDirectory.open(run).summary("finish")["chosen"]
    assert json.loads(capsys.readouterr().out)["id"] == chosen
    shutil.rmtree(run / "subnets" / chosen / "export")
    assert f"give `ppg-nas export {run}` first" in refusal(capsys, "verify", run)


def test_an_export_over_another_bundle_needs_to_be_forced(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    assert exit_code("export", run, "--format", "c,tflite", "--out", out) == 0
    capsys.readouterr()
    message = refusal(capsys, "export", run, "--out", out, "--sensors", "ppg_hz=100")
    assert "format tflite would be gone" in message and "ppg_hz 50.0 would become 100" in message
    assert "--force" in message and (out / "network.tflite").exists()
    assert exit_code("export", run, "--out", out, "--sensors", "ppg_hz=100", "--force") == 0
    assert not (out / "network.tflite").exists()
