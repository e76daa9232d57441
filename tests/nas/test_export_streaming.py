"""`ppg-nas export --mode streaming`: fine-tuned, exported and verified through the command line."""

import json
from pathlib import Path

import pytest

from benchmarks.hardware.streaming import document_parts
from hwmodels.firmware.tracker import load_tracker
from nas.assembly.choice import arch_of
from nas.assembly.loading import windows_of
from nas.cli import main
from nas.compress.streaming_subnets import adapted_model
from nas.evaluation.streamed_windows import streaming_logits
from nas.evaluation.tracker_fit import fit_tracker
from nas.run.run_directory import RunDirectory
from tests.nas.tiny_run import benchmark, copy_of, finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


def test_a_streaming_bundle_is_made_and_verified(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, out = copy_of(finished, tmp_path / "run"), tmp_path / "firmware"
    rows = main(["pareto", str(mine), "--json"])
    assert rows == 0
    arch = json.loads(capsys.readouterr().out)[0]["id"]
    given = ["export", str(mine), "--arch", arch, "--mode", "streaming", "--epochs", "1", "--out", str(out)]
    assert main(given) == 0
    capsys.readouterr()
    assert main(["verify", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mismatches"] == 0 and told["predicted"]["cycles"] == told["measured"]["cycles"]
    assert told["firmware"]["cycles"]["track"] > 0 and told["firmware"]["readings"] >= 3
    kept = (mine / "subnets" / arch / "int8" / "streaming_tracker.json").read_text()
    assert kept == (out / "tracker.json").read_text()
    run, fitted = RunDirectory.open(mine), load_tracker(out / "tracker.json")
    model, validation = adapted_model(run, arch_of(run, arch)), windows_of(run, "validation")
    assert model is not None
    assert fitted == fit_tracker(model, windows_of(run, "train"), validation, streaming_logits)
    assert main(["verify", str(out), "--full", "--json"]) == 0
    rows = {row["witness"]: row for row in json.loads(capsys.readouterr().out)["witnesses"]}
    for name in ("C on this machine", "C on the emulated core", "the bundle's C on the emulated core"):
        assert rows[name]["elements"] and rows[name]["mismatches"] == 0
    assert "streaming steps" in rows["onnxruntime"]["note"] and rows["onnxruntime"]["elements"] is None


def test_both_modes_are_compared_and_told(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert benchmark("streaming", finished, "--steps", "4", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    held = found["accuracy"]["validation"]
    assert found["mismatches"] == held["mismatches"] == 0 and held["steps_compared"] > 0
    assert set(held["modes"]) == {"window", "streaming", "window_tracked"}
    assert held["modes"]["window"]["change_bpm"] is None
    parts = document_parts(found)
    assert f"{found['smallest_share_pct']:.1f} to {found['largest_share_pct']:.1f} %" in parts["cost"]
    assert "| streaming, weights as they are |" in parts["accuracy"] and "fine-tuned" not in parts["accuracy"]
