"""The segments of a space as steps of one walk: from a width, over an entry, to the next width.

All dynamic programs walk these. Rates whose later segments cost the same share one class.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from search.costs.segments import Longs, Segment, Segments
from supernet.space.search_space import Genes

Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Step:
    """One segment as moves from (class, width) along T entries, arrays (classes, widths, T) unless said.

    `columns` and `values` (T, columns) say which genes a move sets; `may_end` tells that the stage
    may end before this step, at the start of step `following_stage`.
    """

    columns: tuple[int, ...]
    values: Genes
    may_end: bool
    following_stage: int
    target_class: npt.NDArray[np.intp]
    target_width: npt.NDArray[np.intp]
    cycles: Longs
    data_bytes: Longs
    live_bytes: Longs
    stack_bytes: Longs
    units: Objects

    @property
    def shape(self) -> tuple[int, int, int]:
        """Classes, widths, moves."""
        classes, widths, moves = self.cycles.shape
        return classes, widths, moves


def steps_of(segments: Segments) -> list[Step]:
    """The walk through a space: the first step starts at class 0, width 0; the last one ends it."""
    chain = segments.chain
    classes = _rate_classes(chain)
    kept = [classes.index(number) for number in range(max(classes) + 1)]
    steps = []
    for index, segment in enumerate(chain):
        following = next(
            (later for later in range(index + 1, len(chain)) if chain[later].kind in ("first", "head")), index
        )
        steps.append(_step(segment, classes, kept, following))
    return steps


def _rate_classes(chain: tuple[Segment, ...]) -> list[int]:
    """Class of each sampling rate: rates are alike when every segment after the stem costs the same."""

    def after_stem(rate: int) -> list[Longs | Objects]:
        return [
            table[rate]
            for segment in chain[1:]
            for table in (segment.cycles, segment.data_bytes, segment.live_bytes, segment.stack_bytes, segment.units)
        ]

    classes: list[int] = []
    first_of: list[int] = []
    for rate in range(chain[0].cycles.shape[0]):
        tables = after_stem(rate)
        for number, other in enumerate(first_of):
            if all((a == b).all() for a, b in zip(tables, after_stem(other), strict=True)):
                classes.append(number)
                break
        else:
            classes.append(len(first_of))
            first_of.append(rate)
    return classes


def _step(segment: Segment, classes: list[int], kept: list[int], following: int) -> Step:
    laid: list[Any]
    tables: list[Any] = [
        segment.cycles,
        segment.data_bytes,
        segment.live_bytes,
        segment.stack_bytes,
        segment.units,
    ]
    shape = segment.cycles.shape
    if segment.kind == "stem":
        values = np.array(list(product(*map(range, shape))), np.int16)
        laid = [table.reshape(1, 1, -1) for table in tables]
        target_class = np.array(classes)[values[:, 0]].reshape(1, 1, -1)
        target_width = values[:, 2].astype(np.intp).reshape(1, 1, -1)
        columns = segment.columns
    else:
        tables = [table[kept] for table in tables]
        count, widths = len(kept), shape[1]
        if segment.kind == "first":
            values = np.array(list(product(range(shape[2]), range(1, shape[3]))), np.int16)
            laid = [table[..., 1:].reshape(count, widths, -1) for table in tables]
            target = np.broadcast_to(values[:, 0], laid[0].shape)
            columns = segment.columns[2:]
        elif segment.kind == "later":
            values = np.arange(1, shape[2], dtype=np.int16)[:, None]
            laid = [table[..., 1:] for table in tables]
            target = np.broadcast_to(np.arange(widths)[:, None], laid[0].shape)
            columns = segment.columns[2:]
        else:
            values = np.zeros((1, 0), np.int16)
            laid = [table[..., None] for table in tables]
            target = np.zeros_like(laid[0])
            columns = ()
        target_class = np.broadcast_to(np.arange(count)[:, None, None], laid[0].shape)
        target_width = target.astype(np.intp)
    cycles, data, live, stack, units = laid
    return Step(
        columns,
        values,
        segment.kind == "later" and segment.may_be_absent,
        following,
        np.asarray(target_class, np.intp),
        target_width,
        cycles,
        data,
        live,
        stack,
        units,
    )


def cheapest_completions(steps: list[Step], tables: list[Longs]) -> list[Longs]:
    """For each step the least total of its and all later steps' table, (classes, widths)."""
    completions = [np.zeros((steps[-1].shape[0], 1), np.int64)]
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        least = (tables[index] + completions[0][step.target_class, step.target_width]).min(axis=2)
        if step.may_end:
            least = np.minimum(least, completions[step.following_stage - index - 1])
        completions.insert(0, least)
    return completions
