"""What a kind of block is: the genes of its choices, and the operations that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from hwmodels.basics.registry import Registry
from hwmodels.basics.settings import Settings
from hwmodels.network.graph import Kind, Op, Padding

if TYPE_CHECKING:
    from supernet.space.arch import Block

Kernels = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=32)]
Dilations = Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=32)]
Expansions = Annotated[tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1, max_length=16)]


class Node(NamedTuple):
    """An operation and the names of those it reads. bank: key of the shared weights it runs with, "" without any."""

    op: Op
    sources: tuple[str, ...]
    bank: str = ""


class BlockChoices(Settings):
    """What a space's file lists of a kind at one position: every combination is an option."""

    kernels: Kernels
    dilations: Dilations

    @property
    def options(self) -> list[tuple[int, int, int]]:
        """Kernel, dilation and expansion (0 where there is none) of each option, the largest last."""
        return [(kernel, dilation, 0) for kernel, dilation in product(sorted(self.kernels), sorted(self.dilations))]


@dataclass(frozen=True)
class Place:
    """Where a block stands: it reads `source`, (length, channels), and gives `width` channels after `stride`."""

    name: str
    source: str
    length: int
    channels: int
    width: int
    stride: int
    padding: Padding

    @property
    def length_out(self) -> int:
        """Positions of its output."""
        return -(-self.length // self.stride)

    def spatial(self, part: str, kind: Kind, source: str, channels: tuple[int, int], block: Block) -> Node:
        """A convolution with the block's kernel, dilation and stride, and a ReLU; (in, out) channels.

        Its weights are those of its dilation: at several of them one kernel cannot mean the same.
        """
        op = Op(
            f"{self.name}.{part}",
            kind,
            self.length,
            channels[0],
            self.length_out,
            channels[1],
            kernel=block.kernel,
            stride=self.stride,
            dilation=block.dilation,
            padding=self.padding,
            activation="relu",
        )
        return Node(op, (source,), f"{bank_of(op)}/d{block.dilation}")

    def pointwise(self, part: str, source: str, channels: tuple[int, int], length: int, relu: bool = False) -> Node:
        """A convolution of one tap; (in, out) channels."""
        sizes = length, channels[0], length, channels[1]
        op = Op(f"{self.name}.{part}", "conv", *sizes, activation="relu" if relu else "none")
        return Node(op, (source,), bank_of(op))


def bank_of(op: Op) -> str:
    """The key of weights that all options at a position share for the part of an operation's name."""
    return op.name.replace(".", "/")


@dataclass(frozen=True)
class BlockKind:
    """One kind of block.

    letter: what it is called in the text of an architecture, in lower case. branch: its operations in order, of which
    the first reads the place's source; the last has weights, mixes channels, and gives the place's shape. choices:
    what a space's file lists of it.
    """

    letter: str
    branch: Callable[[Block, Place], Sequence[Node]]
    choices: type[BlockChoices] = BlockChoices


BLOCK_KINDS: Registry[BlockKind] = Registry(
    "kind of block", "ppg_nas.block_kinds", BlockKind, package="supernet.space.blocks", attribute="BLOCK"
)
