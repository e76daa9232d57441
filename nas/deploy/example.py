"""The bundle's example firmware: its files, filled in for a device, and the ELF that the bare-metal one links to.

What the ELF holds is what a watch would: network, front end, verdicts, tracker and start-up code.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from hwmodels.c.template import filled
from hwmodels.c.text import C_FOLDER
from hwmodels.c.toolchain import (
    QEMU_MACHINES,
    Toolchain,
    ToolchainError,
    gnu_core_flags,
    run_compiler,
    write_sources,
)
from hwmodels.device.device import Device, Region, Regions

_FOLDER = C_FOLDER / "examples"
_BARE_METAL = "examples/bare_metal"
_PLACES = {
    "bare_metal": _BARE_METAL,
    "zephyr_module": "zephyr",
    "zephyr_example": "examples/zephyr",
}
_LINKER_SCRIPT = "firmware.ld"
ROOMY_SCRIPT = "qemu.ld"
"""Links for a machine with more memory than most devices have."""
_QEMU_REGIONS = Regions(
    flash=Region(origin=0, bytes=1 << 20),
    code=Region(origin=0x20100000, bytes=1 << 20),
    data=Region(origin=0x20000000, bytes=1 << 19),
)
STACK_BYTES = 8192
"""What both examples keep for the stack; spectra take most of it."""


def example_files(device: Device) -> dict[str, str]:
    """Path within the bundle -> text, of both examples for a device and of what makes the bundle a Zephyr module."""
    values = {
        "device": device.name,
        "core_title": device.core.title(),
        "core_flags": " ".join(gnu_core_flags(device.core)),
        "qemu_machine": QEMU_MACHINES[device.core],
    }
    files = {}
    for folder, place in _PLACES.items():
        for file in sorted((_FOLDER / folder).iterdir()):
            name = f"src/{file.name}" if place.endswith("zephyr") and file.suffix == ".c" else file.name
            text = file.read_text(encoding="utf-8")
            if file.name == _LINKER_SCRIPT:
                placement = device.placement
                files[f"{place}/{name}"] = _script(
                    text, device.name, device.regions, placement.code, placement.constants
                )
                machine = f"QEMU's {QEMU_MACHINES[device.core]}"
                files[f"{place}/{ROOMY_SCRIPT}"] = _script(text, machine, _QEMU_REGIONS, "flash", "flash")
            else:
                files[f"{place}/{name}"] = filled(text, **values)
    return files


def _script(text: str, device: str, regions: Regions, code: str, constants: str) -> str:
    """A linker script for memories; code and constants lie in flash, or are copied out of it at reset."""
    memories = (("FLASH", "rx", regions.flash), ("CODE", "rwx", regions.code), ("DATA", "rwx", regions.data))
    into_code, into_data = ("> FLASH" if place == "flash" else "" for place in (code, constants))
    return filled(
        text,
        device=device,
        memories=memories,
        code_place=code.replace("_", " ") + ("" if code == "flash" else " memory"),
        constants_place=constants.replace("_", " ") + ("" if constants == "flash" else " memory"),
        code_into=into_code or "> CODE AT > FLASH",
        constants_into=into_data or "> DATA AT > FLASH",
    )


def learner_program() -> dict[str, str]:
    """The main program, by file name, of a firmware that personalizes a network; its context is `learner`."""
    return {"main.c": (_FOLDER / "personal" / "main.c").read_text(encoding="utf-8")}


@dataclass(frozen=True)
class Example:
    """A linked example: its ELF, and what the ELF says of it.

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
    script: str | None = None,
) -> Example:
    """Link the bare-metal example of a bundle's C sources (with `extra` ones) as its Makefile does.

    `files` holds the example's own, by their path in the bundle; `toolchain` is one for their device's core; `script`
    is the linker script among them, by default the device's, or QEMU's for the self-test. Raises ToolchainError with
    the compiler's or linker's first complaint.
    """
    own = {Path(name).name: text for name, text in files.items() if name.startswith(_BARE_METAL)}
    wanted = {**sources, **own, **(extra or {})}
    if not self_test:
        wanted.pop("ppgnet_selftest.c", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sources(folder, wanted)
        units = sorted(file for file in wanted if file.endswith(".c"))
        flags = [*toolchain.flags, *(["-DSELF_TEST"] if self_test else [])]
        objects = [f"{Path(unit).stem}.o" for unit in units]
        for unit, target in zip(units, objects, strict=True):
            run_compiler([*toolchain.command, *flags, "-c", f"./{unit}", "-o", target], folder)
        script = script or (ROOMY_SCRIPT if self_test else _LINKER_SCRIPT)
        linking = ["-nostdlib", "-Wl,--gc-sections", "-T", script]
        command = [*toolchain.command, *toolchain.target_flags(), *linking, *objects, "-o", "firmware.elf"]
        run_compiler(command, folder)
        return _facts((folder / "firmware.elf").read_bytes())


def _facts(content: bytes) -> Example:
    flash = ram = 0
    elf: Any = ELFFile(io.BytesIO(content))
    writable = set()
    for index, section in enumerate(elf.iter_sections()):
        if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
            continue
        writes = bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE)
        ram += section["sh_size"] * writes
        flash += section["sh_size"] * (section["sh_type"] == "SHT_PROGBITS" and section.name not in (".stack", ".bss"))
        if writes:
            writable.add(index)
    if not ram:
        raise ToolchainError("the example firmware holds no context; its linker script was altered")
    variables = {
        symbol.name: symbol["st_size"]
        for symbol in elf.get_section_by_name(".symtab").iter_symbols()
        if symbol["st_info"]["type"] == "STT_OBJECT" and symbol["st_shndx"] in writable and symbol["st_size"]
    }
    return Example(content, flash, ram, variables)
