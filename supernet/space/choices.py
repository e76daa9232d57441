"""What a search space's file may state of stems, stages and block positions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import product
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from supernet.space.arch import Block
from supernet.space.block_kind import BLOCK_KINDS, BlockChoices

Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=64)]


class Strict(BaseModel):
    """Frozen, and without keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StemChoice(Strict):
    """The stem that reads one sampling rate; kernel in samples, stride down to the feature rate."""

    rate_hz: int = Field(ge=4, le=256)
    kernel: int = Field(ge=1, le=32)
    stride: int = Field(ge=1, le=16)


class ContextChoices(Strict):
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


class PositionChoices(BaseModel):
    """What one block position may hold: every option of each kind of block that is named, with every memory.

    Kinds are listed largest first: the largest member takes the last option of the first, the smallest the first
    option of the last.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    context: ContextChoices | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_kinds(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        found = {name: choices for name, choices in content.items() if choices is not None}
        for name in found.keys() - {"context"}:
            if name not in BLOCK_KINDS:
                raise ValueError(BLOCK_KINDS.unknown(name))
            if not isinstance(found[name], BlockChoices):
                try:
                    found[name] = BLOCK_KINDS[name].choices.model_validate(found[name])
                except ValidationError as error:
                    first = error.errors()[0]
                    raise ValueError(f"{'.'.join(map(str, (name, *first['loc'])))}: {first['msg']}") from None
        return found

    @property
    def kinds(self) -> dict[str, BlockChoices]:
        """The choices of each kind, by its name."""
        return dict(self.model_extra or {})

    @cached_property
    def options(self) -> tuple[Block, ...]:
        """Every block this position may hold, in a fixed order: largest last within each kind."""
        memories = self.context.options if self.context else ((0, 0, 0),)
        return tuple(
            Block(kind, *option, *memory)
            for kind, choices in self.kinds.items()
            for option in choices.options
            for memory in memories
        )


class StageChoices(Strict):
    """A stage: stride of its first block, widths, and the choices at each block position.

    The stage is as deep as its list of positions at most, and `min_depth` at least.
    """

    stride: int = Field(ge=1, le=8)
    widths: Widths
    min_depth: int = Field(ge=1)
    blocks: tuple[PositionChoices, ...] = Field(min_length=1, max_length=16)
