"""The operations of single segments of a space: its stem, each block position, its head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from hwmodels.network.graph import Op
from hwmodels.schedule.step_graph import StreamingError, streaming_nodes
from supernet.space.arch import Block, input_channels
from supernet.space.block_kind import Place
from supernet.space.lowering import Pair, block_nodes, head_nodes, pairs, stem_nodes
from supernet.space.search_space import SearchSpace

NodesOfGenes = Callable[..., list[Pair] | None]
"""The nodes of a segment for the values of its genes; None where it is absent."""


@dataclass(frozen=True)
class SegmentNodes:
    """Nodes of segments on whole windows, or, with `step_s`, of streaming steps on so many seconds.

    The nodes of a block or head start with an `input` op that stands for the segment before. Rates, sensors, widths
    and options are given by their indices in the space. Raises StreamingError where there is no step.
    """

    space: SearchSpace
    step_s: float | None = None

    def stem(self, rate: int, sensors: int, width: int) -> list[Pair]:
        """The stem, which reads the signals of some sensors at some rate."""
        space = self.space
        channels = input_channels(space.sensors[sensors], space.reads)
        return self._in_mode(
            pairs(stem_nodes(space, space.rates[rate], channels, space.stem_widths[width])), rate, None
        )

    def first(self, number: int, rate: int, width_before: int, width: int, pick: int) -> list[Pair] | None:
        """The first block of stage `number`, which changes width and length; `pick` 0 is its absence."""
        if pick == 0:
            return None
        space, stage = self.space, self.space.stages[number]
        channels = (space.stages[number - 1].widths if number else space.stem_widths)[width_before]
        choice = stage.blocks[0].options[pick - 1]
        nodes = self._block(self._length_after(rate, number), channels, stage.widths[width], stage.stride, choice)
        return self._in_mode(nodes, rate, number)

    def later(self, number: int, position: int, rate: int, width: int, pick: int) -> list[Pair] | None:
        """A later block of stage `number`, as wide as the stage; `pick` 0 is its absence."""
        if pick == 0:
            return None
        stage = self.space.stages[number]
        channels, choice = stage.widths[width], stage.blocks[position].options[pick - 1]
        nodes = self._block(self._length_after(rate, number + 1), channels, channels, 1, choice)
        return self._in_mode(nodes, rate, number + 1)

    def head(self, rate: int, width: int) -> list[Pair]:
        """The head, after the last stage."""
        space, stages = self.space, len(self.space.stages)
        widths = space.stages[-1].widths if stages else space.stem_widths
        length, channels = self._length_after(rate, stages), widths[width]
        nodes = [_source(length, channels), *pairs(head_nodes(space, "input", length, channels))]
        return self._in_mode(nodes, rate, stages)

    def walk(self) -> Iterator[tuple[str, tuple[int, ...], bool, NodesOfGenes]]:
        """Kind, gene columns, whether it may be absent, and nodes by the genes of these columns, of each segment."""
        yield "stem", (0, 1, 2), False, self.stem
        before = 2
        for number, (column, stage) in enumerate(zip(self.space.width_columns, self.space.stages, strict=True)):
            yield "first", (0, before, column, column + 1), False, partial(self.first, number)
            for position in range(1, len(stage.blocks)):
                later = partial(self.later, number, position)
                yield "later", (0, column, column + 1 + position), position >= stage.min_depth, later
            before = column
        yield "head", (0, before), False, self.head

    def _block(self, length: int, channels: int, width: int, stride: int, choice: Block) -> list[Pair]:
        before = _source(length, channels)
        place = Place("block", "input", length, channels, width, stride, self.space.padding)
        return [before, *pairs(block_nodes(choice, place))]

    def _length_after(self, rate: int, stages: int) -> int:
        stem = self.space.stems[rate]
        length = -(-self.space.input_length(stem.rate_hz) // stem.stride)
        for stage in self.space.stages[:stages]:
            length = -(-length // stage.stride)
        return length

    def _in_mode(self, nodes: list[Pair], rate: int, stages: int | None) -> list[Pair]:
        """The nodes in window mode or as a step; `stages` lie before them, None for the stem."""
        space = self.space
        if self.step_s is None:
            return nodes
        if space.reads == "spectrum":
            raise StreamingError("spectra are made of whole windows; only samples stream")
        strides = [] if stages is None else [space.stems[rate].stride]
        strides += [stage.stride for stage in space.stages[: stages or 0]]
        rows = self.step_s * space.rates[rate] / math.prod(strides)
        if not rows.is_integer():
            raise StreamingError(f"a step of {self.step_s} s leaves {rows} rows after {len(strides)} strides")
        return streaming_nodes(nodes, int(rows))


def _source(length: int, channels: int) -> Pair:
    return Op("input", "input", length, channels, length, channels), ()
