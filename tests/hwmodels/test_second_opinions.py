"""QEMU and llvm-mca beside our emulator and scoreboard, where they are installed."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodels.c.toolchain import find_toolchain
from hwmodels.codegen.network_source import generate
from hwmodels.cost.lut import LookUpTable
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.profiling import build
from hwmodels.device.device import known_devices, load_device
from hwmodels.emulation import qemu as second_emulator
from hwmodels.emulation.emulator import Emulator
from hwmodels.network.interpreter import run
from hwmodels.validation import llvm_mca as second_model
from hwmodels.validation.network_check import random_model, random_windows, run_network
from hwmodels.validation.published_boards import autoencoder
from nas.assembly.lut_check import check_table, is_bad
from nas.cli import main
from supernet.space.search_space import load_space
from tests.nas.tiny_run import without_arm_compiler

needs_compiler = pytest.mark.skipif(without_arm_compiler() is not None, reason=str(without_arm_compiler()))


@needs_compiler
@pytest.mark.skipif(second_emulator.missing() is not None, reason=str(second_emulator.missing()))
def test_both_emulators_agree_to_the_instruction() -> None:
    space, rng = load_space("demo"), np.random.default_rng(4)
    model = random_model(space.lower(space.decode(space.sample(1, rng))[0]), rng)
    windows = random_windows(model.graph, 2, rng)
    sources = generate(model)
    second = second_emulator.run_on_qemu(sources, windows, find_toolchain())
    first = Emulator(find_toolchain().link(sources))
    assert second.instructions == sum(run_network(model, first, one)[0].instructions for one in windows)
    np.testing.assert_array_equal(second.results, run(model, windows)[model.graph.output.name])


@pytest.mark.skipif(second_model.missing() is not None, reason=str(second_model.missing()))
def test_llvm_mca_issues_two_independent_adds_a_cycle() -> None:
    assert second_model.steady_cycles(bytes.fromhex("00f1010001f10101")) == 1.0
    assert second_model.steady_cycles(b"\x80\xea\x01\x00" * 4) == 4.0


@needs_compiler
def test_validate_prints_every_published_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hw", "validate", "--networks", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["sequences"]) >= 30 and told["wrong"] == []
    assert all(row["model"] == row["published"] for row in told["sequences"])
    assert {row["core"] for row in told["sequences"]} == {"cortex-m7", "cortex-m4"}
    assert told["hot_loops"] and all(0 < row["share"] <= 1 for row in told["hot_loops"])
    assert all(row["model_cycles"] >= row["instructions"] / 2 for row in told["hot_loops"])
    # figures of others are quoted; ours stand only beside the network that our kernels can run
    assert len(told["boards"]) == 7 and all(row["source"] for row in told["boards"])
    ours = [row for row in told["engines"] if row["our_cycles_per_mac"] is not None]
    assert [(row["network"], row["board"]) for row in ours] == [("MLPerf Tiny AD", "stm32f746")]
    assert 0.5 < ours[0]["our_cycles_per_mac"] < 3
    assert all(row["why_not"] for row in told["engines"] if row not in ours)


def test_the_autoencoder_is_the_published_one() -> None:
    assert (autoencoder().macs, autoencoder().parameter_count) == (264_192, 265_864)


def test_all_devices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hw", "devices", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [device["name"] for device in told] == known_devices()
    assert main(["hw", "devices"]) == 0 and "stm32f746" in capsys.readouterr().out


@needs_compiler
def test_the_table_is_checked_against_both_emulators_and_tells_what_is_off() -> None:
    space, toolchain, device = load_space("demo"), find_toolchain(), load_device()
    graphs = [space.lower(arch) for arch in space.decode(space.sample(2, np.random.default_rng([3, 1])))]
    table = build([op for graph in graphs for op in graph], toolchain, "2026-01-01")
    with ThreadPoolExecutor(1) as executor:

        def check(table: LookUpTable) -> dict[str, Any]:
            told: list[int] = []
            found = check_table(
                space, CostModel(table, device), toolchain, 2, 3, executor, lambda done, *_: told.append(done)
            )
            assert told == [1, 2]
            return found

        found = check(table)
        assert found["archs"] == 2 and found["ram_mismatches"] == found["output_mismatches"] == 0
        assert found["max_cycle_error_pct"] < 0.5 and not is_bad(found)
        if second_emulator.missing() is None:
            second = {"networks": 2, "instruction_mismatches": 0, "output_mismatches": 0}
            assert found["second_emulator"] == second
        slower = {key: replace(entry, cycles=entry.cycles + 2000) for key, entry in table.entries.items()}
        assert is_bad(check(replace(table, entries=slower)))


@needs_compiler
def test_what_is_not_installed_is_skipped_with_a_line(monkeypatch, capsys) -> None:
    found = shutil.which

    def without(name: str) -> str | None:
        return None if name in ("qemu-system-arm", "llvm-mca") else found(name)

    monkeypatch.setattr(shutil, "which", without)
    assert main(["hw", "validate", "--networks", "2"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped:")]
    assert len(told) == 2 and "llvm-mca" in told[0] and "qemu-system-arm" in told[1]
    assert all("apt-get install" in line for line in told)
