"""One dilated convolution, as in temporal convolutional networks (Bai et al. 2018)."""

from __future__ import annotations

from supernet.space.arch import Block
from supernet.space.block_kind import BlockKind, Node, Place


def _branch(block: Block, place: Place) -> list[Node]:
    return [place.spatial("conv", "conv", place.source, (place.channels, place.width), block)]


BLOCK = BlockKind("c", _branch)
