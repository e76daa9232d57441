"""Operations that are made of other calls and say themselves what those ask: blocks in stripes, and whatever stands in
other people's networks. They are classes of their own (hwmodels.schedule.striped_block, hwmodels.foreign.foreign_ops).
"""

from __future__ import annotations

from typing import Protocol, cast

from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import OperationKind, register


class ComposedOp(Protocol):
    """What such an operation knows of itself, as kinds say it of others."""

    @property
    def scratch_bytes(self) -> int:
        """Arena bytes that it works in."""

    @property
    def data_bytes(self) -> int:
        """Flash for its constants."""

    @property
    def code_units(self) -> frozenset[str]:
        """C functions that are linked for it."""


class Composed(OperationKind):
    """Of any shape."""

    only_as = "is no operation of a network of ours"
    keeps_channels = False

    def complaint(self, op: Op) -> str:
        """None: its class has made its shape."""
        return ""

    def scratch_bytes(self, op: Op) -> int:
        """The operation's own."""
        return cast(ComposedOp, op).scratch_bytes

    def data_bytes(self, op: Op) -> int:
        """The operation's own."""
        return cast(ComposedOp, op).data_bytes

    def code_units(self, op: Op) -> frozenset[str]:
        """The operation's own."""
        return cast(ComposedOp, op).code_units


class Stripes(Composed):
    """A block in stripes has read what lies where its outputs go."""

    name = "stripes"
    keeps_input_in_scratch = True


class Foreign(Composed):
    """An operation of somebody else's network."""

    name = "foreign"


register(Stripes())
register(Foreign())
