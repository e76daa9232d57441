"""Whatever a user gets wrong ends in one line that names what, where and the remedy, and costs nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.io import savemat

from tests.nas.tiny_run import (
    contents,
    copy_of,
    environment,
    exit_code,
    finished_run,
    refusal,
    shared_folder,
    tiny_config,
    write_config,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", environment(shared_folder(tmp_path_factory))["XDG_CACHE_HOME"])


def config_with(folder: Path, *changes: tuple[str, Any]) -> Path:
    """The tiny configuration with fields changed, each named by its dotted path."""
    content = tiny_config(folder)
    for field, value in changes:
        *path, last = field.split(".")
        section = content
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    return write_config(folder / "config.yaml", content)


# Wrong usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["run"],
        ["run", "x.yaml", "--fold", "-1"],
        ["run", "x.yaml", "--fold", "one"],
        ["run", "x.yaml", "--until", "lunch"],
        ["run", "x.yaml", "--nonsense"],
        ["search", "x", "--max-latency-ms", "-5"],
        ["search", "x", "--max-flash-kb", "nan"],
        ["search", "x", "--evaluations", "0"],
        ["pareto", "x", "--top", "-3"],
        ["data"],
        ["data", "simulate", "--out", "x", "--subjects", "0"],
        ["lut", "check", "--samples", "0"],
    ],
)
def test_wrong_usage_is_told_in_one_line(capsys, arguments):
    assert "--help" in refusal(capsys, *arguments)


@pytest.mark.parametrize("command", ["search", "pareto", "export", "report"])
def test_what_is_no_run_directory_is_refused(capsys, tmp_path, command):
    message = refusal(capsys, command, tmp_path / "none")
    assert str(tmp_path / "none") in message and "ppg-nas run" in message


# Configurations


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"a: [1", "not valid YAML"),
        (b"- 1\n- 2", "expected fields"),
        (b"", "expected fields"),
        (b"1: 2", "keys must be words"),
    ],
)
def test_an_unreadable_configuration_is_named(capsys, tmp_path, content, told):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    message = refusal(capsys, "run", path, "--run", tmp_path / "run")
    assert str(path) in message and told in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("tacher", {"epochs": 3}, "unknown key"),
        ("teacher.epoch", 3, "unknown key"),
        ("teacher.epochs", "many", "'many'"),
        ("teacher.epochs", True, "yes or no"),
        ("teacher.epochs", 2.5, "2.5"),
        ("supernet.learning_rate", [1], "[1]"),
        ("budgets.flash_kb", -1, "-1"),
        ("space", "no-such", "shipped spaces"),
        ("data.fold", 7, "fold 7 does not exist"),
        ("data.sources", [], "data.sources"),
        ("task.kind", "sleep", "'sleep'"),
        ("name", "../up", "'../up'"),
        ("device", "toaster", "known are"),
        ("device", "none.yaml", "no such device"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(capsys, tmp_path, field, value, told):
    message = refusal(capsys, "run", config_with(tmp_path, (field, value)), "--run", tmp_path / "run")
    assert told in message
    if field not in ("space", "device"):
        assert field in message and "config.yaml" in message


def test_a_configuration_mended_before_anything_was_computed_is_taken(capsys, tmp_path):
    target = tmp_path / "run"
    refusal(capsys, "run", config_with(tmp_path, ("data.folds", 40)), "--run", target)
    assert exit_code("run", config_with(tmp_path), "--run", target, "--until", "prepare") == 0


# Recordings


def ieee_record(folder: Path, seconds: int = 60, labels: int = 20, **changes: Any) -> Path:
    """One record and its labels as the IEEE SPC set has them, noise throughout."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(6, 125 * seconds))
    for at, value in changes.get("cells", ()):
        signal[at] = value
    savemat(folder / "DATA_01_TYPE01.mat", {changes.get("variable", "sig"): signal})
    bpm = rng.uniform(70, 90, (labels, 1))
    savemat(folder / "DATA_01_TYPE01_BPMtrace.mat", {changes.get("label_variable", "BPM0"): bpm})
    return folder / "DATA_01_TYPE01.mat"


def spoil_missing(folder: Path) -> str:
    return "check --data"


def spoil_truncated(folder: Path) -> str:
    path = ieee_record(folder)
    path.write_bytes(path.read_bytes()[:5000])
    return "DATA_01_TYPE01.mat: cannot be read (damaged)"


def spoil_text(folder: Path) -> str:
    ieee_record(folder).write_text("no MATLAB file at all")
    return "DATA_01_TYPE01.mat"


def spoil_variable(folder: Path) -> str:
    ieee_record(folder, variable="signal")
    return "DATA_01_TYPE01.mat: variable 'sig' is missing"


def spoil_label_variable(folder: Path) -> str:
    ieee_record(folder, label_variable="BPM")
    return "DATA_01_TYPE01_BPMtrace.mat: variable 'BPM0' is missing"


def spoil_labels_apart(folder: Path) -> str:
    ieee_record(folder)
    (folder / "DATA_01_TYPE01_BPMtrace.mat").unlink()
    return "DATA_01_TYPE01.mat: no label file"


def spoil_labels(folder: Path) -> str:
    ieee_record(folder, labels=50)
    return "50 labels for 27 windows"


def spoil_nan(folder: Path) -> str:
    ieee_record(folder, cells=[((1, 77), np.nan)])
    return "ppg has 1 NaN or infinite samples"


def spoil_constant(folder: Path) -> str:
    ieee_record(folder, cells=[((2, slice(None)), 3.0)])
    return "ppg channel 1 is constant"


SPOILT = [
    spoil_missing,
    spoil_truncated,
    spoil_text,
    spoil_variable,
    spoil_label_variable,
    spoil_labels_apart,
    spoil_labels,
    spoil_nan,
    spoil_constant,
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_record_that_cannot_be_used_is_named_by_run_and_check(capsys, tmp_path, spoil):
    data = tmp_path / "data"
    data.mkdir()
    told = spoil(data)
    config = config_with(tmp_path, ("data.sources", [{"kind": "ieee_spc"}]))
    assert told in refusal(capsys, "run", config, "--data", data, "--run", tmp_path / "run")
    if spoil is not spoil_missing:
        assert told in refusal(capsys, "data", "check", data)


def spoil_npz(folder: Path) -> str:
    np.savez(folder / "own.npz", ppg=np.random.default_rng(0).normal(size=2000), ppg_hz=np.array(25.0))
    path = folder / "own.npz"
    path.write_bytes(path.read_bytes()[:-200])
    return "own.npz: not a readable NPZ"


def spoil_npz_fields(folder: Path) -> str:
    np.savez(folder / "own.npz", pulse=np.zeros(9))
    return "own.npz: array 'ppg' is missing"


def spoil_csv_numbers(folder: Path) -> str:
    (folder / "own.csv").write_text("time_s,ppg\n0,1\n0.04,high\n0.08,3\n")
    return "own.csv: column 'ppg' is not numeric"


def spoil_csv_constant(folder: Path) -> str:
    lines = [f"{index / 25},4" for index in range(500)]
    (folder / "own.csv").write_text("\n".join(["time_s,ppg", *lines]))
    return "own.csv: ppg channel 0 is constant"


def spoil_short(folder: Path) -> str:
    np.savez(folder / "own.npz", ppg=np.random.default_rng(0).normal(size=60), ppg_hz=np.array(25.0))
    return "window"


@pytest.mark.parametrize(
    "spoil",
    [spoil_npz, spoil_npz_fields, spoil_csv_numbers, spoil_csv_constant, spoil_short],
)
def test_an_own_recording_that_cannot_be_used_is_named(capsys, tmp_path, spoil):
    data = tmp_path / "data"
    data.mkdir()
    told = spoil(data)
    config = config_with(tmp_path, ("data.sources", [{"kind": "tabular"}]))
    assert told in refusal(capsys, "run", config, "--data", data, "--run", tmp_path / "run")


def test_check_prints_good_recordings_beside_the_bad_one(capsys, tmp_path):
    ieee_record(tmp_path, seconds=120)
    (tmp_path / "DATA_02_TYPE02.mat").write_bytes(b"MATLAB")
    assert exit_code("data", "check", tmp_path, "--json") == 2
    out, err = capsys.readouterr()
    findings = json.loads(out)
    assert {finding["level"] for finding in findings} >= {"found", "error"}
    assert len(err.splitlines()) == 1 and "DATA_02_TYPE02.mat" in err


def test_simulated_recordings_are_not_written_over_anything(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refusal(capsys, "data", "simulate", "--out", tmp_path / "file")
    assert "not empty" in refusal(capsys, "data", "simulate", "--out", tmp_path)
    assert (tmp_path / "file").read_text() == "mine"


# Budgets


def test_a_run_whose_budget_nothing_meets_ends_before_any_training(capsys, run, tmp_path):
    config = config_with(tmp_path, ("budgets.latency_ms", 0.01), ("budgets.flash_kb", 1))
    begun = time.perf_counter()
    message = refusal(capsys, "run", config, "--run", tmp_path / "run", code=3)
    assert time.perf_counter() - begun < 20
    for part in (
        "latency <= 0.01 ms",
        "flash <= 1 KB",
        "smallest achievable latency",
        "nearest architecture",
    ):
        assert part in message
    assert not (tmp_path / "run" / "teacher").exists()


def test_a_search_whose_budget_nothing_meets_names_the_nearest_point(capsys, run):
    before = contents(run)
    message = refusal(capsys, "search", run, "--max-flash-kb", 2, code=3)
    assert "flash <= 2 KB is below the smallest achievable flash" in message
    assert "nearest architecture has" in message and "relax" in message
    assert contents(run) == before


def test_a_query_that_nothing_archived_meets_tells_the_smallest(capsys, run):
    message = refusal(capsys, "pareto", run, "--max-latency-ms", 0.001)
    assert "latency_ms" in message and "relax" in message


# Devices and tables


def table_of(run: Path) -> Path:
    return run / "hardware" / "lut-cortex-m7.json"


def change_table(path: Path, *keys: str, to: Any) -> None:
    content = json.loads(path.read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = to
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("arguments", [("search",), ("export",), ("lut", "build"), ("lut", "show")])
def test_an_unknown_device_is_told_with_those_known(capsys, run, arguments):
    before = contents(run)
    message = refusal(capsys, *arguments, run, "--device", "toaster")
    assert "toaster" in message and "stm32h743" in message
    assert contents(run) == before


def test_a_device_file_with_an_absurd_value_is_named(capsys, run, tmp_path):
    shipped = Path(__file__).parents[2] / "configs" / "devices" / "stm32h743.yaml"
    device = tmp_path / "mine.yaml"
    device.write_text(yaml.safe_dump({**yaml.safe_load(shipped.read_text()), "clock_hz": -1}))
    message = refusal(capsys, "search", run, "--device", device)
    assert str(device) in message and "clock_hz" in message


def test_a_stale_table_is_refused_and_its_remedy_works(capsys, run, tmp_path):
    mine = copy_of(run, tmp_path / "run")
    change_table(table_of(mine), "provenance", "kernel_hash", to="0" * 64)
    message = refusal(capsys, "search", mine)
    assert str(table_of(mine)) in message and f"ppg-nas lut build {mine}" in message
    assert contents(mine / "supernet") == contents(run / "supernet")
    assert exit_code("lut", "build", mine) == 0
    assert exit_code("search", mine) == 0


def test_a_device_that_the_table_does_not_cover_is_refused(capsys, run, tmp_path):
    mine = copy_of(run, tmp_path / "run")
    content = json.loads(table_of(mine).read_text())
    lost = sorted(content["entries"])[3]
    del content["entries"][lost]
    table_of(mine).write_text(json.dumps(content))
    message = refusal(capsys, "search", mine, "--device", "stm32h743")
    assert str(table_of(mine)) in message and lost in message and "stm32h743" in message
    assert "ppg-nas lut build" in message


@pytest.mark.parametrize("damage", ["core", "truncated", "negative", "foreign"])
def test_a_damaged_table_is_refused(capsys, run, tmp_path, damage):
    mine = copy_of(run, tmp_path / "run")
    path = table_of(mine)
    if damage == "core":
        change_table(path, "provenance", "core", to="cortex-m4")
    elif damage == "negative":
        change_table(path, "runner", "cycles", to=-5)
    else:
        path.write_text(path.read_text()[:2000] if damage == "truncated" else '{"format": 99}')
    message = refusal(capsys, "search", mine)
    assert str(path) in message and "ppg-nas lut build" in message


def test_a_damaged_table_in_the_cache_is_made_anew(run, tmp_path, monkeypatch):
    shutil.copytree(environment(run.parent)["XDG_CACHE_HOME"], tmp_path / "cache")
    whole = table_of(run).read_text()
    tables = (tmp_path / "cache" / "ppg-nas").glob("lut-*.json")
    (table,) = (path for path in tables if path.read_text() == whole)
    table.write_text(whole[:1000])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert exit_code("run", run.parent / "tiny.yaml", "--run", tmp_path / "run", "--until", "profile") == 0
    assert json.loads(table.read_text())["entries"] == json.loads(whole)["entries"]


# Files of a run


@pytest.mark.parametrize("name", ["supernet/model.pt", "data/windows.npz"])
def test_a_truncated_file_of_a_run_is_named_and_its_remedy_works(capsys, run, tmp_path, name):
    mine = copy_of(run, tmp_path / "run")
    path = mine / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    message = refusal(capsys, "search", mine)
    assert str(path) in message and "delete it" in message
    path.unlink()
    refusal(capsys, "search", mine)
    assert exit_code("run", run.parent / "tiny.yaml", "--run", mine) == 0
    assert path.read_bytes() == whole
    assert contents(mine / "teacher") == contents(run / "teacher")


@pytest.mark.parametrize("name", ["teacher/model.pt", "int8/model.npz", "results.json", "predictions.npz"])
def test_other_truncated_files_of_a_run_are_named(capsys, run, tmp_path, name):
    mine = copy_of(run, tmp_path / "run")
    (path,) = (path for path in mine.rglob("*") if str(path).endswith(name) and "export" not in str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    archived = rows(mine)
    other = next(arch for arch in archived if not (mine / "subnets" / arch).exists())
    command = {"teacher/model.pt": ("export", mine, "--arch", other), "int8/model.npz": ("export", mine)}
    assert str(path) in refusal(capsys, *command.get(name, ("report", mine)))
    assert rows(mine) == archived


def rows(run: Path) -> list[str]:
    """Ids of the archived subnets."""
    with sqlite3.connect(run / "archive.sqlite") as archive:
        return [arch for (arch,) in archive.execute("SELECT arch_id FROM evaluations ORDER BY id")]


def test_a_truncated_checkpoint_of_a_half_done_training_is_named(capsys, run, tmp_path):
    mine = copy_of(run, tmp_path / "run")
    (mine / "teacher" / "checkpoint.pt").write_bytes((mine / "teacher" / "model.pt").read_bytes()[:3000])
    (mine / "teacher" / "model.pt").unlink()
    kept = contents(mine / "supernet")
    message = refusal(capsys, "run", run.parent / "tiny.yaml", "--run", mine)
    assert str(mine / "teacher" / "checkpoint.pt") in message and "delete it" in message
    assert contents(mine / "supernet") == kept


def test_weights_of_another_space_are_refused(capsys, run, tmp_path):
    mine = copy_of(run, tmp_path / "run")
    config = yaml.safe_load((mine / "config.yaml").read_text())
    other = tmp_path / "other.yaml"
    other.write_text((mine / config["space"]).read_text().replace("stem_widths: [8]", "stem_widths: [12]"))
    (mine / "config.yaml").write_text(yaml.safe_dump({**config, "space": str(other)}))
    (mine / "hardware" / "lut-cortex-m7.json").unlink()
    assert str(mine / "supernet" / "model.pt") in refusal(capsys, "search", mine)


def test_a_run_directory_of_another_configuration_is_left_as_it_is(capsys, run, tmp_path):
    before = contents(run)
    message = refusal(capsys, "run", config_with(tmp_path, ("teacher.epochs", 3)), "--run", run)
    assert str(run) in message and "another configuration" in message and "--run" in message
    assert "seed differs" in refusal(capsys, "run", run.parent / "tiny.yaml", "--run", run, "--seed", "4")
    assert contents(run) == before


def test_a_folder_of_something_else_is_no_run_directory(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    message = refusal(capsys, "run", config_with(tmp_path), "--run", tmp_path / "mine")
    assert "something else" in message
    assert contents(tmp_path / "mine").keys() == {"thesis.tex"}
    assert "is a file" in refusal(capsys, "run", config_with(tmp_path), "--run", tmp_path / "mine/thesis.tex")


def test_a_run_that_another_process_holds_is_refused(capsys, run):
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    command = [sys.executable, "-c", hold, str(run / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        message = refusal(capsys, "search", run)
        holder.communicate(b"\n")
    assert "another process" in message and str(run) in message


def test_commands_on_an_unfinished_run_say_how_to_go_on(capsys, tmp_path):
    target = tmp_path / "run"
    assert exit_code("run", config_with(tmp_path), "--run", target, "--until", "prepare") == 0
    for command in ("search", "export", "report"):
        assert "ppg-nas run" in refusal(capsys, command, target)
    assert "archive" in refusal(capsys, "pareto", target)


# Bundles


def bundle_of(run: Path) -> Path:
    (manifest,) = run.glob("subnets/*/export/manifest.json")
    return manifest.parent


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
@pytest.mark.parametrize("name", ["ppgnet_model.c", "golden.npz", "model.npz"])
def test_a_bundle_file_that_is_not_as_exported_is_named(capsys, run, tmp_path, name, damage):
    bundle = Path(shutil.copytree(bundle_of(run), tmp_path / "bundle"))
    path, whole = bundle / name, (bundle / name).read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-10] if damage == "truncated" else bytes([whole[0] ^ 1]) + whole[1:])
    message = refusal(capsys, "verify", bundle)
    assert str(path) in message and "export the subnet again" in message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 7}'])
def test_a_manifest_that_is_not_whole_is_named(capsys, run, tmp_path, text):
    bundle = Path(shutil.copytree(bundle_of(run), tmp_path / "bundle"))
    (bundle / "manifest.json").write_text(text)
    assert "manifest.json" in refusal(capsys, "verify", bundle)


def test_a_folder_that_is_no_bundle_and_a_compiler_that_is_none_are_refused(capsys, run, tmp_path):
    assert str(tmp_path / "none") in refusal(capsys, "verify", tmp_path / "none")
    assert "no-such-gcc" in refusal(capsys, "verify", bundle_of(run), "--cc", "no-such-gcc")


def test_an_arch_that_is_not_archived_is_not_exported(capsys, run, tmp_path):
    message = refusal(capsys, "export", run, "--arch", "ffffffffff", "--out", tmp_path / "out")
    assert "ffffffffff" in message and "ppg-nas pareto" in message
    assert not (tmp_path / "out").exists()


def test_an_export_never_writes_over_something_else(capsys, run, tmp_path):
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "notes.txt").write_text("mine")
    assert "notes.txt" in refusal(capsys, "export", run, "--out", busy)
    assert contents(busy).keys() == {"notes.txt"}
    assert "is a file" in refusal(capsys, "export", run, "--out", busy / "notes.txt")
    bundle = Path(shutil.copytree(bundle_of(run), tmp_path / "bundle"))
    (bundle / "board.c").write_text("mine too")
    assert "board.c" in refusal(capsys, "export", run, "--out", bundle)
    assert (bundle / "board.c").read_text() == "mine too"


# Archives


def spoil_archive_text(path: Path) -> None:
    path.write_text("not a database, far from it, but long enough to hold a header of SQLite" * 20)


def spoil_archive_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4500])


def spoil_archive_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bills (amount)")


@pytest.mark.parametrize("spoil", [spoil_archive_text, spoil_archive_truncated, spoil_archive_foreign])
@pytest.mark.parametrize("command", ["pareto", "export", "search"])
def test_a_foreign_archive_is_refused(capsys, run, tmp_path, spoil, command):
    mine = copy_of(run, tmp_path / "run")
    for side in ("-wal", "-shm"):
        (mine / f"archive.sqlite{side}").unlink(missing_ok=True)
    spoil(mine / "archive.sqlite")
    held = (mine / "archive.sqlite").read_bytes()
    assert "archive.sqlite" in refusal(capsys, command, mine)
    assert (mine / "archive.sqlite").read_bytes() == held


def as_of_schema(path: Path, version: int) -> None:
    """Make an archive look like one of another version of the program."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("version", [0, 1, 99])
@pytest.mark.parametrize("command", ["pareto", "search", "export"])
def test_an_archive_of_an_unknown_schema_is_refused_and_left_alone(capsys, run, tmp_path, command, version):
    mine = copy_of(run, tmp_path / "run")
    archived = rows(mine)
    as_of_schema(mine / "archive.sqlite", version)
    message = refusal(capsys, command, mine)
    assert "archive.sqlite" in message and f"schema {version}" in message and "move the file away" in message
    assert rows(mine) == archived


def test_a_query_on_an_empty_archive_says_what_to_do(capsys, run, tmp_path):
    mine = copy_of(run, tmp_path / "run")
    with sqlite3.connect(mine / "archive.sqlite") as archive:
        archive.execute("DELETE FROM evaluations")
    archive.close()
    message = refusal(capsys, "pareto", mine)
    assert "archive.sqlite" in message and "no evaluations yet; run a search" in message


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--where", "beauty > 3"], "unknown column 'beauty'"),
        (["--where", "flash <= 80"], "a unit of flash"),
        (["--where", "step_latency <= 3 KB"], "a unit of step_latency"),
        (["--where", ""], "a column name"),
        (["--objectives", "error,beauty"], "unknown column 'beauty'"),
        (["--objectives", "error,arch"], "unknown objective 'arch'"),
        (["--max-step-latency-ms", "0"], "above 0"),
        (["--max-step-latency-ms", "0.0001"], "step_latency_ms"),
        (["--sort", "beauty"], "beauty"),
        (["--where", "flash <= 3 apples"], "apples"),
        (["--where", "flash <="], "position"),
        (["--device", "toaster"], "device"),
        (["--plot", "front.doc"], "front.doc"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(capsys, run, options, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told in refusal(capsys, "pareto", run, *options)


# The world around


def test_a_folder_that_cannot_be_written_is_named_without_a_traceback(capsys, tmp_path):
    (tmp_path / "file").touch()
    message = refusal(capsys, "run", config_with(tmp_path), "--run", tmp_path / "file" / "run", code=1)
    assert str(tmp_path / "file") in message
