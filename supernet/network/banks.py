"""Which shared weights a space needs: one bank for each key that its blocks' operations carry, as large as any of them.

Found by lowering every option of every position at the largest widths, so that a kind of block says once what it is
made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import kind_of
from supernet.space.arch import Block, input_channels
from supernet.space.block_kind import Node, Place
from supernet.space.lowering import branch_nodes, head_nodes, place_name, stem_nodes
from supernet.space.search_space import SearchSpace, SpaceError


@dataclass(frozen=True)
class Axes:
    """The shared channel dimensions of a bank's output and input axis; None where it is not elastic."""

    output: str | None
    input: str | None


@dataclass
class BankShape:
    """The largest operation of a bank, its axes, and the kernels on offer in order of appearance."""

    op: Op
    axes: Axes
    kernels: dict[int, None] = field(default_factory=dict)


def bank_shapes(space: SearchSpace) -> dict[str, BankShape]:
    """Every bank by its key, in network order.

    Raises SpaceError where two kinds of block at one position would share weights that do not fit each other.
    """
    shapes: dict[str, BankShape] = {}
    for node, axes in _nodes(space, stream_dims(space)):
        shape = shapes.setdefault(node.bank, BankShape(node.op, axes))
        if shape.axes != axes or shape.op.kind != node.op.kind:
            raise SpaceError(
                f"space {space.name!r}: two kinds of block give {node.op.name!r} weights that differ; "
                f"one of them has to name its operation otherwise"
            )
        shape.op = max(shape.op, node.op, key=lambda op: (op.filters, op.channels_in))
        shape.kernels[node.op.kernel] = None
    return shapes


def _nodes(space: SearchSpace, dims: list[str | None]) -> Iterator[tuple[Node, Axes]]:
    """Each operation with shared weights at its largest, and the channel dimensions of its weights."""
    width = max(space.stem_widths)
    for stem in space.stems:
        for sensors in space.sensors:
            *_, node = stem_nodes(space, stem.rate_hz, input_channels(sensors, space.reads), width)
            yield node, Axes(dims[0], None)
    for number, stage in enumerate(space.stages, 1):
        before, width = width, max(stage.widths)
        for position, choices in enumerate(stage.blocks, 1):
            is_first = position == 1
            channels, stride = (before, stage.stride) if is_first else (width, 1)
            place = Place(place_name(number, position), "input", 256, channels, width, stride, space.padding)
            ends = dims[number - 1] if is_first else dims[number], dims[number]
            can_add = stride == 1 and bool(widths_before(space, number) & set(stage.widths))
            added = ((True, False) if can_add else (False,)) if is_first else (True,)
            yield from _branches(choices.options, place, ends, added)
    # Over spectra the logits are a convolution like any other; else they are weights of the supernet itself.
    for node in head_nodes(space, "input", 256, width):
        if node.bank:
            yield node, Axes(None, dims[-1])


def _branches(
    options: tuple[Block, ...], place: Place, ends: tuple[str | None, str | None], added: tuple[bool, ...]
) -> Iterator[tuple[Node, Axes]]:
    """Of every option at a position: what remembers, then kind by kind the first operations, the second ones, ..."""
    found = [(option.kind, _with_axes(branch_nodes(option, place, adds), ends)) for option in options for adds in added]
    for _, nodes in found:
        yield from ((node, axes) for node, axes in nodes if node.op.remembers)
    for kind in dict.fromkeys(option.kind for option in options):
        inner = [[pair for pair in nodes if not pair[0].op.remembers] for name, nodes in found if name == kind]
        for column in zip_longest(*inner):
            yield from (pair for pair in column if pair is not None and pair[0].bank)


def _with_axes(nodes: list[Node], ends: tuple[str | None, str | None]) -> list[tuple[Node, Axes]]:
    """The channel dimensions along the weights of a branch's operations, between those that it reads and gives."""
    dims, found = {"input": ends[0]}, list[tuple[Node, Axes]]()
    for node in nodes:
        before, is_last = dims[node.sources[0]], node is nodes[-1]
        mixes = bool(node.bank) and not kind_of(node.op).is_channelwise
        if is_last and not mixes:
            raise SpaceError(f"{node.op.name!r}: the last operation of a block has to mix its channels")
        after = (ends[1] if is_last else node.bank) if mixes else before
        dims[node.op.name] = after
        if node.op.remembers:
            found.append((node, Axes(None, None)))
        else:
            found.append((node, Axes(after, before if mixes else None)))
    return found


def widths_before(space: SearchSpace, number: int) -> set[int]:
    """Widths of the stream that stage `number`, from 1, reads."""
    return set(space.stem_widths if number == 1 else space.stages[number - 2].widths)


def stream_dims(space: SearchSpace) -> list[str | None]:
    """Names of the channel dimensions after the stem and each stage, or None where order must stay.

    Where a first block can add its input to its output, both sides must be ordered alike: they share
    one name if their largest widths agree, and are not reordered at all otherwise; nor is a stream of which blocks
    remember the first channels.
    """
    maxima = [max(space.stem_widths), *(max(stage.widths) for stage in space.stages)]
    dims: list[str | None] = [f"stream{index}" for index in range(len(maxima))]
    for number, stage in enumerate(space.stages, 1):
        if stage.stride == 1 and widths_before(space, number) & set(stage.widths):
            if maxima[number] == maxima[number - 1]:
                dims[number] = dims[number - 1]
            else:
                fixed = {dims[number - 1], dims[number]}
                dims = [None if dim in fixed else dim for dim in dims]
    for number, stage in enumerate(space.stages, 1):
        for position, choices in enumerate(stage.blocks):
            if any(option.remembers for option in choices.options):
                read = dims[number - 1 if position == 0 else number]
                dims = [None if dim == read else dim for dim in dims]
    return dims
