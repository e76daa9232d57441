"""Measuring a board: the exported benchmark builds and runs, its output becomes a table or is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwmodels.basics.shipped import shipped_folder
from hwmodels.c.toolchain import find_toolchain
from hwmodels.cost.board_measurements import MeasurementError, measured_table, read_measurements
from hwmodels.cost.board_project import FirmwareError, benchmark_project, choose_calls
from hwmodels.cost.lut import LookUpTable, entry_key, load
from hwmodels.cost.profiling import build
from hwmodels.device.device import Device, load_device
from hwmodels.emulation import qemu as second_emulator
from hwmodels.kernels.variants import kernel_hash
from hwmodels.network.graph import Op
from nas.cli import main
from tests.nas.tiny_run import without_arm_compiler

REASON = without_arm_compiler()
pytestmark = [pytest.mark.arm, pytest.mark.skipif(REASON is not None, reason=str(REASON))]
has_make = pytest.mark.skipif(
    shutil.which("make") is None or shutil.which("arm-none-eabi-gcc") is None, reason="no make or Arm gcc"
)
OPS = [
    *(Op("p", "conv", n, c, n, k, activation="relu") for n in (8, 16) for c in (8, 16) for k in (8, 12)),
    *(Op("d", "depthwise", n, c, n, c, k, dilation=2) for n in (16, 24) for c in (8, 12) for k in (3, 5)),
    *(Op("a", "add", n, 8, n, 8) for n in (8, 16, 24, 32)),
    Op("e", "depthwise", 24, 6, 8, 6, 3, 3),
    Op("f", "fully_connected", 1, 16, 1, 12),
    Op("g", "average_pool", 16, 8, 1, 8),
    Op("h", "history", 8, 8, 10, 8),
    Op("r", "heart_rate_head", 1, 24, 1, 24),
]
# Where QEMU's board counts no cycles: its system timer, one tick for 40 instructions.
SYSTICK = """\
#include "bench.h"
#define REGISTER(address) (*(volatile uint32_t *)(address))
void board_start_counter(void)
{
    REGISTER(0xe000e014) = 0xffffff;
    REGISTER(0xe000e018) = 0;
    REGISTER(0xe000e010) = 5;
}
uint32_t board_counter(void)
{
    return 0xffffff - REGISTER(0xe000e018);
}
"""


@pytest.fixture(scope="module")
def table() -> LookUpTable:
    return build(OPS, find_toolchain(), "2026-01-01")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Device:
    """QEMU's mps2-an500 as a device file of somebody's own."""
    content = yaml.safe_load((shipped_folder("devices") / "cortex-m7-64mhz.yaml").read_text())
    content |= {"name": "an500", "flash_bytes": 1 << 22, "ram_bytes": 1 << 22}
    content["regions"] = {
        "flash": {"origin": 0, "bytes": 1 << 21},
        "code": {"origin": 1 << 21, "bytes": 1 << 20},
        "data": {"origin": 0x20000000, "bytes": 1 << 21},
    }
    path = tmp_path_factory.mktemp("device") / "an500.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_device(path)


def _make(project: dict[str, str], folder: Path, *settings: str) -> None:
    for name, text in project.items():
        (folder / name).write_text(text)
    done = subprocess.run(["make", "-C", folder, *settings], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@has_make
@pytest.mark.parametrize("name", ["stm32f746", "stm32h743", "cortex-m4-64mhz"])
def test_the_project_builds_for_boards_of_either_core_and_placement(name: str, tmp_path: Path) -> None:
    project = benchmark_project(OPS[::3], load_device(name), find_toolchain("arm-none-eabi-gcc"))
    assert not [text for text in project.values() if re.search("@[A-Z_]+@", text)]
    _make(project, tmp_path)


@has_make
@pytest.mark.skipif(second_emulator.missing() is not None, reason=str(second_emulator.missing()))
def test_what_the_second_emulator_counts_on_the_board_becomes_a_table(
    table: LookUpTable, board: Device, tmp_path: Path
) -> None:
    project = benchmark_project(OPS, board, find_toolchain("arm-none-eabi-gcc"))
    sources = re.findall(r"^SOURCES = (.*)$", project["Makefile"], re.MULTILINE)[0]
    extra = "EXTRA=-DBENCH_CALLS_PER_READING=40 -DBENCH_CYCLES_PER_TICK=40"
    _make(project | {"systick.c": SYSTICK}, tmp_path, f"SOURCES={sources} systick.c", extra)
    done = subprocess.run(
        [
            "qemu-system-arm",
            "-machine",
            "mps2-an500",
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
            "-icount",
            "shift=0",
            "-semihosting-config",
            "enable=on,target=native",
            "-kernel",
            tmp_path / "bench.elf",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    path = tmp_path / "measured.csv"
    path.write_text(done.stdout + done.stderr)
    # a core of one instruction a cycle; the return is counted with the empty call
    cycles = read_measurements(path, table, "an500")
    assert cycles.keys() == table.entries.keys()
    for key, counted in cycles.items():
        assert abs(counted - table.entries[key].instructions) <= 3, key
    seen = {key: cycles[key] for number, key in enumerate(sorted(cycles)) if number % 3}
    made = measured_table(table, seen, "test")
    assert made.counts == {"measured": len(seen), "scaled": len(table.entries) - len(seen)}
    assert made.held_out.folds == 5 and made.held_out.median_pct < 10
    off = [made.table.entries[key].cycles / cycles[key] - 1 for key in cycles if key not in seen]
    assert np.median(np.abs(off)) < 0.1
    made.table.save(tmp_path / "lut.json")
    assert load(tmp_path / "lut.json") == made.table and "test" in made.table.provenance.source


def test_a_board_that_is_a_third_slower_scales_all_and_one_kernel_by_its_own(table: LookUpTable) -> None:
    def slower(key: str) -> int:
        return round(table.entries[key].cycles * (2.0 if key.startswith("add") else 4 / 3))

    keys = sorted(table.entries)
    seen = {key: slower(key) for key in keys if key.split("|")[1] != "24"}
    made = measured_table(table, seen, "test")
    assert made.scales["add"] == pytest.approx(2, rel=1e-2)
    assert made.overall_scale == pytest.approx(4 / 3, rel=1e-2)
    for key in keys:
        entry = made.table.entries[key]
        assert entry.origin == ("measured" if key in seen else "scaled")
        assert entry.cycles == pytest.approx(slower(key), rel=1e-2)
    assert made.held_out.median_pct < 1
    # one absurd outlier moves no median
    wrong = {**seen, max(key for key in seen if key.startswith("matrix")): 10**6}
    assert measured_table(table, wrong, "test").scales["matrix"] == pytest.approx(4 / 3, rel=1e-2)


def test_calls_are_chosen_from_the_quickest_to_the_slowest_of_each_kernel(table: LookUpTable) -> None:
    chosen = choose_calls(OPS, table, 2)
    cycles = [table.entries[entry_key(op)].cycles for op in chosen if op.kind == "add"]
    every = [table.entries[entry_key(op)].cycles for op in OPS if op.kind == "add"]
    assert cycles == [min(every), max(every)]
    assert len({entry_key(op) for op in choose_calls(OPS, table, 99)}) == len(table.entries)


def test_a_board_without_room_is_told() -> None:
    device = load_device("cortex-m7-64mhz")
    for name, least in (("flash", 65536), ("data", 4096)):
        regions = device.regions.model_copy(
            update={name: getattr(device.regions, name).model_copy(update={"bytes": least})}
        )
        with pytest.raises(FirmwareError, match="flash has" if name == "flash" else "regions.data"):
            benchmark_project(OPS, device.model_copy(update={"regions": regions}), find_toolchain())


def _csv(table: LookUpTable) -> list[str]:
    rows = [f"{key},{entry.cycles},{entry.cycles + 50}" for key, entry in table.entries.items()]
    head = ["# ppg-nas kernel benchmark 1", "# device: cortex-m7-64mhz", f"# kernels: {kernel_hash()}"]
    return [*head, "key,cycles,first_cycles", *rows, f"# end {len(rows)}"]


def _value(lines: list[str], value: object) -> list[str]:
    key = lines[4].split(",")[0]
    return [*lines[:4], f"{key},{value},1", *lines[5:]]


BAD: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "nothing": (lambda lines: [], "no rows"),
    "cut off": (lambda lines: lines[:-3], "'# end' is missing"),
    "missing row": (lambda lines: [*lines[:6], *lines[7:]], "its last line says"),
    "duplicate": (lambda lines: [*lines[:-1], lines[5], "# end 99"], "stands there twice"),
    "foreign key": (lambda lines: [*lines[:4], "matrix|1|2|3|4,100,100", *lines[4:]], "no kernel call"),
    "no cycles": (lambda lines: [line.replace("key,cycles", "key,ms") for line in lines], "column 'cycles'"),
    "short row": (lambda lines: [*lines[:4], lines[4].rsplit(",", 1)[0], *lines[5:]], "2 values for 3"),
    "milliseconds": (lambda lines: _value(lines, 0.25), "whole number"),
    "microseconds": (lambda lines: _value(lines, 7), "not microseconds"),
    "negative": (lambda lines: _value(lines, -100), "whole number"),
    "absurd": (lambda lines: _value(lines, 10**12), "the model says"),
    "other unit": (lambda lines: ["# unit: us", *lines], "unit 'us'"),
    "other board": (lambda lines: [line.replace("cortex-m7-64mhz", "x") for line in lines], "measured on x"),
    "other kernels": (lambda lines: [line.replace(kernel_hash(), "0" * 64) for line in lines], "kernels"),
}


@pytest.mark.parametrize("damage", BAD)
def test_bad_output_is_one_line_that_names_the_file(table: LookUpTable, tmp_path: Path, damage: str) -> None:
    change, told = BAD[damage]
    path = tmp_path / "measured.csv"
    path.write_text("\n".join(_csv(table)))
    assert len(read_measurements(path, table, "cortex-m7-64mhz")) == len(table.entries)
    path.write_text("\n".join(change(_csv(table))))
    with pytest.raises(MeasurementError, match=told) as caught:
        read_measurements(path, table, "cortex-m7-64mhz")
    assert "measured.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_the_command_makes_a_table_or_leaves_the_old_one(tmp_path: Path, capsys) -> None:
    folder, out, path = tmp_path / "bench", tmp_path / "lut.json", tmp_path / "measured.csv"
    given = ["--space", "demo", "--out", str(folder), "--per-kernel", "4"]
    assert main(["lut", "export-firmware", "cortex-m7-64mhz", *given]) == 0
    keys = re.findall(r'^    \{"(.*?)",', (folder / "calls.c").read_text(), re.MULTILINE)
    assert main(["lut", "show", "--space", "demo", "--json"]) == 0
    entries = {row["kernel call"]: row for row in json.loads(capsys.readouterr().out.split("\n", 1)[1])["entries"]}
    rows = [f"{key},{2 * entries[key]['cycles']}" for key in keys]
    path.write_text("\n".join(["key,cycles", *rows]))
    arguments = ["lut", "import", str(path), "--space", "demo", "--out", str(out), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["measured"] == len(keys) and told["scaled"] == len(entries) - len(keys)
    assert told["scale"] == pytest.approx(2) and told["held_out"]["max_pct"] < 0.1
    before = out.read_bytes()
    path.write_text("\n".join(["key,cycles", rows[0], rows[0]]))
    assert main(arguments) == 2
    assert out.read_bytes() == before and capsys.readouterr().err.count("\n") == 1
    assert main(["lut", "import", str(tmp_path / "none.csv"), "--space", "demo", "--out", str(out)]) == 2
    assert main(["lut", "import", str(path), "--space", "demo"]) == 2
    assert load(out).provenance.core == "cortex-m7"


@settings(max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.text(max_size=3)), max_size=6),
    st.sampled_from(["", "9" * 5000, "1e3", "\x00", "\u0661\u0662", '"', "# end 3", "key,cycles"]),
)
def test_no_damage_to_the_output_ends_in_anything_but_one_line(
    table: LookUpTable, tmp_path: Path, changes: list[tuple[int, str]], value: str
) -> None:
    path = tmp_path / "measured.csv"
    text = "\n".join(_value(_csv(table), value) if value else _csv(table))
    for place, put in changes:
        text = text[:place] + put + text[place + len(put) :]
    path.write_text(text, encoding="utf-8")
    try:
        read_measurements(path, table, "cortex-m7-64mhz")
    except MeasurementError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
