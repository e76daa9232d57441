"""Expand, filter each channel, project: the inverted residual of MobileNetV2 (Sandler et al. 2018)."""

from __future__ import annotations

from itertools import product

from supernet.space.arch import Block
from supernet.space.block_kind import BlockChoices, BlockKind, Expansions, Node, Place


class Choices(BlockChoices):
    """Kernels and dilations of the filters, and how many times wider than the input they are."""

    expansions: Expansions

    @property
    def options(self) -> list[tuple[int, int, int]]:
        """Kernel, dilation and expansion of each option, the largest last."""
        return list(product(sorted(self.kernels), sorted(self.dilations), sorted(self.expansions)))


def _branch(block: Block, place: Place) -> list[Node]:
    wide = place.channels * block.expansion
    expand = place.pointwise("expand", place.source, (place.channels, wide), place.length, relu=True)
    filtered = place.spatial("depthwise", "depthwise", expand.op.name, (wide, wide), block)
    return [expand, filtered, place.pointwise("project", filtered.op.name, (wide, place.width), place.length_out)]


BLOCK = BlockKind("i", _branch, Choices)
