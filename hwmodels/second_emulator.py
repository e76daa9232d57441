"""QEMU beside Unicorn: the same network booted on an emulated mps2-an500 board, its instructions counted.

A cross-check of emulator.py: another program, another loader, a plugin of its own; results and instruction
counts must agree exactly. Optional: without qemu-system-arm or a host compiler it says what is missing.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from hwmodels.codegen import generate
from hwmodels.integer import IntegerModel
from hwmodels.toolchain import Toolchain, ToolchainError, compile_host, run_compiler

_FOLDER = Path(__file__).parent / "qemu"
_QEMU = "qemu-system-arm"
_SECONDS = 120


@dataclass(frozen=True)
class SecondOpinion:
    """What QEMU says of windows through one network: results (n, 3), and instructions of all windows."""

    results: NDArray[np.int32]
    instructions: int


def missing() -> str | None:
    """What the second emulator lacks here, and the remedy; None when it is complete."""
    if shutil.which(_QEMU) is None:
        return f"{_QEMU} is not installed (apt-get install qemu-system-arm)"
    if shutil.which("cc") is None:
        return "no host compiler for QEMU's counting plugin (apt-get install gcc)"
    listed = subprocess.run([_QEMU, "-help"], capture_output=True, text=True, check=False).stdout
    return None if "-plugin" in listed else f"this {_QEMU} was built without plugins"


def run_on_qemu(model: IntegerModel, windows: NDArray[np.int8], toolchain: Toolchain) -> SecondOpinion:
    """Boot `model` on QEMU with int8 windows (n, T, C). Raises ToolchainError when something fails."""
    reason = missing()
    if reason:
        raise ToolchainError(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = generate(model) | {
            "boot.c": (_FOLDER / "boot.c").read_text(encoding="utf-8"),
            "windows.h": _windows_header(windows),
        }
        for file, text in sources.items():
            (folder / file).write_text(text, encoding="utf-8")
        objects = []
        for unit in sorted(file for file in sources if file.endswith(".c")):
            objects.append(f"{Path(unit).stem}.o")
            run_compiler([*toolchain.command, *toolchain.flags, "-c", unit, "-o", objects[-1]], folder)
        shutil.copy(_FOLDER / "an500.ld", folder)
        linking = ["-nostdlib", "-Wl,--gc-sections", "-T", "an500.ld", *objects, "-o", "image.elf"]
        run_compiler([*toolchain.command, *toolchain.target_flags(), *linking], folder)
        elf: Any = ELFFile(io.BytesIO((folder / "image.elf").read_bytes()))
        section = elf.get_section_by_name(".ppgnet")
        first, last = section["sh_addr"], section["sh_addr"] + section["sh_size"]
        counter = (_FOLDER / "counter.c").read_text(encoding="utf-8")
        plugin = compile_host({"counter.c": counter}, folder / "counter.so")
        command = [
            _QEMU, "-machine", "mps2-an500", "-nographic", "-monitor", "none", "-serial", "none",
            "-semihosting-config", "enable=on,target=native", "-kernel", str(folder / "image.elf"),
            "-plugin", f"{plugin},first={first:#x},last={last:#x}",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise ToolchainError(f"{_QEMU}: the network did not end within {_SECONDS} s") from None
    told = done.stdout + done.stderr
    counts = re.findall(r"^instructions (\d+)$", told, re.MULTILINE)
    rows = re.findall(r"^(-?\d+) (-?\d+) (-?\d+)$", told, re.MULTILINE)
    if done.returncode != 0 or len(counts) != 1 or len(rows) != len(windows):
        first_line = next(iter(told.strip().splitlines()), "no output")
        raise ToolchainError(f"{_QEMU}: exit code {done.returncode}: {first_line}")
    return SecondOpinion(np.array(rows, np.int32), int(counts[0]))


def _windows_header(windows: NDArray[np.int8]) -> str:
    size = -(-windows[0].size // 4) * 4
    rows = ["{" + ",".join(map(str, window.ravel().tolist())) + "}" for window in windows]
    table = ",\n".join(rows)
    return (
        f"#define WINDOWS {len(windows)}\n"
        f"static const int8_t windows[WINDOWS][{size}] __attribute__((aligned(4))) = {{\n{table}\n}};\n"
    )
