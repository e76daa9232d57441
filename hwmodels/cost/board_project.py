"""A benchmark project for a real board: kernel calls of a table, C sources, linker script, Makefile.

`ppg-nas lut export-firmware` writes it; what the board prints goes back through `measured_table`. A call's
constants are those that profiling uses, its pointers filled in on the board.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.c.text import C_FOLDER, array
from hwmodels.c.toolchain import Toolchain
from hwmodels.cost.lut import LookUpTable, entry_key
from hwmodels.device.device import Device
from hwmodels.emulation.kernel_call import CONSTANTS, KernelCall, kernel_call
from hwmodels.kernels.variants import declarations, kernel_hash, kernel_sources, scratch_bytes
from hwmodels.network.graph import Op

TITLE = "ppg-nas kernel benchmark 1"
COLUMNS = ("key", "cycles", "first_cycles")
_FOLDER = C_FOLDER / "board"
_STACK_BYTES = 4096
_SPARE_FLASH_BYTES = 64 << 10
_ARENA_START = CONSTANTS[1] + 1


class FirmwareError(InputError):
    """A benchmark that does not fit the device."""


@dataclass(frozen=True)
class _Call:
    key: str
    function: str
    words: np.ndarray
    pieces: tuple[tuple[int, int, bool], ...]
    slots: tuple[tuple[int, int], ...]
    offsets: tuple[int, int, int, int]
    arena_bytes: int


def choose_calls(ops: Sequence[Op], table: LookUpTable, per_kernel: int) -> list[Op]:
    """At most `per_kernel` calls of each kernel variant, spread evenly from its quickest to its slowest."""
    families: dict[str, dict[str, Op]] = {}
    for op in ops:
        if op.kind != "input":
            key = entry_key(op)
            families.setdefault(key.split("|")[0], {}).setdefault(key, op)
    chosen: list[Op] = []
    for name in sorted(families):
        calls = sorted(families[name].items(), key=lambda item: (table.entries[item[0]].cycles, item[0]))
        places = np.unique(np.linspace(0, len(calls) - 1, min(per_kernel, len(calls))).round().astype(int))
        chosen += [calls[place][1] for place in places]
    return chosen


def benchmark_project(ops: Sequence[Op], device: Device, toolchain: Toolchain) -> dict[str, str]:
    """The project's files, name to text. Raises FirmwareError where its memories are too small."""
    calls = [_call(op) for op in ops]
    in_ram = device.placement.constants == "tightly_coupled"
    constants = sum(call.words.nbytes for call in calls)
    copied = max(call.words.nbytes for call in calls)
    arena = max(call.arena_bytes for call in calls)
    regions = device.regions
    if constants + _SPARE_FLASH_BYTES > regions.flash.bytes:
        raise FirmwareError(
            f"device {device.name}: {len(calls)} calls hold {constants >> 10} KB of constants, flash has "
            f"{regions.flash.bytes >> 10} KB; give a smaller --per-kernel"
        )
    if arena + copied + _STACK_BYTES > regions.data.bytes:
        raise FirmwareError(
            f"device {device.name}, regions.data: a call needs {arena + copied >> 10} KB beside the stack, "
            f"there are {regions.data.bytes >> 10}; choose a smaller space"
        )
    sources = kernel_sources()
    kernels = sorted(name for name in sources if name.endswith(".c"))
    code_in_flash = device.placement.code == "flash"
    target, flags = _flags(toolchain, device.core)
    values = {
        "DEVICE": device.name,
        "COUNT": len(calls),
        "CLOCK": device.clock_hz,
        "CODE": "flash" if code_in_flash else "tightly coupled memory",
        "CONSTANTS": "tightly coupled memory" if in_ram else "flash",
        "TARGET": " ".join(target),
        "FLAGS": " ".join(flags),
        "IN_RAM": int(in_ram),
        "CACHES": int(device.core == "cortex-m7" and device.flash_port is not None),
        "KERNELS": " ".join(kernels),
        "KERNELS_INTO": "> FLASH" if code_in_flash else "> CODE AT> FLASH",
        "FLASH_ORIGIN": hex(regions.flash.origin),
        "FLASH_BYTES": regions.flash.bytes,
        "CODE_ORIGIN": hex(regions.code.origin),
        "CODE_BYTES": regions.code.bytes,
        "DATA_ORIGIN": hex(regions.data.origin),
        "DATA_BYTES": regions.data.bytes,
    }
    files = {path.name: _filled(path.read_text(encoding="utf-8"), values) for path in _FOLDER.iterdir()}
    return files | sources | {"calls.c": _calls_source(calls, declarations(ops), device, copied, arena)}


def _filled(text: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _flags(toolchain: Toolchain, core: str) -> tuple[list[str], list[str]]:
    """Flags that name the core, and all others, for GNU's compiler."""
    if "-target" in toolchain.flags:
        raise FirmwareError("the project is built by arm-none-eabi-gcc: install it, or give it as --cc")
    made_for = toolchain.for_core(core)
    target = made_for.target_flags()
    others = [flag for flag in made_for.flags if flag not in target]
    return target, others


def _call(op: Op) -> _Call:
    call: KernelCall = kernel_call(op, np.random.default_rng(1))
    constants = sorted(write for write in call.writes if write[0] < _ARENA_START)
    starts = {address: index for index, (address, _) in enumerate(constants)}
    words: list[np.ndarray] = []
    pieces: list[tuple[int, int, bool]] = []
    slots: list[tuple[int, int]] = []
    first = 0
    for _, content in constants:
        piece = np.frombuffer(content + bytes(-len(content) % 4), "<u4")
        values = piece.tolist()
        found = [(first + place, starts[value]) for place, value in enumerate(values) if value in starts]
        slots += found
        pieces.append((first, len(piece), bool(found)))
        words.append(piece)
        first += len(piece)
    offsets = [argument - _ARENA_START for argument in call.arguments[1:]]
    arena = offsets[3] + scratch_bytes(op) + op.state_bytes + 16
    return _Call(
        entry_key(op),
        call.function,
        np.concatenate(words),
        tuple(pieces),
        tuple(slots),
        (offsets[0], offsets[1], offsets[2], offsets[3]),
        -(-arena // 4) * 4,
    )


def _calls_source(calls: Sequence[_Call], declared: str, device: Device, copied: int, arena: int) -> str:
    header = [f"# {TITLE}", f"# device: {device.name}", f"# kernels: {kernel_hash()}", ",".join(COLUMNS)]
    lines = ['#include "bench.h"', declared]
    rows = []
    for index, call in enumerate(calls):
        pieces = ", ".join(f"{{{first}, {count}, {int(held)}}}" for first, count, held in call.pieces)
        slots = ", ".join(f"{{{word}, {piece}}}" for word, piece in call.slots) or "{0, 0}"
        lines.append(array("uint32_t", f"words_{index}", call.words))
        lines.append(f"static const bench_piece pieces_{index}[] = {{{pieces}}};")
        lines.append(f"static const bench_slot slots_{index}[] = {{{slots}}};")
        places = ", ".join(map(str, call.offsets))
        counts = f"{len(call.pieces)}, {len(call.slots)}"
        names = f"words_{index}, pieces_{index}, slots_{index}"
        rows.append(f'    {{"{call.key}", {call.function}, {names}, {counts}, {places}, {call.arena_bytes}}},')
    text = "".join(f"{line}\\n" for line in header)
    calls_table = "\n".join(rows)
    lines += [
        f"const bench_call bench_calls[] = {{\n{calls_table}\n}};",
        f"const uint32_t bench_call_count = {len(calls)};",
        f'const char bench_header[] = "\\n{text}";',
        f"uint32_t bench_arena[{arena // 4}], bench_constants[{copied // 4}];",
    ]
    return "\n".join(lines) + "\n"
