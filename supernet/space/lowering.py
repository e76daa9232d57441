"""Arch -> LayerGraph: the only place that says what operations a block is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwmodels.network.graph import Kind, LayerGraph, Op
from supernet.space.arch import Arch, Block

if TYPE_CHECKING:
    from supernet.space.search_space import SearchSpace

Node = tuple[Op, tuple[str, ...]]


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
    return [(source, ()), (conv, ("input",))]


def block_nodes(
    space: SearchSpace,
    name: str,
    block: Block,
    source: str,
    length: int,
    channels: int,
    width: int,
    stride: int,
) -> list[Node]:
    """The operations of one block, named below `name`, reading `source` of (length, channels).

    A block that keeps length and width adds its input to its output. What it remembers is read by its first
    convolution alone.
    """
    stream, nodes = source, list[Node]()
    if block.remembers:
        context = Op(
            f"{name}.context",
            "context",
            length,
            channels,
            length,
            channels,
            kernel=block.taps,
            dilation=block.steps,
            remembers=block.remembers,
        )
        nodes, source = [(context, (source,))], context.name
    length_out = -(-length // stride)

    def spatial(part: str, kind: Kind, channels_in: int, channels_out: int) -> Op:
        return Op(
            f"{name}.{part}",
            kind,
            length,
            channels_in,
            length_out,
            channels_out,
            kernel=block.kernel,
            stride=stride,
            dilation=block.dilation,
            padding=space.padding,
            activation="relu",
        )

    if block.kind == "dilated":
        nodes.append((spatial("conv", "conv", channels, width), (source,)))
    else:
        mid = channels * block.expansion
        expand = Op(f"{name}.expand", "conv", length, channels, length, mid, activation="relu")
        filtered = spatial("depthwise", "depthwise", mid, mid)
        project = Op(f"{name}.project", "conv", length_out, mid, length_out, width)
        nodes += [(expand, (source,)), (filtered, (expand.name,)), (project, (filtered.name,))]
    if stride == 1 and channels == width:
        added = Op(f"{name}.add", "add", length, width, length, width)
        nodes.append((added, (stream, nodes[-1][0].name)))
    return nodes


def head_nodes(space: SearchSpace, source: str, length: int, channels: int) -> list[Node]:
    """Pooling over time, the classifier, and the head of the space's task.

    Where positions are heart rates, each of them makes its own logit, and nothing is pooled.
    """
    outputs = space.outputs
    head = Op("head", space.head, 1, outputs, 1, outputs)
    if space.reads == "spectrum":
        logits = Op("logits", "conv", length, channels, length, 1, padding=space.padding)
        return [(logits, (source,)), (head, ("logits",))]
    return [
        (Op("pool", "average_pool", length, channels, 1, channels), (source,)),
        (Op("logits", "fully_connected", 1, channels, 1, outputs), ("pool",)),
        (head, ("logits",)),
    ]


def lower(space: SearchSpace, arch: Arch) -> LayerGraph:
    """The network that `arch` deploys, as a graph of int8 operations."""
    nodes = stem_nodes(space, arch.rate_hz, arch.channels, arch.stem_width)
    for number, (stage, choices) in enumerate(zip(arch.stages, space.stages, strict=True), 1):
        for position, block in enumerate(stage.blocks):
            last = nodes[-1][0]
            nodes += block_nodes(
                space,
                f"stage{number}.block{position + 1}",
                block,
                last.name,
                last.length_out,
                last.channels_out,
                stage.width,
                choices.stride if position == 0 else 1,
            )
    last = nodes[-1][0]
    return LayerGraph(nodes + head_nodes(space, last.name, last.length_out, last.channels_out))
