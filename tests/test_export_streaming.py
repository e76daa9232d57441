"""`ppg-nas export --mode streaming`: fine-tuned, exported and verified through the command line."""

import json
from pathlib import Path

import pytest

from nas.cli import main
from tests.tiny_run import copy_of, finished_run


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
    assert main(["verify", str(out), "--full", "--json"]) == 0
    rows = {row["witness"]: row for row in json.loads(capsys.readouterr().out)["witnesses"]}
    for name in ("C on this machine", "C on the emulated core", "the bundle's C on the emulated core"):
        assert rows[name]["elements"] and rows[name]["mismatches"] == 0
    assert "streaming steps" in rows["onnxruntime"]["note"] and rows["onnxruntime"]["elements"] is None
