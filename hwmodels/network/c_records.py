"""Constants of a kernel call, said once: spelled in C for the generator, and in bytes for the emulated core."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.c.text import array, braced, wrapped

Numbers = tuple[int, ...]
Table = tuple[Numbers, ...]


@dataclass(frozen=True, eq=False)
class CArray:
    """A constant array of elements of a C type, filled up to whole words in memory."""

    kind: str
    name: str
    values: NDArray


@dataclass(frozen=True, eq=False)
class CRecord:
    """A constant of a struct type. Its members: numbers, arrays of numbers, a table on a line of its own, pointers
    to other constants, and None for a pointer to nothing.

    `layout` is that of its members' bytes as the module struct says it, P for each pointer.
    """

    kind: str
    layout: str
    members: tuple[int | Numbers | Table | CArray | CRecord | None, ...]
    name: str = "parameters"

    @property
    def pointees(self) -> Iterator[CArray | CRecord]:
        """What it points to."""
        return (member for member in self.members if isinstance(member, CArray | CRecord))

    def text(self, index: str) -> str:
        """C definitions of all that it points to and of itself, names ending in `index`."""
        before = ""
        for pointee in self.pointees:
            if isinstance(pointee, CRecord):
                before += pointee.text(index)
            else:
                filled = np.pad(pointee.values, (0, -len(pointee.values) % (4 // pointee.values.itemsize)))
                before += array(pointee.kind, f"{pointee.name}_{index}", filled)
        return before + self.definition(index, index)

    def definition(self, index: str, pointees: str) -> str:
        """Its own definition alone, pointing to constants whose names end in `pointees`."""
        fields = ""
        for member in self.members:
            if isinstance(member, tuple) and member and isinstance(member[0], tuple):
                fields += ",\n" + wrapped(braced(braced(row) for row in member))
            else:
                fields += (", " if fields else "") + _spelled(member, pointees)
        return f"static const {self.kind} {self.name}_{index} = {{{fields}}};\n"

    def placed(self, at: int, rest: int, pointer: str = "I") -> list[tuple[int, bytes]]:
        """Its bytes at address `at` and what it points to from `rest` on, as pairs (address, bytes)."""
        writes: list[tuple[int, bytes]] = []
        numbers: list[int] = []
        for member in self.members:
            if isinstance(member, CArray | CRecord):
                numbers.append(rest)
                writes += _placed(member, rest, pointer)
                last, content = writes[-1]
                rest = last + -(-len(content) // 4) * 4
            else:
                numbers += _flat(member)
        layout = struct.Struct("<" + self.layout.replace("P", pointer))
        return [(at, layout.pack(*numbers)), *writes]


def _placed(pointee: CArray | CRecord, at: int, pointer: str) -> list[tuple[int, bytes]]:
    if isinstance(pointee, CArray):
        return [(at, pointee.values.astype(pointee.values.dtype.newbyteorder("<")).tobytes())]
    size = struct.calcsize("<" + pointee.layout.replace("P", pointer))
    return pointee.placed(at, at + size, pointer)


def _spelled(member: object, index: str) -> str:
    if isinstance(member, CRecord):
        return f"&{member.name}_{index}"
    if isinstance(member, CArray):
        return f"{member.name}_{index}"
    if isinstance(member, tuple):
        return braced(member)
    return str(member or 0)


def _flat(member: object) -> list[int]:
    if isinstance(member, tuple):
        return [number for part in member for number in _flat(part)]
    return [member if isinstance(member, int) else 0]
