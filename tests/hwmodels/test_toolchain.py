"""Own compilers and flags: they reach the table and its provenance; what cannot work is told in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hwmodels.c.toolchain import ToolchainError, find_toolchain
from hwmodels.cost.profiling import build
from hwmodels.device.target import Target
from hwmodels.kernels.variants import kernel_sources
from hwmodels.network.graph import Op
from nas.cli import main

gcc = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc")
POINTWISE = Op("p", "conv", 32, 16, 32, 16, activation="relu")


@gcc
@pytest.mark.arm
def test_flags_behind_the_command_change_code_and_provenance() -> None:
    tables = [build([POINTWISE], find_toolchain(f"arm-none-eabi-gcc{more}"), "") for more in ("", " -Os")]
    assert tables[1].provenance.flags == (*tables[0].provenance.flags, "-Os")
    assert sum(tables[1].code_bytes.values()) != sum(tables[0].code_bytes.values())
    assert tables[1].entries.keys() == tables[0].entries.keys()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("no-such-compiler", "'no-such-compiler' was not found"),
        ("", "was not found"),
        ("cc 'unclosed", "No closing quotation"),
        ("true", "not for Arm"),
        pytest.param("cc", "not for Arm", marks=pytest.mark.skipif(not shutil.which("cc"), reason="no cc")),
    ],
)
def test_a_compiler_that_cannot_serve_is_one_line(given: str, told: str, capsys, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=told):
        find_toolchain(given)
    assert main(["lut", "build", "--cc", given, "--out", str(tmp_path / "lut.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "lut.json").exists()


@gcc
@pytest.mark.arm
def test_a_flag_that_the_compiler_refuses_is_its_own_first_complaint(capsys, tmp_path: Path) -> None:
    given = ["--cc", "arm-none-eabi-gcc -Onothing", "--space", "demo", "--out", str(tmp_path / "lut.json")]
    assert main(["lut", "build", *given]) == 2
    assert "argument to '-O'" in capsys.readouterr().err


@gcc
@pytest.mark.arm
def test_tables_of_another_core_are_made_with_its_own_flags() -> None:
    toolchain = find_toolchain("arm-none-eabi-gcc")
    table = build([POINTWISE], toolchain, "", Target("cortex-m4"))
    assert {"-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"} < set(table.provenance.flags)
    assert not {"-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16"} & set(table.provenance.flags)
    assert toolchain.for_core("cortex-m7") == toolchain


@gcc
@pytest.mark.arm
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_kernels_compile_for_other_cores_with_dsp_instructions(core: str) -> None:
    toolchain = find_toolchain(f"arm-none-eabi-gcc -mcpu={core} -Wall -Wextra -Werror")
    assert toolchain.section_bytes(kernel_sources()) != find_toolchain("arm-none-eabi-gcc").section_bytes(
        kernel_sources()
    )
