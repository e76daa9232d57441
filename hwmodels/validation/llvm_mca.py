"""llvm-mca beside the scoreboard: Arm's scheduling model of the Cortex-M7 in LLVM, asked about sequences.

A second opinion of pipeline.py, not a witness: it knows no banks of tightly coupled memory and no branches.
Optional: without llvm-mca the column is empty.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import capstone

_ITERATIONS = 200


def missing() -> str | None:
    """What is lacking here, and the remedy; None when llvm-mca is there."""
    return None if shutil.which("llvm-mca") else "llvm-mca is not installed (apt-get install llvm)"


def steady_cycles(code: bytes) -> float | None:
    """Cycles of one repetition of Thumb-2 `code` repeated endlessly; None where llvm-mca refuses it."""
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    lines = [f"{one.mnemonic} {one.op_str}" for one in engine.disasm(code, 0)]
    totals = []
    for iterations in (_ITERATIONS, 2 * _ITERATIONS):
        command = [
            "llvm-mca",
            "-mtriple=thumbv7em-none-eabihf",
            "-mcpu=cortex-m7",
            "-mattr=+fp-armv8d16sp",
            f"-iterations={iterations}",
        ]
        done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
        found = re.search(r"^Total Cycles:\s+(\d+)$", done.stdout, re.MULTILINE)
        if done.returncode != 0 or found is None:
            return None
        totals.append(int(found[1]))
    return (totals[1] - totals[0]) / _ITERATIONS
