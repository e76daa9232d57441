"""How many architectures fit budgets: dynamic programs along the segments, with proven bounds.

A table holds, for every point of the walk and every remaining budget, how many ways lead to the end.
Costs are counted above the cheapest completion and rounded to bins: rounding down counts a superset,
rounding up a subset, so the truth lies between. The table also draws from its set uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from search.cost_plan import CostPlan
from search.pareto import Booleans
from search.segments import Longs
from search.transitions import Step, steps_of
from supernet.space import Genes

Rounding = Literal["down", "up"]
Counts = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
_MOST_MASKS = 96


@dataclass(frozen=True)
class Limits:
    """What tables count within: whole cycles, flash and RAM bytes; None where nothing is cut off."""

    cycles: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None


@dataclass(frozen=True)
class _Moves:
    """A step's moves priced in bins: arrays (classes, widths, T), by mask (masks, classes, widths, T).

    `end_cycle_bins` and `end_flash_bins` (classes, widths) price the end of the stage before this step.
    """

    step: Step
    is_allowed: Booleans
    cycle_bins: Indices
    flash_bins: Indices
    next_mask: Indices
    end_cycle_bins: Indices
    end_flash_bins: Indices


class CompletionTable:
    """Ways to complete a network from every point of the walk within every remaining budget.

    `bins` are the resolutions in cycles and flash (1 where a budget is free). Source of the idea:
    counting by dynamic programming over a knapsack, rounded as in its approximation schemes.
    """

    def __init__(
        self, plan: CostPlan, limits: Limits, rounding: Rounding, cycle_bins: int, flash_bins: int
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._rounding = rounding
        steps = steps_of(plan.segments)
        self._varied, steps, left = _tracked_units(plan, steps, rounding)
        self._code = [plan.model.code_bytes[plan.segments.unit_names[bit]] for bit in self._varied]
        cycles = _cheapest_completions(steps, [step.cycles for step in steps])
        data = _cheapest_completions(steps, [step.data_bytes for step in steps])
        room = limits.cycles
        if room is not None:
            room -= plan.model.fixed_cycles + int(cycles[0][0, 0])
        self._cycles_a_bin, self._cycle_room = _resolution(room, cycle_bins)
        room = limits.flash_bytes
        if room is not None:
            room -= plan.fixed_flash_bytes + int(data[0][0, 0]) + (left if rounding == "up" else 0)
        self._bytes_a_bin, self._flash_room = _resolution(room, flash_bins)
        self._masks = self._reachable(steps) if limits.flash_bytes is not None else [0]
        self._moves = [self._priced(steps, index, cycles, data) for index in range(len(steps))]
        self._ways: list[Counts] = []
        if min(self._cycle_room, self._flash_room) >= 0:
            self._ways = self._filled()

    @property
    def total(self) -> float:
        """Number of architectures in the rounded set."""
        if not self._ways:
            return 0.0
        return float(self._ways[0][0, 0, 0, -1, -1])

    def _reachable(self, steps: list[Step]) -> list[int]:
        singles = {self._own_mask(mask) for step in steps for mask in step.units.reshape(-1).tolist()}
        found, fresh = {0}, {0}
        while fresh:
            fresh = {mask | single for mask in fresh for single in singles} - found
            found |= fresh
        return sorted(found)

    def _own_mask(self, units: int) -> int:
        return sum((units >> bit & 1) << place for place, bit in enumerate(self._varied))

    def _priced(self, steps: list[Step], index: int, cycles: list[Longs], data: list[Longs]) -> _Moves:
        """Bins and following masks of every move from every mask, above the cheapest completions given."""
        plan, step, up = self._plan, steps[index], self._rounding == "up"
        shape = (len(self._masks), *step.shape)
        cycle_bins, end_cycle_bins = np.zeros(step.shape, np.intp), np.zeros(step.shape[:2], np.intp)
        flash_bins, end_flash_bins = np.zeros(shape, np.intp), np.zeros(step.shape[:2], np.intp)
        next_mask = np.zeros(shape, np.intp)
        if self._limits.cycles is not None:
            extra, ending = _above_cheapest(step, index, step.cycles, cycles)
            cycle_bins[:] = _rounded(extra, self._cycles_a_bin, up)
            end_cycle_bins[:] = _rounded(ending, self._cycles_a_bin, up)
        if self._limits.flash_bytes is not None:
            extra, ending = _above_cheapest(step, index, step.data_bytes, data)
            end_flash_bins[:] = _rounded(ending, self._bytes_a_bin, up)
            own = np.array([self._own_mask(units) for units in step.units.reshape(-1).tolist()])
            own = own.reshape(step.shape)
            place = {mask: number for number, mask in enumerate(self._masks)}
            for number, mask in enumerate(self._masks):
                new = sum(((own & ~mask) >> bit & 1) * size for bit, size in enumerate(self._code))
                flash_bins[number] = _rounded(extra + new, self._bytes_a_bin, up)
                next_mask[number] = np.vectorize(place.__getitem__, otypes=[np.intp])(own | mask)
        is_allowed = np.ones(step.shape, bool)
        if self._limits.ram_bytes is not None:
            deepest = max(int(segment.stack_bytes.max()) for segment in plan.segments.chain)
            stack = deepest if up else step.stack_bytes
            is_allowed = step.live_bytes + stack + plan.model.fixed_ram_bytes <= self._limits.ram_bytes
        return _Moves(step, is_allowed, cycle_bins, flash_bins, next_mask, end_cycle_bins, end_flash_bins)

    def _filled(self) -> list[Counts]:
        """From the end of the walk to its start; index [class, width, mask, cycle room, flash room]."""
        room = (self._cycle_room + 1, self._flash_room + 1)
        end = np.ones((self._moves[-1].step.shape[0], 1, len(self._masks), *room))
        ways: list[Counts] = [end]
        for index in range(len(self._moves) - 1, -1, -1):
            moves, after = self._moves[index], ways[0]
            classes, widths, _ = moves.step.shape
            here = np.zeros((classes, widths, len(self._masks), *room))
            for kind in range(classes):
                for width in range(widths):
                    for mask in range(len(self._masks)):
                        _add_moves(here[kind, width, mask], after, moves, kind, width, mask)
                    if moves.step.may_end:
                        ended = ways[moves.step.following_stage - index - 1][kind, width]
                        shift = moves.end_cycle_bins[kind, width], moves.end_flash_bins[kind, width]
                        _add_shifted(here[kind, width], ended, *shift)
            ways.insert(0, here)
        return ways

    def draw(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` genotypes (count, genes), each member of the rounded set equally likely.

        Raises ValueError when the set is empty.
        """
        if self.total == 0:
            raise ValueError("nothing fits the limits")
        genes = np.zeros((count, self._plan.space.gene_count), np.int16)
        kind, width, mask = (np.zeros(count, np.intp) for _ in range(3))
        cycle_room = np.full(count, self._cycle_room)
        flash_room = np.full(count, self._flash_room)
        resumes_at = np.zeros(count, np.intp)
        for index, moves in enumerate(self._moves):
            step = moves.step
            rows = np.flatnonzero(resumes_at <= index)
            at = (mask[rows], kind[rows], width[rows])
            left = cycle_room[rows][:, None] - moves.cycle_bins[at[1:]]
            left_flash = flash_room[rows][:, None] - moves.flash_bins[at]
            fits = moves.is_allowed[at[1:]] & (left >= 0) & (left_flash >= 0)
            target = (step.target_class[at[1:]], step.target_width[at[1:]], moves.next_mask[at])
            weight = np.where(
                fits, self._ways[index + 1][(*target, np.maximum(left, 0), np.maximum(left_flash, 0))], 0.0
            )
            if step.may_end:
                point = kind[rows], width[rows]
                left_at_end = cycle_room[rows] - moves.end_cycle_bins[point]
                flash_at_end = flash_room[rows] - moves.end_flash_bins[point]
                rooms = np.maximum(left_at_end, 0), np.maximum(flash_at_end, 0)
                ends = self._ways[step.following_stage][(*point, mask[rows], *rooms)]
                ends = np.where((left_at_end >= 0) & (flash_at_end >= 0), ends, 0.0)
                weight = np.concatenate([ends[:, None], weight], axis=1)
            edge = weight.cumsum(axis=1)
            pick = (edge < rng.random(len(rows))[:, None] * edge[:, -1:]).sum(axis=1)
            # A draw of exactly 0 must not fall on a leading move of no weight.
            pick = np.maximum(pick, (weight > 0).argmax(axis=1))
            if step.may_end:
                has_ended = pick == 0
                ending = rows[has_ended]
                resumes_at[ending] = step.following_stage
                cycle_room[ending] -= moves.end_cycle_bins[kind[ending], width[ending]]
                flash_room[ending] -= moves.end_flash_bins[kind[ending], width[ending]]
                rows, pick = rows[~has_ended], pick[~has_ended] - 1
            here = (kind[rows], width[rows], pick)
            masked = (mask[rows], *here)
            cycle_room[rows] -= moves.cycle_bins[here]
            flash_room[rows] -= moves.flash_bins[masked]
            mask[rows] = moves.next_mask[masked]
            kind[rows], width[rows] = step.target_class[here], step.target_width[here]
            for place, column in enumerate(step.columns):
                genes[rows, column] = step.values[pick, place]
        return genes


def _add_moves(here: Counts, after: Counts, moves: _Moves, kind: int, width: int, mask: int) -> None:
    """Add to one point's table the ways of all its moves, moves of equal price together."""
    step = moves.step
    allowed = moves.is_allowed[kind, width]
    at = (kind, width)
    prices = np.stack(
        [
            step.target_class[at], step.target_width[at], moves.next_mask[(mask, *at)],
            moves.cycle_bins[at], moves.flash_bins[(mask, *at)],
        ]
    )[:, allowed]  # fmt: skip
    if prices.shape[1] == 0:
        return
    unique, counts = np.unique(prices, axis=1, return_counts=True)
    for (*to, cycles, flash), times in zip(unique.T.tolist(), counts.tolist(), strict=True):
        source = after[tuple(to)]
        _add_shifted(here, source if times == 1 else times * source, cycles, flash)


def _add_shifted(here: Counts, source: Counts, cycles: int, flash: int) -> None:
    """Add a table (..., cycle room, flash room) as seen after paying a price."""
    rows, columns = here.shape[-2:]
    if cycles < rows and flash < columns:
        here[..., cycles:, flash:] += source[..., : rows - cycles, : columns - flash]


def _cheapest_completions(steps: list[Step], tables: list[Longs]) -> list[Longs]:
    """For each step the least total of its and all later steps' table, (classes, widths)."""
    found = [np.zeros((steps[-1].shape[0], 1), np.int64)]
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        least = (tables[index] + found[0][step.target_class, step.target_width]).min(axis=2)
        if step.may_end:
            least = np.minimum(least, found[step.following_stage - index - 1])
        found.insert(0, least)
    return found


def _above_cheapest(step: Step, index: int, table: Longs, completions: list[Longs]) -> tuple[Longs, Longs]:
    """What each move, and ending the stage here, costs more than the cheapest way on; never negative."""
    here, after = completions[index], completions[index + 1]
    extra = table + after[step.target_class, step.target_width] - here[:, :, None]
    if not step.may_end:
        return extra, np.zeros_like(here)
    return extra, completions[step.following_stage] - here


def _tracked_units(
    plan: CostPlan, steps: list[Step], rounding: Rounding
) -> tuple[list[int], list[Step], int]:
    """Code units whose links the tables follow, steps that charge the others as data, and bytes to keep free.

    Each unit followed may double the tables, so of very many only the largest are. One that a single step can
    link is data of that step, exactly. Of the rest a superset charges each of the k steps that can link it
    with a k-th, and a subset charges every architecture with all: the bounds hold, farther apart.
    """
    common, names = plan.segments.common_units(), plan.segments.unit_names
    sizes = [plan.model.code_bytes[name] for name in names]
    varied = [bit for bit in range(len(names)) if not common >> bit & 1]
    held = [set(step.units.reshape(-1).tolist()) for step in steps]
    uses = {bit: sum(any(mask >> bit & 1 for mask in masks) for masks in held) for bit in varied}
    together = set().union(*held)
    tracked: list[int] = []
    for bit in sorted(varied, key=lambda bit: (-sizes[bit], bit)):
        chosen = sum(1 << other for other in (*tracked, bit))
        if uses[bit] > 1 and _unions({mask & chosen for mask in together}) <= _MOST_MASKS:
            tracked.append(bit)
    rest = [bit for bit in varied if bit not in tracked]
    charged = {bit: sizes[bit] // uses[bit] for bit in rest if rounding == "down" or uses[bit] == 1}
    left = sum(sizes[bit] for bit in rest if bit not in charged)
    priced = []
    for step in steps:
        extra = sum(((step.units >> bit) & 1) * size for bit, size in charged.items())
        priced.append(replace(step, data_bytes=step.data_bytes + np.asarray(extra, np.int64)))
    return sorted(tracked), priced, left


def _unions(singles: set[int]) -> int:
    """How many masks unions of these make; counting ends beyond `_MOST_MASKS`."""
    found = {0}
    for single in singles:
        found |= {mask | single for mask in found}
        if len(found) > _MOST_MASKS:
            break
    return len(found)


def _resolution(room: int | None, bins: int) -> tuple[int, int]:
    """Units a bin, and the budget in whole bins; negative when there is none left."""
    if room is None:
        return 1, 0
    if room < 0:
        return 1, -1
    size = max(1, -(-room // bins))
    return size, room // size


def _rounded(values: npt.NDArray[np.int64], size: int, up: bool) -> npt.NDArray[np.int64]:
    return -(-values // size) if up else values // size


def count_within_ram(plan: CostPlan, limit: int) -> int:
    """Exactly how many architectures need at most `limit` bytes of RAM.

    Stack is a maximum over the walk: for each depth, the networks that stay within it less those that
    stay within the next smaller one, each with the arena that the depth leaves.
    """
    steps = steps_of(plan.segments)
    depths = sorted({int(depth) for step in steps for depth in step.stack_bytes.reshape(-1)})
    total, shallower = 0, -1
    for depth in depths:
        arena = limit - plan.model.fixed_ram_bytes - depth
        total += _count_allowed(steps, arena, depth) - _count_allowed(steps, arena, shallower)
        shallower = depth
    return total


def _count_allowed(steps: list[Step], arena: int, depth: int) -> int:
    """Networks all of whose moves have at most these live bytes and this stack, in whole numbers."""
    ways = [np.ones((steps[-1].shape[0], 1), object)]
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        is_allowed = (step.live_bytes <= arena) & (step.stack_bytes <= depth)
        here = (
            np.where(is_allowed, 1, 0).astype(object) * ways[0][step.target_class, step.target_width]
        ).sum(axis=2)
        if step.may_end:
            here = here + ways[step.following_stage - index - 1]
        ways.insert(0, here)
    return int(ways[0][0, 0])
