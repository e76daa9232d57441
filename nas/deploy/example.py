"""The bundle's example firmware: its files, and the ELF that the bare-metal one links to.

What the ELF holds is what a watch would: network, front end, verdicts, tracker and start-up code.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from hwmodels.c.text import C_FOLDER
from hwmodels.c.toolchain import Toolchain, ToolchainError, run_compiler

_FOLDER = C_FOLDER / "examples"
_BARE_METAL = "examples/bare_metal"
_PLACES = {
    "bare_metal": _BARE_METAL,
    "zephyr_module": "zephyr",
    "zephyr_example": "examples/zephyr",
}
STACK_BYTES = 8192
"""What both examples keep for the stack; spectra take most of it."""


def example_files() -> dict[str, str]:
    """Path within the bundle -> text, of both examples and what makes the bundle a Zephyr module."""
    found = {}
    for folder, place in _PLACES.items():
        for file in sorted((_FOLDER / folder).iterdir()):
            name = f"src/{file.name}" if place.endswith("zephyr") and file.suffix == ".c" else file.name
            found[f"{place}/{name}"] = file.read_text(encoding="utf-8")
    return found


def learner_program() -> dict[str, str]:
    """The main program, by file name, of a firmware that personalizes a network; its context is `learner`."""
    return {"main.c": (_FOLDER / "personal" / "main.c").read_text(encoding="utf-8")}


@dataclass(frozen=True)
class Example:
    """A linked example: its ELF, and what the ELF and the linker's map say of it.

    flash_bytes: code, constants and initial values; ram_bytes: data and the reserved stack. by_symbol: bytes
    of variables by name.
    """

    elf: bytes
    flash_bytes: int
    ram_bytes: int
    by_symbol: Mapping[str, int]


def build_example(
    sources: Mapping[str, str],
    files: Mapping[str, str],
    toolchain: Toolchain,
    self_test: bool = False,
    extra: Mapping[str, str] | None = None,
) -> Example:
    """Link the bare-metal example of a bundle's C sources (with `extra` ones) as its Makefile does.

    `files` holds the example's own, by their path in the bundle. Raises ToolchainError with the compiler's or
    linker's first complaint.
    """
    own = {Path(name).name: text for name, text in files.items() if name.startswith(_BARE_METAL)}
    wanted = {**sources, **own, **(extra or {})}
    if not self_test:
        wanted.pop("ppgnet_selftest.c", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in wanted.items():
            (folder / file).write_text(text, encoding="utf-8")
        units = sorted(file for file in wanted if file.endswith(".c"))
        flags = [*toolchain.flags, *(["-DSELF_TEST"] if self_test else [])]
        objects = [f"{Path(unit).stem}.o" for unit in units]
        for unit, target in zip(units, objects, strict=True):
            run_compiler([*toolchain.command, *flags, "-c", unit, "-o", target], folder)
        linking = ["-nostdlib", "-Wl,--gc-sections", "-Wl,-Map=firmware.map", "-T", "firmware.ld"]
        command = [*toolchain.command, *toolchain.target_flags(), *linking, *objects, "-o", "firmware.elf"]
        run_compiler(command, folder)
        map_text = (folder / "firmware.map").read_text(encoding="utf-8")
        return _facts((folder / "firmware.elf").read_bytes(), map_text)


def _facts(content: bytes, map_text: str) -> Example:
    flash = ram = 0
    elf: Any = ELFFile(io.BytesIO(content))
    for section in elf.iter_sections():
        if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
            continue
        writes = bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE)
        ram += section["sh_size"] * writes
        flash += section["sh_size"] * (section["sh_type"] == "SHT_PROGBITS" and section.name != ".stack")
    if not ram:
        raise ToolchainError("the example firmware holds no context; its linker script was altered")
    # GNU ld's map: the input section of a variable, its address and size, on one line or two.
    rows = re.findall(r"^ \.(?:bss|data)\.(\w+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)", map_text, re.MULTILINE)
    return Example(content, flash, ram, {name: int(size, 16) for name, size in rows if int(size, 16)})
