"""Compilers: C sources in, facts about the linked image or the object file out.

The Arm compiler of the system comes first, the clang of PyPI's ziglang package second; the host's compiler
builds the same sources for comparison on this machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from hwmodels.basics.errors import InputError

_LINKER_SCRIPT = Path(__file__).parent / "kernels" / "ppgnet.ld"
_COMMON_FLAGS = (
    "-std=c11",
    "-O2",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fomit-frame-pointer",
    "-Wall",
    "-Wextra",
    "-Werror",
)
_GCC_FLAGS = (
    "-mcpu=cortex-m7",
    "-mthumb",
    "-mfloat-abi=hard",
    "-mfpu=fpv5-sp-d16",
    "-fno-tree-loop-distribute-patterns",
    *_COMMON_FLAGS,
)
_ZIG_FLAGS = (
    "-target",
    "thumb-freestanding-eabihf",
    "-mcpu=cortex_m7+fp_armv8d16sp",
    "-fno-sanitize=undefined",
    "-fno-builtin",
    "-fno-unroll-loops",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
    *_COMMON_FLAGS,
)
_HOST_FLAGS = ("-std=c11", "-O2", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
_CORE_FLAGS = {
    "cortex-m4": {
        "-mcpu=cortex-m7": "-mcpu=cortex-m4",
        "-mfpu=fpv5-sp-d16": "-mfpu=fpv4-sp-d16",
        "-mcpu=cortex_m7+fp_armv8d16sp": "-mcpu=cortex_m4+vfp4d16sp",
    }
}
QEMU_MACHINES = {"cortex-m7": "mps2-an500", "cortex-m4": "mps2-an386"}
"""The boards that QEMU emulates with each core; both begin with code at 0 and have data at 0x20000000."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_INSTALL_HINT = "install it with `apt-get install gcc-arm-none-eabi` or `pip install ziglang`"


class ToolchainError(InputError):
    """No compiler, or a compiler that refused the sources."""


@dataclass(frozen=True)
class Symbol:
    """A named address (without the Thumb bit) and its size in bytes."""

    address: int
    size: int
    is_function: bool


@dataclass(frozen=True)
class ElfImage:
    """A linked image: what an emulator loads and what a cost model may ask of it.

    `segments` are pairs (address, bytes); `flash_bytes` counts code, constants and tables of the model.
    """

    segments: tuple[tuple[int, bytes], ...]
    symbols: Mapping[str, Symbol] = field(repr=False)
    flash_bytes: int

    def address(self, name: str) -> int:
        """Address of a symbol without the Thumb bit. Raises ToolchainError when the image lacks it."""
        if name not in self.symbols:
            raise ToolchainError(f"the linked image has no symbol {name!r}; name it in keep= when linking")
        return self.symbols[name].address

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of the loaded image from `address`. Raises ToolchainError outside of it."""
        for start, content in self.segments:
            if start <= address and address + size <= start + len(content):
                return content[address - start : address - start + size]
        raise ToolchainError(f"address {address:#x}..{address + size:#x} lies outside the linked image")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over addresses and bytes of all segments."""
        digest = hashlib.sha256()
        for start, content in self.segments:
            digest.update(start.to_bytes(8, "little") + content)
        return digest.hexdigest()


@dataclass(frozen=True)
class Toolchain:
    """An Arm compiler: its command, version line and flags, for the Cortex-M7 unless `for_core` says else."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]

    def section_bytes(self, sources: Mapping[str, str]) -> dict[str, int]:
        """Sizes of the code and constant sections in the objects of all .c files, by section name.

        Sizes are rounded up to the word boundary at which the linker script puts every section.
        """
        sizes: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as folder:
            for compiled in self.compile(Path(folder), sources, _units(sources)):
                for section in ELFFile(io.BytesIO(compiled.read_bytes())).iter_sections():
                    if section["sh_size"] and section.name.startswith((".text", ".rodata")):
                        size = -(-section["sh_size"] // 4) * 4
                        sizes[section.name] = sizes.get(section.name, 0) + size
        return sizes

    def for_core(self, core: str) -> Toolchain:
        """The same compiler for another core: what its firmware is compiled with."""
        changes = _CORE_FLAGS.get(core, {})
        return replace(self, flags=tuple(changes.get(flag, flag) for flag in self.flags))

    def objects(self, sources: Mapping[str, str]) -> dict[str, bytes]:
        """The object of every .c file of `sources`, by file name, for `link` to take many times."""
        with tempfile.TemporaryDirectory() as folder:
            units = _units(sources)
            compiled = self.compile(Path(folder), sources, units)
            return {unit: path.read_bytes() for unit, path in zip(units, compiled, strict=True)}

    def link(
        self,
        sources: Mapping[str, str],
        keep: Sequence[str] = ("ppgnet_run", "ppgnet_prepare"),
        out: Path | None = None,
        compiled: Mapping[str, bytes] | None = None,
        layout: Path = _LINKER_SCRIPT,
    ) -> ElfImage:
        """Compile every .c file of `sources` and link what the functions in `keep` need.

        `out` names a file to keep the ELF in; `compiled` gives what `objects` made of some of the files;
        `layout` is the linker script. Raises ToolchainError with the compiler's first complaint.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            objects = self.compile(folder, sources, _units(sources), compiled)
            elf = folder / "image.elf"
            script = folder / "image.ld"
            kept = f"ENTRY({keep[0]})\nEXTERN({' '.join(keep)})\n"
            script.write_text(kept + layout.read_text(encoding="utf-8"), encoding="utf-8")
            linking = [
                "-nostdlib",
                "-Wl,--gc-sections",
                "-T",
                script.name,
                *map(str, objects),
                "-o",
                str(elf),
            ]
            run_compiler([*self.command, *self.target_flags(), *linking], folder)
            content = elf.read_bytes()
        if out is not None:
            out.write_bytes(content)
        return read_elf(content)

    def target_flags(self) -> list[str]:
        """The flags that name the core, as linking needs them too."""
        return [
            flag
            for index, flag in enumerate(self.flags)
            if flag.startswith(("-m", "-target")) or self.flags[index - 1] == "-target"
        ]

    def compile(
        self,
        folder: Path,
        sources: Mapping[str, str],
        units: Sequence[str],
        compiled: Mapping[str, bytes] | None = None,
    ) -> list[Path]:
        """Objects of `units` in `folder`; those that `compiled` holds are taken as they are."""
        write_sources(folder, sources)
        objects = []
        for unit in units:
            target = folder / f"{Path(unit).stem}.o"
            if compiled and unit in compiled:
                target.write_bytes(compiled[unit])
            else:
                run_compiler([*self.command, *self.flags, "-c", f"./{unit}", "-o", str(target)], folder)
            objects.append(target)
        return objects


def gnu_core_flags(core: str) -> list[str]:
    """The flags by which GNU's compiler builds for a core, for makefiles of whoever has one."""
    return Toolchain((), "", _GCC_FLAGS).for_core(core).target_flags()


def _units(sources: Mapping[str, str]) -> list[str]:
    return sorted(name for name in sources if name.endswith(".c"))


def write_sources(folder: Path, sources: Mapping[str, str]) -> None:
    """Write sources where a compiler will find them. Raises ToolchainError for a name that is no plain file name."""
    for name, text in sources.items():
        if not _PLAIN_NAME.fullmatch(name):
            raise ToolchainError(f"source file {name!r}: not a plain name of letters, digits, '_', '.' and '-'")
        (folder / name).write_text(text, encoding="utf-8")


def run_compiler(command: Sequence[str], folder: Path) -> None:
    """Run a compiler in `folder`; raises ToolchainError with its first error line."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        complaints = [line for line in lines if "overflowed" in line or "error" in line]
        first = next((line for line in complaints if not line.startswith("collect2")), lines[0])
        raise ToolchainError(f"{Path(command[0]).name} failed: {first}")


def read_elf(content: bytes) -> ElfImage:
    """The facts of an ELF file's bytes. Raises ToolchainError when it is none."""
    try:
        elf = ELFFile(io.BytesIO(content))
        segments = tuple(
            (segment["p_paddr"], segment.data())
            for segment in elf.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        )
        table: Any = elf.get_section_by_name(".symtab")
        symbols = {
            symbol.name: Symbol(symbol["st_value"] & ~1, symbol["st_size"], symbol["st_info"]["type"] == "STT_FUNC")
            for symbol in table.iter_symbols()
            if symbol.name and symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
        }
        model: Any = elf.get_section_by_name(".ppgnet")
        return ElfImage(segments, symbols, model["sh_size"])
    except Exception as error:
        raise ToolchainError(f"not a linked image of a model: {error}; link it again") from error


def find_toolchain(cc: str | None = None) -> Toolchain:
    """The Arm compiler to use: `cc` (a command, or "zig"), else arm-none-eabi-gcc, else ziglang's clang.

    What follows the command in `cc` are flags that are added to ours, as in "arm-none-eabi-gcc -O3".
    Raises ToolchainError with the command that installs one when there is none, or none for Arm.
    """
    if cc is None:
        cc = "arm-none-eabi-gcc" if shutil.which("arm-none-eabi-gcc") else "zig"
    try:
        name, *more = shlex.split(cc) or [""]
    except ValueError as error:
        raise ToolchainError(f"compiler {cc!r}: {error}; give a command and its flags") from None
    if name == "zig":
        if importlib.util.find_spec("ziglang") is None:
            raise ToolchainError(f"no compiler for the Cortex-M7 was found: {_INSTALL_HINT}")
        command: tuple[str, ...] = (sys.executable, "-m", "ziglang", "cc")
        return Toolchain(command, _version((*command[:3], "version"), "ziglang "), (*_ZIG_FLAGS, *more))
    found = shutil.which(name)
    if found is None:
        raise ToolchainError(f"compiler {name!r} was not found: {_INSTALL_HINT}")
    machine = _version((found, "-dumpmachine"), "")
    if not machine.startswith("arm"):
        raise ToolchainError(f"compiler {name!r} is for {machine or 'nothing'}, not for Arm: {_INSTALL_HINT}")
    return Toolchain((found,), _version((found, "--version"), ""), (*_GCC_FLAGS, *more))


def _version(command: Sequence[str], prefix: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{command[0]} does not run; {_INSTALL_HINT}")
    return prefix + next(iter(done.stdout.splitlines()), "").strip()


def compile_host(
    sources: Mapping[str, str],
    out: Path,
    cc: str = "cc",
    shared: bool = True,
    flags: Sequence[str] = ("-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"),
) -> Path:
    """Compile sources for this machine into `out`: a shared library, or a program when not `shared`.

    Raises ToolchainError when `cc` is missing or refuses the sources.
    """
    if shutil.which(cc) is None:
        raise ToolchainError(f"host compiler {cc!r} was not found: install it with `apt-get install {cc}`")
    with tempfile.TemporaryDirectory() as folder:
        write_sources(Path(folder), sources)
        kind = ["-shared", "-fPIC"] if shared else []
        units = [f"./{unit}" for unit in _units(sources)]
        run_compiler([cc, "-std=c11", *flags, *kind, *units, "-o", str(out.absolute()), "-lm"], Path(folder))
    return out


def host_toolchain(cc: str = "cc") -> Toolchain:
    """The compiler of this machine, for shared libraries. Raises ToolchainError when there is none."""
    found = shutil.which(cc)
    if found is None:
        raise ToolchainError(f"host compiler {cc!r} was not found: install it with `apt-get install {cc}`")
    return Toolchain((found,), _version((found, "--version"), ""), _HOST_FLAGS)


def link_shared(toolchain: Toolchain, sources: Mapping[str, str], compiled: Mapping[str, bytes], out: Path) -> None:
    """A shared library of sources, some of them compiled already; see `Toolchain.link`."""
    with tempfile.TemporaryDirectory() as name:
        objects = toolchain.compile(Path(name), sources, _units(sources), compiled)
        run_compiler([*toolchain.command, "-shared", *map(str, objects), "-o", str(out.absolute())], Path(name))


def cached_host_library(name: str, source: str) -> Path:
    """A shared library of one C file, built once per source into the user's cache.

    Raises ToolchainError when there is no host compiler, OSError when the cache cannot be written.
    """
    version = hashlib.sha256(source.encode()).hexdigest()[:16]
    library = cache_folder() / f"{name}_{version}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        fresh = library.with_name(f"{library.name}.{os.getpid()}")
        compile_host({f"{name}.c": source}, fresh)
        fresh.replace(library)
    return library


def cache_folder() -> Path:
    """Where this user's caches lie; everything in it can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ppg-nas"
