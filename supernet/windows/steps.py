"""Windows that follow each other: what comes before each, and blocks of them that training draws together.

A network that remembers (supernet/network/context.py) is called with `past`, the number of windows directly before each
one in its batch; any other with the windows alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.windows.step_numbers import past_rows

BLOCK_STEPS = 32
"""Windows that a training draws one after the other, where networks remember: a minute."""


@dataclass(frozen=True, eq=False)
class Windows:
    """What a network reads: x (n, channels, positions), and past (n,) steps before each, None where unknown."""

    x: Tensor
    past: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Any) -> Windows:
        return Windows(self.x[rows], None if self.past is None else self.past[rows])

    def parts(self, batch: int, lead: int, trail: int = 0) -> Iterator[tuple[Windows, int]]:
        """Batches, each with up to `lead` windows before and `trail` after it, and how many are before."""
        for start in range(0, len(self.x), batch):
            known = 0 if self.past is None else min(lead, start, int(self.past[start]))
            part = self[start - known : start + batch + (0 if self.past is None else trail)]
            past = None if part.past is None else part.past.minimum(torch.arange(len(part), device=part.past.device))
            yield Windows(part.x, past), known


Given = Tensor | Windows
"""What functions over networks take: windows with what came before them, or tensors of windows by themselves."""


def given(windows: Given) -> Windows:
    """Windows by themselves as such that know of no past."""
    return Windows(windows) if isinstance(windows, Tensor) else windows


def remembered_steps(network: object) -> int:
    """Steps that a network looks back; 0 for one that reads a window by itself."""
    return int(getattr(network, "remembered_steps", 0))


def following_steps(network: object) -> int:
    """Steps that a network looks ahead, as teachers may; 0 for one that is causal."""
    return int(getattr(network, "following_steps", 0))


def call(network: Any, windows: Given) -> Tensor:
    """Logits (n, outputs); `past` is given to networks that remember alone."""
    x, past = given(windows).x, given(windows).past
    result: Tensor = network(x, past) if remembered_steps(network) else network(x)
    return result


def past_of(numbers: npt.NDArray[np.int64] | None) -> Tensor | None:
    """How many rows before each (n,) are the steps directly before it, from `step_numbers`."""
    return None if numbers is None else torch.from_numpy(past_rows(numbers))


def blocks_of(count: int, block: int, phase: int) -> list[npt.NDArray[np.intp]]:
    """All of `count` rows in blocks that follow each other; the first holds `phase` of them, where that is not 0."""
    return [part for part in np.split(np.arange(count), np.arange(phase, count, block)) if len(part)]


def drawn_rows(count: int, wanted: int, block: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """Rows for about `wanted` windows: each by itself, or where `block` is more than 1 whole blocks at random."""
    if block == 1:
        yield from rng.choice(count, min(wanted, count), replace=False)[:, None]
        return
    blocks = blocks_of(count, block, 0)
    for number in rng.permutation(len(blocks))[: max(1, round(wanted / block))]:
        yield blocks[number]
