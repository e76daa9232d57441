"""What one run leaves, and what commands answer from it without training; given again, it does nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwmodels.basics.shipped import shipped_folder
from nas.stages.names import STAGE_NAMES
from tests.nas.tiny_run import (
    contents,
    copy_of,
    environment,
    exit_code,
    finished_run,
    shared_folder,
    tiny_config,
    write_config,
)

pytestmark = pytest.mark.arm
KB = 1024


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", environment(shared_folder(tmp_path_factory))["XDG_CACHE_HOME"])


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What a command prints on standard output as JSON."""
    capsys.readouterr()
    assert exit_code(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def chosen(run: Path) -> str:
    found: str = json.loads((run / "stages" / "finish.json").read_text())["summary"]["chosen"]
    return found


def test_a_run_leaves_what_the_design_says(run):
    for name in ("config.yaml", "log.jsonl", "archive.sqlite", "report.html", "front.png"):
        assert (run / name).stat().st_size > 0
    for name, more in (("teacher", {"reliability.json"}), ("supernet", set())):
        assert {path.name for path in (run / name).iterdir()} == {"model.pt", "history.json"} | more
    subnet = run / "subnets" / chosen(run)
    assert {path.name for path in (subnet / "float").iterdir()} == {"model.pt", "history.json"}
    networks = {"model.pt", "history.json", "model.npz"}
    assert {path.name for path in (subnet / "int8").iterdir()} == networks | {"tracker.json"}
    assert (subnet / "export" / "ppgnet_model.h").exists()
    assert [path.stem for path in sorted((run / "stages").iterdir())] == sorted(STAGE_NAMES)


def test_the_stored_configuration_is_the_given_one_with_every_default(run):
    stored = yaml.safe_load((run / "config.yaml").read_text())
    given = yaml.safe_load((run.parent / "tiny.yaml").read_text())
    assert stored["teacher"]["width"] == given["teacher"]["width"]
    assert stored["budgets"] == {"flash_kb": 80.0, "latency_ms": 50.0, "ram_kb": 256.0, "power_mw": 5.0}


def test_the_log_tells_every_stage_and_epoch_in_order(run):
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [event["stage"] for event in events if event["event"] == "stage finished"] == list(STAGE_NAMES)
    epochs = [event["training"].split()[0] for event in events if event["event"] == "epoch"]
    assert epochs == ["teacher"] * 2 + ["supernet"] * 2 + ["fine-tuning"] * 2 + ["quantization"] * 2 + ["float"] * 2
    times = [event["time"] for event in events]
    assert times == sorted(times)


def test_progress_of_a_run_goes_to_standard_error_and_its_result_to_standard_output(run):
    notes = (run.parent / "stderr").read_text().splitlines()
    assert [line.split(":")[0] for line in notes] == list(STAGE_NAMES)
    result = (run.parent / "stdout").read_text()
    for part in (
        chosen(run),
        "predicted",
        "on emulator",
        "Held-out test subjects",
        "report.html",
        "front.png",
    ):
        assert part in result


def test_the_closing_summary_agrees_with_the_bundle_and_its_verification(run, capsys):
    found = answer(capsys, "report", run)
    bundle = Path(found["bundle"])
    manifest = json.loads((bundle / "manifest.json").read_text())
    verified = json.loads((bundle / "verification.json").read_text())
    assert found["chosen"] == manifest["id"] == verified["id"] == chosen(run)
    assert found["predicted"] == manifest["predicted"] == verified["predicted"]
    assert found["verified"] == verified["measured"]
    assert found["mismatches"] == 0
    assert found["golden_vectors"] == 2 + 3
    assert found["verified"]["ram_bytes"] == found["predicted"]["ram_bytes"]
    for cost in ("cycles", "flash_bytes"):
        assert found["verified"][cost] == pytest.approx(found["predicted"][cost], rel=0.02)
    assert found["is_synthetic"] is True


def test_the_archive_holds_the_chosen_subnet_within_the_budgets_and_nothing_twice(run):
    with sqlite3.connect(run / "archive.sqlite") as archive:
        columns = "arch_id, latency_ms, flash_bytes, peak_ram_bytes, power_mw, cycles"
        rows = archive.execute(f"SELECT {columns} FROM evaluations").fetchall()
    assert len(rows) == len({row[0] for row in rows}) == 8
    assert all(row[1] <= 50 and row[2] <= 80 * KB and row[3] <= 256 * KB and row[4] <= 5 for row in rows)
    manifest = json.loads((run / "subnets" / chosen(run) / "export" / "manifest.json").read_text())
    (row,) = (row for row in rows if row[0] == chosen(run))
    assert row[1] == pytest.approx(manifest["predicted"]["latency_ms"])
    assert row[2] == manifest["predicted"]["flash_bytes"]
    assert row[5] == manifest["predicted"]["cycles"]


def test_test_subjects_were_never_trained_or_validated_on(run):
    prepared = json.loads((run / "stages" / "prepare.json").read_text())["summary"]
    sides = [set(prepared[f"{side}_subjects"]) for side in ("train", "validation", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == prepared["subjects"] == 4
    results = json.loads((run / "evaluation" / "results.json").read_text())
    for by_source in results.values():
        assert set(by_source["synthetic"]["mae_by_subject_bpm"]) == sides[2]


def test_the_report_stands_alone(run):
    page = (run / "report.html").read_text()
    assert chosen(run) in page
    assert "synthetic" in page.lower()
    for reference in ('src="http', "src='http", 'href="http'):
        assert reference not in page


def test_the_same_command_again_does_nothing(run, capsys):
    before = contents(run)
    begun = time.perf_counter()
    assert exit_code("run", run.parent / "tiny.yaml", "--run", run) == 0
    assert time.perf_counter() - begun < 20
    assert capsys.readouterr().err.splitlines() == [f"{name}: up to date" for name in STAGE_NAMES]
    assert contents(run) == before


def test_a_search_for_another_device_and_budget_trains_nothing_and_stays_within(run, tmp_path, capsys):
    mine = copy_of(run, tmp_path / "run")
    limits = ("--max-latency-ms", 5, "--max-flash-kb", 40)
    found = answer(capsys, "search", mine, "--device", "stm32h743", *limits)
    assert found["front"] and found["evaluated"] > 0
    for row in found["front"]:
        assert row["device"] == "stm32h743"
        assert row["latency_ms"] <= 5
        assert row["flash_kb"] <= 40
    for folder in ("teacher", "supernet", "subnets", "data"):
        assert contents(mine / folder) == contents(run / folder)
    events = (mine / "log.jsonl").read_text()
    assert events == (run / "log.jsonl").read_text()
    front = answer(capsys, "pareto", mine, "--device", "stm32h743")
    assert {row["id"] for row in front} == {row["id"] for row in found["front"]}
    again = answer(capsys, "search", mine, "--device", "stm32h743", *limits)
    assert again == found


def test_a_search_on_another_core_profiles_that_core(run, tmp_path, capsys):
    mine = copy_of(run, tmp_path / "run")
    slow = answer(capsys, "search", mine, "--device", "cortex-m4-64mhz", "--max-latency-ms", 200)
    assert (mine / "hardware" / "lut-cortex-m4.json").exists()
    fast = {row["id"]: row for row in answer(capsys, "pareto", mine, "--all")}
    shared = [row for row in slow["front"] if row["id"] in fast]
    assert shared
    assert all(row["cycles"] > fast[row["id"]]["cycles"] for row in shared)


def test_a_search_by_a_measured_table_costs_what_the_board_took(run, tmp_path, capsys):
    mine, csv_file = copy_of(run, tmp_path / "run"), tmp_path / "measured.csv"
    device = tmp_path / "board.yaml"
    shipped = (shipped_folder("devices") / "cortex-m7-64mhz.yaml").read_text()
    device.write_text(shipped.replace("name: cortex-m7-64mhz", "name: board"))
    table = json.loads((mine / "hardware" / "lut-cortex-m7.json").read_text())
    rows = [f"{key},{2 * entry['cycles']}" for key, entry in sorted(table["entries"].items())]
    csv_file.write_text("\n".join(["key,cycles", *rows[::2]]))
    # the run's own device has rows of modelled costs: no mixture of both
    before = contents(mine / "hardware")
    assert exit_code("lut", "import", csv_file, mine) == 2
    assert "modelled costs" in capsys.readouterr().err and contents(mine / "hardware") == before
    assert answer(capsys, "lut", "import", csv_file, mine, "--device", device)["scale"] == pytest.approx(2)
    found = answer(capsys, "search", mine, "--device", device)["front"]
    modelled = {row["id"]: row for row in answer(capsys, "pareto", mine, "--all")}
    shared = [row for row in found if row["id"] in modelled]
    assert shared
    for row in shared:
        assert row["cycles"] == pytest.approx(2 * modelled[row["id"]]["cycles"], rel=1e-3)


def test_power_is_a_constraint_of_search_and_query(run, tmp_path, capsys):
    mine = copy_of(run, tmp_path / "run")
    everything = answer(capsys, "pareto", mine, "--all")
    powers = sorted(row["power_mw"] for row in everything)
    limit = powers[len(powers) // 2]
    kept = answer(capsys, "pareto", mine, "--all", "--max-power-mw", limit)
    assert sorted(row["power_mw"] for row in kept) == [power for power in powers if power <= limit]
    assert answer(capsys, "pareto", mine, "--all", "--where", f"power <= {limit} mW") == kept
    found = answer(capsys, "search", mine, "--max-power-mw", limit)
    assert found["front"] and all(row["power_mw"] <= limit for row in found["front"])
    # less than the device takes asleep: infeasible, with the nearest point
    assert exit_code("search", mine, "--max-power-mw", 0.0999) == 3
    assert "power" in capsys.readouterr().err


def test_pareto_prints_the_front_in_every_form(run, tmp_path, capsys):
    limits = ("--max-flash-kb", 80, "--max-latency-ms", 50, "--sort", "mae")
    rows = answer(capsys, "pareto", run, *limits)
    errors = [row["mae_bpm"] for row in rows]
    assert errors == sorted(errors)
    assert exit_code("pareto", run, *limits, "--csv") == 0
    listed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["id"] for row in listed] == [row["id"] for row in rows]
    assert exit_code("pareto", run, *limits, "--plot", tmp_path / "front.png") == 0
    printed = capsys.readouterr().out
    assert all(row["id"] in printed for row in rows)
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_pareto_shows_no_row_that_another_dominates(run, capsys):
    rows = answer(capsys, "pareto", run)
    everything = answer(capsys, "pareto", run, "--all")
    names = ("mae_bpm", "latency_ms", "flash_kb", "ram_kb")
    for row in rows:
        for other in everything:
            if all(other[name] <= row[name] for name in names):
                assert all(other[name] == row[name] for name in names)


def test_verify_proves_the_bundle_without_its_run(run, tmp_path, capsys):
    bundle = copy_of(run / "subnets" / chosen(run) / "export", tmp_path / "bundle")
    before = json.loads((bundle / "verification.json").read_text())
    found = answer(capsys, "verify", bundle)
    assert found["mismatches"] == 0
    assert found["measured"] == before["measured"]
    assert found["predicted"] == before["predicted"]
    assert contents(bundle) == contents(run / "subnets" / chosen(run) / "export")
    assert exit_code("verify", bundle) == 0
    assert "0 mismatches" in capsys.readouterr().out


def test_any_archived_subnet_can_be_exported(run, tmp_path, capsys):
    mine = copy_of(run, tmp_path / "run")
    other = next(row["id"] for row in answer(capsys, "pareto", mine, "--all") if row["id"] != chosen(mine))
    manifest = answer(capsys, "export", mine, "--arch", other[:8], "--out", tmp_path / "out")
    assert manifest["id"] == other
    assert answer(capsys, "verify", tmp_path / "out")["mismatches"] == 0
    assert contents(mine / "subnets" / chosen(mine)) == contents(run / "subnets" / chosen(run))


def test_a_run_of_compact_code_costs_and_exports_such(run, tmp_path, capsys):
    mine = copy_of(run, tmp_path / "run")
    config = yaml.safe_load((mine / "config.yaml").read_text())
    config["budgets"]["code"] = "compact"
    (mine / "config.yaml").write_text(yaml.safe_dump(config))
    before = json.loads((run / "subnets" / chosen(run) / "export" / "manifest.json").read_text())
    manifest = answer(capsys, "export", mine, "--device", "stm32h743", "--out", tmp_path / "out")
    assert (before["code"], manifest["code"]) == ("fast", "compact")
    assert manifest["predicted"]["flash_kb"] < before["predicted"]["flash_kb"]
    rows = answer(capsys, "pareto", mine, "--all", "--device", "stm32h743")
    row = next(row for row in rows if row["id"] == chosen(mine))
    assert row["cycles"] == manifest["predicted"]["cycles"] > before["predicted"]["cycles"]
    found = answer(capsys, "verify", tmp_path / "out")
    assert found["measured"]["flash_kb"] == found["predicted"]["flash_kb"] == pytest.approx(row["flash_kb"])
    assert found["mismatches"] == 0


def test_an_export_again_gives_the_same_bytes(run, tmp_path, capsys):
    bundle = run / "subnets" / chosen(run) / "export"
    answer(capsys, "export", run, "--out", tmp_path / "out")
    # Verifying writes what it found into both.
    answer(capsys, "verify", tmp_path / "out")
    held, again = contents(bundle), contents(tmp_path / "out")
    for files in (held, again):
        files.pop("verification.json", None)
    assert again == held


def test_until_stops_after_that_stage_and_the_rest_follows(run, tmp_path, capsys):
    mine = tmp_path / "run"
    config = write_config(tmp_path / "tiny.yaml", tiny_config(run.parent))
    summary = answer(capsys, "run", config, "--run", mine, "--until", "profile")
    assert (summary["core"], summary["code"]) == ("cortex-m7", "fast")
    assert {path.stem for path in (mine / "stages").iterdir()} == {"prepare", "profile"}
    assert exit_code("run", config, "--run", mine, "--until", "teacher") == 0
    assert "prepare: up to date" in capsys.readouterr().err
    assert contents(mine / "teacher") == contents(run / "teacher")


def test_a_tight_flash_budget_makes_the_profile_stage_choose_less_code(run, tmp_path, capsys):
    config = {**tiny_config(run.parent), "budgets": {"flash_kb": 12}}
    given = write_config(tmp_path / "tight.yaml", config), "--run", tmp_path / "run", "--until", "profile"
    summary = answer(capsys, "run", *given)
    assert summary["code"] == "compact"
    assert summary["share_by_code"]["compact"] > summary["share_by_code"]["fast"] > 0
    assert exit_code("run", *given) == 0
    assert "profile: up to date" in capsys.readouterr().err


def test_folds_have_folders_of_their_own_and_other_test_subjects(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path / "tiny.yaml", tiny_config(run.parent))
    tested: list[str] = []
    for fold in range(3):
        summary = answer(capsys, "run", config, "--fold", fold, "--until", "prepare")
        assert (tmp_path / "runs" / f"tiny-fold{fold}" / "config.yaml").exists()
        tested += summary["test_subjects"]
    assert len(tested) == len(set(tested)) == 4


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"]])
def test_the_bare_command_is_quick(arguments):
    durations = []
    for _ in range(3):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "nas.cli", *arguments], capture_output=True, text=True, check=False
        )
        durations.append(time.perf_counter() - begun)
    assert done.returncode == (0 if arguments else 2)
    assert min(durations) < 1.5
    told = done.stdout or done.stderr
    if arguments != ["--version"]:
        assert all(f"    {name} " in told for name in ("run", "data", "search", "pareto", "export", "verify"))


@pytest.mark.parametrize("module", ["nas.cli", "nas.commands.data", "nas.commands.verify"])
def test_commands_that_train_nothing_do_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_a_closed_pipe_ends_quietly(run):
    command = f"{sys.executable} -m nas.cli pareto {run} --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
