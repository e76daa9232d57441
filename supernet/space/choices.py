"""What a search space's file may state of stems, stages and block positions."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import product
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from supernet.space.arch import Block

Kernels = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=32)]
Dilations = Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=32)]
Expansions = Annotated[tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1, max_length=16)]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=64)]


class Strict(BaseModel):
    """Frozen, and without keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StemChoice(Strict):
    """The stem that reads one sampling rate; kernel in samples, stride down to the feature rate."""

    rate_hz: int = Field(ge=4, le=256)
    kernel: int = Field(ge=1, le=32)
    stride: int = Field(ge=1, le=16)


class BlockChoices(Strict):
    """What one block position may hold: every combination within each kind."""

    class Inverted(Strict):
        """Choices of an inverted residual block."""

        kernels: Kernels
        dilations: Dilations
        expansions: Expansions

    class Dilated(Strict):
        """Choices of a dilated convolution block."""

        kernels: Kernels
        dilations: Dilations

    class Context(Strict):
        """Choices of what a block remembers: channels in fours, 0 for none; taps; steps of 2 s from tap to tap."""

        channels: Annotated[tuple[Annotated[int, Field(ge=0, le=64, multiple_of=4)], ...], Field(min_length=1)]
        taps: Annotated[tuple[Annotated[int, Field(ge=2, le=8)], ...], Field(min_length=1)]
        steps: Annotated[tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1)]

        @cached_property
        def options(self) -> tuple[tuple[int, int, int], ...]:
            """Channels, taps and steps of each choice, what remembers nothing first."""
            some = [channels for channels in sorted(self.channels) if channels]
            nothing = [(0, 0, 0)] if 0 in self.channels else []
            return (*nothing, *product(some, sorted(self.taps), sorted(self.steps)))

    inverted_residual: Inverted | None = None
    dilated: Dilated | None = None
    context: Context | None = None

    @cached_property
    def options(self) -> tuple[Block, ...]:
        """Every block this position may hold, in a fixed order: largest last within each kind."""
        memories = self.context.options if self.context else ((0, 0, 0),)
        return tuple(replace(block, remembers=r, taps=k, steps=s) for block in self._blocks for r, k, s in memories)

    @cached_property
    def _blocks(self) -> tuple[Block, ...]:
        """The blocks but for what they remember."""
        found: list[Block] = []
        if self.inverted_residual is not None:
            inner = self.inverted_residual
            found += [
                Block("inverted_residual", kernel, dilation, expansion)
                for kernel, dilation, expansion in product(
                    sorted(inner.kernels), sorted(inner.dilations), sorted(inner.expansions)
                )
            ]
        if self.dilated is not None:
            found += [
                Block("dilated", kernel, dilation)
                for kernel, dilation in product(sorted(self.dilated.kernels), sorted(self.dilated.dilations))
            ]
        return tuple(found)


class StageChoices(Strict):
    """A stage: stride of its first block, widths, and the choices at each block position.

    The stage is as deep as its list of positions at most, and `min_depth` at least.
    """

    stride: int = Field(ge=1, le=8)
    widths: Widths
    min_depth: int = Field(ge=1)
    blocks: tuple[BlockChoices, ...] = Field(min_length=1, max_length=16)
