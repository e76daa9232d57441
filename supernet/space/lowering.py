"""Arch -> LayerGraph, and which shared weights each operation runs with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hwmodels.network.graph import LayerGraph, Op
from supernet.space.arch import Arch, Block
from supernet.space.block_kind import BLOCK_KINDS, Node, Place, bank_of

if TYPE_CHECKING:
    from supernet.space.search_space import SearchSpace

Pair = tuple[Op, tuple[str, ...]]


class Lowered(NamedTuple):
    """A network, and for each of its operations with shared weights the key of their bank."""

    graph: LayerGraph
    banks: dict[str, str]


def pairs(nodes: Iterable[Node]) -> list[Pair]:
    """The nodes as a graph takes them."""
    return [(node.op, node.sources) for node in nodes]


def stem_nodes(space: SearchSpace, rate_hz: int, channels: int, width: int) -> list[Node]:
    """The input and the stem convolution for one sampling rate and sensor set."""
    stem = space.stem(rate_hz)
    length = space.input_length(rate_hz)
    source = Op("input", "input", length, channels, length, channels, reads=space.reads)
    conv = Op(
        "stem",
        "conv",
        length,
        channels,
        -(-length // stem.stride),
        width,
        kernel=stem.kernel,
        stride=stem.stride,
        padding=space.padding,
        activation="relu",
    )
    return [Node(source, ()), Node(conv, ("input",), f"stem/{rate_hz}hz/{channels}")]


def block_nodes(block: Block, place: Place) -> list[Node]:
    """The operations of one block. One that keeps length and width adds its input to its output."""
    adds = place.stride == 1 and place.channels == place.width
    nodes = branch_nodes(block, place, adds)
    if adds:
        op = Op(f"{place.name}.add", "add", place.length, place.width, place.length, place.width)
        nodes.append(Node(op, (place.source, nodes[-1].op.name)))
    return nodes


def branch_nodes(block: Block, place: Place, adds: bool) -> list[Node]:
    """A block but for the addition. What it remembers is read by its first operation alone.

    The last operation of a branch that is added has weights of its own: it makes a difference, not a stream.
    """
    context = [_context(block, place)] if block.remembers else []
    inner = replace(place, source=context[0].op.name) if context else place
    *nodes, last = BLOCK_KINDS[block.kind].branch(block, inner)
    return [*context, *nodes, last._replace(bank=f"{last.bank}+") if adds else last]


def _context(block: Block, place: Place) -> Node:
    op = Op(
        f"{place.name}.context",
        "context",
        place.length,
        place.channels,
        place.length,
        place.channels,
        kernel=block.taps,
        dilation=block.steps,
        remembers=block.remembers,
    )
    return Node(op, (place.source,), f"{bank_of(op)}/s{block.steps}")


def head_nodes(space: SearchSpace, source: str, length: int, channels: int) -> list[Node]:
    """Pooling over time, the classifier, and the head of the space's task.

    Where positions are heart rates, each of them makes its own logit, and nothing is pooled.
    """
    outputs = space.outputs
    head = Op("head", space.head, 1, outputs, 1, outputs)
    if space.reads == "spectrum":
        logits = Op("logits", "conv", length, channels, length, 1, padding=space.padding)
        return [Node(logits, (source,), "logits"), Node(head, ("logits",))]
    return [
        Node(Op("pool", "average_pool", length, channels, 1, channels), (source,)),
        Node(Op("logits", "fully_connected", 1, channels, 1, outputs), ("pool",)),
        Node(head, ("logits",)),
    ]


def lowered(space: SearchSpace, arch: Arch) -> Lowered:
    """The network that `arch` deploys, as a graph of int8 operations, and the banks of its weights."""
    nodes = stem_nodes(space, arch.rate_hz, arch.channels, arch.stem_width)
    for number, (stage, choices) in enumerate(zip(arch.stages, space.stages, strict=True), 1):
        for position, block in enumerate(stage.blocks, 1):
            last = nodes[-1].op
            shape = last.length_out, last.channels_out, stage.width
            stride = choices.stride if position == 1 else 1
            nodes += block_nodes(block, Place(place_name(number, position), last.name, *shape, stride, space.padding))
    last = nodes[-1].op
    nodes += head_nodes(space, last.name, last.length_out, last.channels_out)
    return Lowered(LayerGraph(pairs(nodes)), {node.op.name: node.bank for node in nodes if node.bank})


def place_name(stage: int, position: int) -> str:
    """What names of operations start with at a block position, both counted from 1."""
    return f"stage{stage}.block{position}"


def lower(space: SearchSpace, arch: Arch) -> LayerGraph:
    """The network that `arch` deploys, as a graph of int8 operations."""
    return lowered(space, arch).graph
