"""How a network is built: how much of the kernels' code it links, and whether its blocks run in stripes.

The graph says what is computed and knows nothing of this; a schedule is made from both (hwmodels.schedule.stripes).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from hwmodels.network.graph import Code, GraphError, Op

Memory = Literal["whole", "striped"]
CODES: tuple[Code, ...] = get_args(Code)
"""From the quickest to the one with the least code."""
MEMORIES: tuple[Memory, ...] = get_args(Memory)
"""From the quickest to the one with the least RAM."""


@dataclass(frozen=True)
class BuildForm:
    """How a network is built, one choice for all of its operations.

    `code` says how much of it to link: the fastest kernel for each shape, one that serves many shapes, or the one
    that most operations share. `memory` says whether blocks run in stripes where that saves memory.
    Raises GraphError for an unknown name.
    """

    code: Code = "fast"
    memory: Memory = "whole"

    def __post_init__(self) -> None:
        for field, known in (("code", CODES), ("memory", MEMORIES)):
            if getattr(self, field) not in known:
                raise GraphError(f"unknown {field} {getattr(self, field)!r}, expected one of {', '.join(known)}")


DEFAULT_FORM = BuildForm()
"""The quickest: what costs, code and memory plans have where nothing else is said."""


@dataclass(frozen=True)
class BuiltOp(Op):
    """An operation of a schedule, with the code that it is built with."""

    code: Code = "fast"

    @property
    def shape(self) -> tuple[str | int, ...]:
        """As of any op; other code may be another kernel."""
        return (*super().shape, self.code)


def built(op: Op, code: Code) -> Op:
    """The operation built with such code; with the fastest, it is as the graph has it."""
    if op.code == code:
        return op
    if isinstance(op, BuiltOp):
        return replace(op, code=code)
    return BuiltOp(**{field.name: getattr(op, field.name) for field in fields(Op)}, code=code)
