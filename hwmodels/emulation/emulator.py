"""An emulated Cortex-M7: runs functions of a linked image and counts every executed block edge exactly.

Unicorn calls a hook at each translation block. A block may end before a branch does (page ends, size limits,
IT instructions), so a block is known by address and size, and a size that changes is refused: instruction
counts are sums over blocks that were entered, each executed to its end.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import unicorn
from unicorn import arm_const

from hwmodels.c.text import C_FOLDER
from hwmodels.c.toolchain import ElfImage, ToolchainError, cached_host_library
from hwmodels.device.target import Cache, Flash

RAM_BASE = 0x20000000
RAM_BYTES = 4 << 20
STACK_BYTES = 16 << 10
STACK_TOP = RAM_BASE + RAM_BYTES
ENTRY = 0xFFFFFFFF
_RETURN_ADDRESS = 0x00001000
_COPROCESSOR_ACCESS = 0xE000ED88
_PAINT = b"\xa5\x5a\x96\x69"
_BLOCK_LIMIT = 2_000_000_000
_TABLE_SIZE = 1 << 13
_HOOK_SOURCE = C_FOLDER / "emulator" / "native_hook.c"
_EDGE = np.dtype([("source", "<u4"), ("target", "<u4"), ("size", "<u4"), ("used", "<u4"), ("count", "<u8")], align=True)


class EmulationError(RuntimeError):
    """A fault, an endless run or an inexact count on the emulated core; names function and address."""


@dataclass(frozen=True)
class Execution:
    """What one call did.

    `edges` counts pairs (source block, target block) of addresses; the first block's source is ENTRY.
    `blocks` gives each executed block's size in bytes. `instructions` counts issued instructions, those an
    IT block skips included. `stack_bytes` is the painted stack's high-water mark. Misses are lines that the
    caches of the emulator's flash, empty when the call began, had to fetch.
    """

    edges: dict[tuple[int, int], int]
    blocks: dict[int, int]
    instructions: int
    return_value: int
    stack_bytes: int
    instruction_misses: int = 0
    constant_misses: int = 0


class _Profile(ctypes.Structure):
    _fields_ = [
        ("table", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("instructions", ctypes.c_void_p),
        ("blocks", ctypes.c_uint64),
        ("block_limit", ctypes.c_uint64),
        ("mask", ctypes.c_uint32),
        ("filled", ctypes.c_uint32),
        ("previous", ctypes.c_uint32),
        ("failed", ctypes.c_uint32),
    ]


class _CacheState(ctypes.Structure):
    _fields_ = [
        ("tags", ctypes.c_void_p),
        ("used", ctypes.c_void_p),
        ("clock", ctypes.c_uint64),
        ("misses", ctypes.c_uint64),
        ("sets", ctypes.c_uint32),
        ("ways", ctypes.c_uint32),
        ("line_bytes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


_FAILURES = {1: "more block edges than the table holds", 2: "it does not end", 3: "a block changed its size"}


class _NativeCache:
    """A cache that the compiled hooks look lines up in."""

    def __init__(self, cache: Cache) -> None:
        self._tags = np.zeros(cache.sets * cache.ways, np.uint32)
        self._used = np.zeros(cache.sets * cache.ways, np.uint64)
        self.state = _CacheState(sets=cache.sets, ways=cache.ways, line_bytes=cache.line_bytes)
        self.state.tags, self.state.used = self._tags.ctypes.data, self._used.ctypes.data

    def reset(self) -> None:
        self._tags[:] = self._used[:] = 0
        self.state.clock = self.state.misses = 0

    @property
    def misses(self) -> int:
        return int(self.state.misses)


class _PythonCache:
    """The same without a host compiler: per set, lines in the order of their last use."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.reset()

    def reset(self) -> None:
        self._sets: list[list[int]] = [[] for _ in range(self._cache.sets)]
        self.misses = 0

    def touch(self, address: int, size: int) -> None:
        for line in range(address // self._cache.line_bytes, (address + size - 1) // self._cache.line_bytes + 1):
            held = self._sets[line % len(self._sets)]
            if line in held:
                held.remove(line)
            else:
                self.misses += 1
                del held[: len(held) - self._cache.ways + 1]
            held.append(line)


_Ranges = Sequence[tuple[int, int]]


class _NativeCounter:
    """Edge counts and missed lines by the compiled hooks."""

    def __init__(self, engine: Any, library: ctypes.CDLL, flash: Flash | None, constants: _Ranges) -> None:
        from unicorn.unicorn_py3.unicorn import uclib

        self._library = library
        self._table = np.zeros(_TABLE_SIZE, _EDGE)
        self._profile = _Profile(block_limit=_BLOCK_LIMIT)
        self._profile.table = self._table.ctypes.data
        self._profile.mask = _TABLE_SIZE - 1
        unicorn_library = ctypes.CDLL(uclib._name)
        self._profile.stop = ctypes.cast(unicorn_library.uc_emu_stop, ctypes.c_void_p).value
        self._add = unicorn_library.uc_hook_add
        pointer, address = ctypes.c_void_p, ctypes.c_uint64
        self._add.argtypes = [pointer, pointer, ctypes.c_int, pointer, pointer, address, address]
        kept = (flash.instruction_cache, flash.constant_cache) if flash else (None, None)
        self._caches = [_NativeCache(cache) if cache else None for cache in kept]
        if self._caches[0]:
            self._profile.instructions = ctypes.addressof(self._caches[0].state)
        self._hook(engine, unicorn.UC_HOOK_BLOCK, library.ppgnet_count_block, self._profile, (1, 0))
        if self._caches[1]:
            for span in constants:
                state = self._caches[1].state
                self._hook(engine, unicorn.UC_HOOK_MEM_READ, library.ppgnet_count_read, state, span)

    def _hook(self, engine: Any, kind: int, callback: Any, user: Any, span: tuple[int, int]) -> None:
        handle = ctypes.c_size_t(0)
        function = ctypes.cast(callback, ctypes.c_void_p)
        record = ctypes.cast(ctypes.byref(user), ctypes.c_void_p)
        status = self._add(engine._uch, ctypes.byref(handle), kind, function, record, *span)
        if status != 0:
            raise EmulationError(f"the emulator refused a hook (status {status})")

    def reset(self) -> None:
        self._table[:] = 0
        self._profile.blocks = self._profile.filled = self._profile.failed = 0
        self._profile.previous = ENTRY
        for cache in self._caches:
            if cache:
                cache.reset()

    @property
    def failure(self) -> str | None:
        return _FAILURES.get(self._profile.failed)

    @property
    def misses(self) -> list[int]:
        return [cache.misses if cache else 0 for cache in self._caches]

    def counts(self) -> tuple[dict[tuple[int, int], int], dict[int, int]]:
        rows = self._table[self._table["used"] != 0]
        sources, targets, counts = (rows[name].tolist() for name in ("source", "target", "count"))
        edges = dict(zip(zip(sources, targets, strict=True), counts, strict=True))
        return edges, _sizes(zip(targets, rows["size"].tolist(), strict=True))


class _PythonCounter:
    """The same counts without a host compiler, about five times slower."""

    def __init__(self, engine: Any, flash: Flash | None, constants: _Ranges) -> None:
        kept = (flash.instruction_cache, flash.constant_cache) if flash else (None, None)
        self._caches = [_PythonCache(cache) if cache else None for cache in kept]
        self.reset()
        engine.hook_add(unicorn.UC_HOOK_BLOCK, self._count)
        if self._caches[1]:
            for begin, end in constants:
                engine.hook_add(unicorn.UC_HOOK_MEM_READ, self._read, None, begin, end)

    def reset(self) -> None:
        self._edges: dict[tuple[int, int, int], int] = {}
        self._previous = ENTRY
        self._blocks = 0
        self.failure: str | None = None
        for cache in self._caches:
            if cache:
                cache.reset()

    def _read(self, engine: Any, kind: int, address: int, size: int, value: int, user: object) -> None:
        if self._caches[1]:
            self._caches[1].touch(address, size)

    def _count(self, engine: Any, address: int, size: int, user: object) -> None:
        if self._caches[0]:
            self._caches[0].touch(address, size)
        key = (self._previous, address, size)
        self._edges[key] = self._edges.get(key, 0) + 1
        self._previous = address
        self._blocks += 1
        if self._blocks > _BLOCK_LIMIT:
            self.failure = _FAILURES[2]
            engine.emu_stop()

    @property
    def misses(self) -> list[int]:
        return [cache.misses if cache else 0 for cache in self._caches]

    def counts(self) -> tuple[dict[tuple[int, int], int], dict[int, int]]:
        sizes = _sizes((target, size) for _, target, size in self._edges)
        return {(source, target): count for (source, target, _), count in self._edges.items()}, sizes


def _sizes(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for address, size in pairs:
        if sizes.setdefault(address, size) != size:
            raise EmulationError(f"block {address:#x}: {_FAILURES[3]}")
    return sizes


def native_hook() -> ctypes.CDLL | None:
    """The compiled block hook, built once per source into the user's cache; None without a host compiler."""
    try:
        source = _HOOK_SOURCE.read_text(encoding="utf-8")
        return ctypes.CDLL(str(cached_host_library("block_hook", source)))
    except (OSError, ToolchainError):
        return None


class Emulator:
    """One loaded image; `call` runs a function of it any number of times.

    Memory: the image where it was linked, RAM_BYTES from RAM_BASE for data, the stack at the end of that.
    `native=False` counts by Python alone. With `flash`, lines that miss its caches are counted: the code's,
    and those of constants, which are what is read from the image and from `constants`, spans (first address,
    last address) of the RAM.
    """

    def __init__(
        self,
        image: ElfImage,
        native: bool = True,
        flash: Flash | None = None,
        constants: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.image = image
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        engine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M7)
        spans = [(start >> 12, (start + len(content) - 1) >> 12) for start, content in image.segments]
        for page in sorted({page for first, last in spans for page in range(first, last + 1)}):
            engine.mem_map(page << 12, 1 << 12)
        for start, content in image.segments:
            engine.mem_write(start, content)
        engine.mem_map(RAM_BASE, RAM_BYTES)
        engine.mem_map(_RETURN_ADDRESS, 0x1000)
        engine.mem_write(_RETURN_ADDRESS, b"\x00\xbf" * 8)
        _enable_floating_point(engine)
        self._engine = engine
        library = native_hook() if native else None
        spans = [*constants, *((start, start + len(content) - 1) for start, content in image.segments)]
        self._counter: _NativeCounter | _PythonCounter = (
            _NativeCounter(engine, library, flash, spans) if library else _PythonCounter(engine, flash, spans)
        )
        self._instruction_counts: dict[tuple[int, int], int] = {}

    @property
    def is_native(self) -> bool:
        """Whether the compiled hook counts."""
        return isinstance(self._counter, _NativeCounter)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the emulated memory."""
        return bytes(self._engine.mem_read(address, size))

    def write(self, address: int, content: bytes) -> None:
        """Set bytes of the emulated memory."""
        self._engine.mem_write(address, content)

    def call(self, function: str, arguments: Sequence[int] = (), writes: Iterable[tuple[int, bytes]] = ()) -> Execution:
        """Write memory, call `function` with integer arguments, and count what it executes.

        Raises EmulationError on a fault or an endless run, ToolchainError when the image lacks the function.
        """
        engine = self._engine
        start = self.image.address(function)
        for address, content in writes:
            engine.mem_write(address, content)
        stack = STACK_TOP - STACK_BYTES
        spilled = struct.pack(f"<{max(0, len(arguments) - 4)}I", *(a & 0xFFFFFFFF for a in arguments[4:]))
        pointer = (STACK_TOP - len(spilled)) & ~7
        engine.mem_write(stack, _PAINT * ((pointer - stack) // 4))
        engine.mem_write(pointer, spilled)
        for number, value in enumerate(arguments[:4]):
            engine.reg_write(arm_const.UC_ARM_REG_R0 + number, value & 0xFFFFFFFF)
        engine.reg_write(arm_const.UC_ARM_REG_SP, pointer)
        engine.reg_write(arm_const.UC_ARM_REG_LR, _RETURN_ADDRESS | 1)
        self._counter.reset()
        try:
            engine.emu_start(start | 1, _RETURN_ADDRESS)
        except unicorn.UcError as error:
            where = engine.reg_read(arm_const.UC_ARM_REG_PC)
            raise EmulationError(f"{function}: {error} at {where:#x}") from error
        failure = self._counter.failure
        if failure or engine.reg_read(arm_const.UC_ARM_REG_PC) != _RETURN_ADDRESS:
            raise EmulationError(f"{function}: {failure or 'it stopped before it returned'}")
        edges, blocks = self._counter.counts()
        edges = {edge: count for edge, count in edges.items() if edge[1] != _RETURN_ADDRESS}
        blocks.pop(_RETURN_ADDRESS, None)
        lengths = {address: self._instructions(address, size) for address, size in blocks.items()}
        instructions = sum(count * lengths[target] for (_, target), count in edges.items())
        returned, used = engine.reg_read(arm_const.UC_ARM_REG_R0), self._stack_used(pointer)
        return Execution(edges, blocks, instructions, returned, used, *self._counter.misses)

    def _instructions(self, address: int, size: int) -> int:
        known = self._instruction_counts.get((address, size))
        if known is None:
            known = count_thumb_instructions(self.image.read(address, size))
            self._instruction_counts[address, size] = known
        return known

    def _stack_used(self, pointer: int) -> int:
        stack = STACK_TOP - STACK_BYTES
        words = np.frombuffer(self._engine.mem_read(stack, pointer - stack), "<u4")
        touched = np.flatnonzero(words != np.frombuffer(_PAINT, "<u4")[0])
        if touched.size and touched[0] == 0:
            raise EmulationError(f"the stack grew past {STACK_BYTES} bytes")
        return 0 if touched.size == 0 else pointer - stack - 4 * int(touched[0])


def count_thumb_instructions(code: bytes) -> int:
    """Number of Thumb-2 instructions: a halfword with top bits 11101, 11110 or 11111 opens a pair."""
    count = position = 0
    while position < len(code):
        wide = code[position + 1] >> 3 in (0b11101, 0b11110, 0b11111)
        position += 4 if wide else 2
        count += 1
    return count


def _enable_floating_point(engine: Any) -> None:
    """Grant access to the coprocessors and switch the floating-point unit on."""
    try:
        engine.mem_write(_COPROCESSOR_ACCESS, struct.pack("<I", 0xF << 20))
    except unicorn.UcError:
        engine.reg_write(arm_const.UC_ARM_REG_C1_C0_2, 0xF << 20)
    engine.reg_write(arm_const.UC_ARM_REG_FPEXC, 0x40000000)
