"""`ppg-nas export --format`, `ppg-nas verify --full`: every format whole, proven, or told what is wrong."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")

from hwmodels.firmware.front_end import Sensors
from nas.deploy.bundle import read_bundle
from tests.nas.tiny_run import benchmark, copy_of, exit_code, finished_run, refusal


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("formats") / "out"
    assert exit_code("export", run, "--format", "onnx,c,tflite", "--out", out) == 0
    return out


def verified(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    code = exit_code("verify", *arguments, "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == (1 if found["mismatches"] else 0)
    return found


def test_the_manifest_lists_every_format_and_file(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["formats"] == ["c", "tflite", "onnx"]
    assert {"network.tflite", "network.onnx", "network_plain.onnx", "ppgnet_model.c"} <= set(manifest["files"])
    assert "network.onnx" in (bundle / "README.md").read_text()


def test_verify_runs_every_format_that_is_there(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verified(capsys, bundle)
    assert found["mismatches"] == 0 and found["measured"]["cycles"] > 0
    rows = {row["witness"]: row for row in found["witnesses"]}
    assert set(rows) == {"LiteRT, reference kernels", "onnxruntime", "onnxruntime, plain QDQ"}
    assert all(row["elements"] > 1000 for row in rows.values())
    assert rows["onnxruntime"]["max_ulp"] == 0


@pytest.mark.parametrize("runtime", ["ai_edge_litert", "onnxruntime"])
def test_the_code_of_the_documentation_runs(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "explanation" / "integer.md").read_text()
    (code,) = (part for part in re.findall(r"```python\n(.*?)```", text, re.S) if runtime in part)
    (tmp_path / "firmware").symlink_to(bundle)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code, found)
    if "median" in found:
        expected = np.load(bundle / "golden.npz")["outputs"][:, 0] / 256
        assert np.allclose(found["median"], expected, atol=0.05)


def test_verify_full_hears_all_witnesses(bundle: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verified(capsys, bundle, "--full", "--run", run)
    rows = {row["witness"]: row for row in found["witnesses"]}
    exact = {name: row for name, row in rows.items() if "plain" not in name}
    assert len(exact) == 7 and all(row["elements"] for row in rows.values()), rows
    assert all(row["mismatches"] == 0 for row in exact.values()), rows
    assert rows["onnxruntime, plain QDQ"]["max_ulp"] <= 1


def test_a_bundle_inside_its_run_finds_the_quantized_module(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine = copy_of(run, tmp_path / "run")
    (inside,) = mine.glob("subnets/*/export")
    rows = {row["witness"]: row for row in verified(capsys, inside, "--full")["witnesses"]}
    assert rows["quantized module"]["mismatches"] == 0
    assert rows["LiteRT, reference kernels"]["mismatches"] == 0  # written for the occasion


def test_files_alone_need_no_compiler(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert exit_code("export", run, "--format", "tflite", "--out", out) == 0
    assert not list(out.glob("*.c")) and not (out / "network.onnx").exists()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "ziglang", None)
    found = verified(capsys, out)
    assert [row["witness"] for row in found["witnesses"]] == ["LiteRT, reference kernels"]
    assert found["mismatches"] == 0 and "measured" not in found


@pytest.mark.parametrize("name", ["network.tflite", "network.onnx", "network_plain.onnx"])
@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_damaged_network_file_is_named(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    mine = copy_of(bundle, tmp_path / "bundle")
    content = (mine / name).read_bytes()
    if damage == "gone":
        (mine / name).unlink()
    else:
        (mine / name).write_bytes(content[:-100] if damage == "cut" else b"\0" + content[1:])
    message = refusal(capsys, "verify", mine)
    assert name in message and "export the subnet again" in message


@pytest.mark.parametrize(
    ("package", "format_name", "hint"),
    [
        ("tflite", "c,tflite", "pip install flatbuffers tflite"),
        ("onnx", "onnx", "pip install onnx"),
    ],
)
def test_a_format_whose_packages_are_missing_is_told_before_anything_is_written(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    format_name: str,
    hint: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    message = refusal(capsys, "export", run, "--format", format_name, "--out", tmp_path / "out")
    assert hint in message
    assert list(tmp_path.iterdir()) == []


def test_a_missing_runtime_is_told(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    mine = copy_of(bundle, tmp_path / "bundle")
    assert "pip install ai-edge-litert" in refusal(capsys, "verify", mine)


def test_formats_that_are_unknown_or_do_not_stream_are_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "out")
    assert "unknown format 'tfl'" in refusal(capsys, "export", run, "--format", "tfl", *out)
    told = refusal(capsys, "export", run, "--mode", "streaming", "--format", "c,onnx", *out)
    assert "--format onnx" in told and "export c" in told
    assert "--full" in refusal(capsys, "verify", tmp_path, "--run", run)


def test_the_whole_firmware_is_held_against_the_budgets(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = copy_of(run, tmp_path / "run")
    config = mine / "config.yaml"
    config.write_text(re.sub("flash_kb: .*", "flash_kb: 10.0", config.read_text()))
    capsys.readouterr()
    assert benchmark("firmware", mine, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["runs"]
    assert row["within_budget"] == {"reading_ms": True, "flash_kb": False, "ram_kb": True, "power_mw": True}
    assert row["flash_kb"] > 10 and row["reading_ms"] > row["network_ms"] and row["stack_fits"]
    assert not found["all_within_budgets"] and found["mismatches"] == 0


def test_sensors_are_declared_on_the_command_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, declared = tmp_path / "out", "ppg_hz=25,acc_hz=26,acc_counts_per_g=2048,ppg_range=-30000:30000"
    assert exit_code("export", run, "--sensors", declared, "--out", out) == 0
    sensors = read_bundle(out).front.sensors
    assert sensors == Sensors(ppg_hz=25, acc_hz=26, acc_counts_per_g=2048, ppg_range=(-30000, 30000))
    assert "PPG at 25 Hz" in (out / "README.md").read_text()
    assert verified(capsys, out)["mismatches"] == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ppg=25", "unknown field 'ppg'; choose from ppg_hz"),
        ("ppg_hz=fast", "ppg_hz: needs a number, got 'fast'"),
        ("contact=7", r"contact: needs LOWEST:HIGHEST in counts, got '7'"),
        ("ppg_hz=1", "ppg_hz: must lie in [4, 10000] Hz"),
        ("ppg_hz=99.9", "ppg_hz: 99.9 Hz is"),
        ("ppg_hz=10", "ppg_hz: 10 Hz is too low for the band of 0.4 to 8 Hz"),
        ("ppg_hz=15.9", "sample at 16 Hz or more"),
    ],
)
def test_sensors_that_cannot_be_are_told_before_anything_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, told: str
) -> None:
    assert told in refusal(capsys, "export", run, "--sensors", given, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
