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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from hwmodels.c.text import C_FOLDER
from hwmodels.c.toolchain import Toolchain, ToolchainError, cached_host_library

_FOLDER = C_FOLDER / "qemu"
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
    return _has_no_plugins()


@cache
def _has_no_plugins() -> str | None:
    listed = subprocess.run([_QEMU, "-help"], capture_output=True, text=True, check=False).stdout
    return None if "-plugin" in listed else f"this {_QEMU} was built without plugins"


def run_on_qemu(
    network: Mapping[str, str],
    windows: NDArray[np.int8],
    toolchain: Toolchain,
    compiled: Mapping[str, bytes] | None = None,
) -> SecondOpinion:
    """Boot generated sources of a network on QEMU with int8 windows (n, T, C).

    `compiled` gives objects of files that are made already. Raises ToolchainError when something fails.
    """
    reason = missing()
    if reason:
        raise ToolchainError(reason)
    sources = dict(network) | {
        "boot.c": (_FOLDER / "boot.c").read_text(encoding="utf-8"),
        "windows.h": _windows_header(windows),
    }
    plugin = cached_host_library("counter", (_FOLDER / "counter.c").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "image.elf"
        toolchain.link(sources, ("boot",), file, compiled, _FOLDER / "an500.ld")
        elf: Any = ELFFile(io.BytesIO(file.read_bytes()))
        section = elf.get_section_by_name(".ppgnet")
        first, last = section["sh_addr"], section["sh_addr"] + section["sh_size"]
        command = [
            _QEMU,
            "-machine",
            "mps2-an500",
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
            "-semihosting-config",
            "enable=on,target=native",
            "-kernel",
            str(file),
            "-plugin",
            f"{plugin},first={first:#x},last={last:#x}",
        ]
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
