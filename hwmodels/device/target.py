"""What a look-up table is made for: a core's cycle rules, and the flash that code and constants wait for.

Devices give one (`device.Device.target`); profiling and verification take it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TIGHTLY_COUPLED = "tightly coupled"


@dataclass(frozen=True)
class Cache:
    """A set-associative cache of whole flash lines; its replacement is taken as least recently used."""

    size_bytes: int
    ways: int
    line_bytes: int

    @property
    def sets(self) -> int:
        """Sets of `ways` lines each."""
        return self.size_bytes // (self.ways * self.line_bytes)


@dataclass(frozen=True)
class Flash:
    """What lies behind wait states, and what softens them.

    A line that is not in its cache costs `fill_cycles` of the core, wherever in it the access falls. A cache
    is None where that kind of access goes to tightly coupled memory instead.
    """

    fill_cycles: int
    instruction_cache: Cache | None
    constant_cache: Cache | None

    @property
    def text(self) -> str:
        """In words, as a table's provenance has it."""
        named = (("code", self.instruction_cache), ("constants", self.constant_cache))
        caches = [
            f"{name} in flash, cache {cache.size_bytes} bytes, {cache.ways} ways, lines of {cache.line_bytes}"
            for name, cache in named
            if cache
        ]
        return f"{'; '.join(caches)}; {self.fill_cycles} cycles a line"


@dataclass(frozen=True)
class Target:
    """A core and its memory; without `flash`, code and data are tightly coupled and never wait."""

    core: str = "cortex-m7"
    flash: Flash | None = None

    @property
    def memory(self) -> str:
        """The memory in words."""
        return self.flash.text if self.flash else TIGHTLY_COUPLED

    @property
    def name(self) -> str:
        """A short name for files."""
        if self.flash is None:
            return self.core
        return f"{self.core}-flash-{hashlib.sha256(self.memory.encode()).hexdigest()[:8]}"

    def stall_cycles(self, instruction_misses: int, constant_misses: int) -> int:
        """Cycles that missed lines add."""
        return 0 if self.flash is None else self.flash.fill_cycles * (instruction_misses + constant_misses)
