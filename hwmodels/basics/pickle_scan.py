"""Looking through a pickle before anything of it is built: what it claims must lie in the file, shallow and small.

A pickle is a program of a stack machine. Its opcodes are run here on weights alone: how deep each value is nested, and
how many values it stands for when what is shared is counted wherever it stands. Values that hash or print for hours,
or that end the process by their depth, are small files; they are found by those two numbers.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import Any, BinaryIO

MOST_OPCODES = 2_000_000
MOST_DEPTH = 40
MOST_VALUES = 50_000_000
_MARK = "mark"
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_CHANGING = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
"""Opcodes that change the value below what they take."""


@dataclass
class _Value:
    """One value on the stack: levels of nesting below it, and values that it stands for, itself included."""

    depth: int = 0
    count: int = 1

    def take(self, values: list[_Value]) -> None:
        """Put values into this one. Raises UnpicklingError when it grows past the limits."""
        self.depth = max([self.depth, *(1 + value.depth for value in values)])
        self.count += sum(value.count for value in values)
        if self.depth > MOST_DEPTH:
            raise UnpicklingError(f"nested more than {MOST_DEPTH} levels deep")
        if self.count > MOST_VALUES:
            raise UnpicklingError(f"stands for more than {MOST_VALUES:,} values")


@dataclass
class _Machine:
    """The stack and the memo of a pickle's program, by weight."""

    stack: list[_Value | str] = field(default_factory=list)
    memo: dict[int, _Value] = field(default_factory=dict)

    def step(self, opcode: Any, argument: Any) -> None:
        """Run one opcode. Raises UnpicklingError where the stack or the memo does not hold what it needs."""
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self._top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise UnpicklingError("refers to a value that is not there")
            self.stack.append(self.memo[argument])
        elif name == "DUP":
            self.stack.append(self._top())
        elif name == "POP_MARK":
            self._until_mark()
        else:
            self._general(opcode)

    def _general(self, opcode: Any) -> None:
        """An opcode by what pickletools says that it takes from the stack and leaves there."""
        before, after = opcode.stack_before, opcode.stack_after
        if pickletools.markobject in before:
            taken = self._until_mark()
            below = before.index(pickletools.markobject)
            taken = [self._pop() for _ in range(below)][::-1] + taken
        else:
            taken = [self._pop() for _ in before]
            taken.reverse()
        if after == [pickletools.markobject]:
            self.stack.append(_MARK)
            return
        if opcode.name in _CHANGING:  # the memo may hold the same value
            value = taken[0]
            value.take(taken[1:])
            self.stack.append(value)
            return
        for _ in after:
            value = _Value()
            value.take(taken)
            self.stack.append(value)

    def _top(self) -> _Value:
        if not self.stack or not isinstance(self.stack[-1], _Value):
            raise UnpicklingError("takes more values than it made")
        return self.stack[-1]

    def _pop(self) -> _Value:
        value = self._top()
        self.stack.pop()
        return value

    def _until_mark(self) -> list[_Value]:
        taken: list[_Value] = []
        while self.stack and isinstance(self.stack[-1], _Value):
            taken.append(self._pop())
        if not self.stack:
            raise UnpicklingError("takes more values than it made")
        self.stack.pop()
        return taken[::-1]


class _Bounded:
    """A stream that reads no more than it holds, however much is asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)
        stream.seek(0)

    def read(self, count: int) -> bytes:
        """The next bytes. Raises UnpicklingError when there are fewer."""
        if count > self._size - self._stream.tell():
            raise UnpicklingError("claims more than the file holds")
        return self._stream.read(count)

    def readline(self) -> bytes:
        """The rest of the line."""
        return self._stream.readline()

    def tell(self) -> int:
        """Bytes read."""
        return self._stream.tell()


def _steps(stream: _Bounded) -> Iterator[tuple[Any, Any]]:
    """Each opcode with its argument up to STOP. Raises ValueError where there is none, or its argument is unsound.

    pickletools.genops does the same, but takes the text of STRING, into which Python 2 put whole arrays, for ASCII.
    """
    while True:
        code = stream.read(1)
        opcode = _OPCODES.get(code.decode("latin-1"))
        if opcode is None:
            raise ValueError(f"unknown opcode {code!r}")
        argument = None
        if opcode.name == "STRING":
            stream.readline()
        elif opcode.arg is not None:
            argument = opcode.arg.reader(stream)  # type: ignore[arg-type]
        yield opcode, argument
        if opcode.name == "STOP":
            return


def scan(stream: BinaryIO) -> None:
    """Raise UnpicklingError or ValueError where a pickle claims or builds more than is sound; rewinds the stream."""
    machine = _Machine()
    for count, (opcode, argument) in enumerate(_steps(_Bounded(stream))):
        if count >= MOST_OPCODES:
            raise UnpicklingError(f"more than {MOST_OPCODES:,} steps")
        machine.step(opcode, argument)
    stream.seek(0)
