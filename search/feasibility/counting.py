"""How many architectures fit budgets: dynamic programs along the segments, with proven bounds.

A table holds, for every point of the walk and every remaining budget, how many ways lead to the end.
Costs are counted above the cheapest completion and rounded to bins: rounding down counts a superset,
rounding up a subset, so the truth lies between. The table also draws from its set uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from search.costs.cost_plan import CostPlan
from search.costs.segments import Longs
from search.costs.transitions import Step, cheapest_completions, steps_of
from search.feasibility.code_walk import walk_of
from search.pareto.fronts import Booleans
from supernet.space.search_space import Genes

Rounding = Literal["down", "up"]
Counts = npt.NDArray[np.floating[Any]]
_MOST_CELLS = 160_000_000
_MOST_JOINT_CELLS = 140_000_000
_WHOLE = 1 << 24
"""Single precision counts exactly up to here."""
_SLACK = 1e-4
"""More than all additions of a table can be off, relatively, in single precision."""


@dataclass(frozen=True)
class Limits:
    """What tables count within: whole cycles, flash and RAM bytes; None where nothing is cut off."""

    cycles: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None


@dataclass(frozen=True)
class _Moves:
    """A step's moves (classes, widths, T): whether they are allowed, their price in cycle bins and bytes of
    data above the cheapest; `end_cycle_bins` and `end_bytes` (classes, widths) price the end of the stage.
    """

    step: Step
    is_allowed: Booleans
    cycle_bins: Longs
    extra_bytes: Longs
    end_cycle_bins: Longs
    end_bytes: Longs


class CompletionTable:
    """Ways to complete a network from every point of the walk within every remaining budget.

    `bins` are the resolutions in cycles and flash (1 where a budget is free). A table that is not `is_kept`
    counts, and does not draw. Source of the idea: counting by dynamic programming over a knapsack, rounded as
    in its approximation schemes.
    """

    def __init__(
        self,
        plan: CostPlan,
        limits: Limits,
        rounding: Rounding,
        cycle_bins: int,
        flash_bins: int,
        *,
        is_kept: bool = True,
    ) -> None:
        self._plan, self._limits, self._is_up = plan, limits, rounding == "up"
        self._has_flash = limits.flash_bytes is not None
        sides = [
            1 if limit is None else min(bins, max(limit, 0)) + 1
            for limit, bins in ((limits.cycles, cycle_bins), (limits.flash_bytes, flash_bins))
        ]
        most = (_MOST_CELLS if min(sides) == 1 else _MOST_JOINT_CELLS) // (sides[0] * sides[1])
        self._walk = walk_of(plan, limits.flash_bytes, charges_least=not self._is_up, most_points=most)
        steps = self._walk.steps
        cycles = cheapest_completions(steps, [step.cycles for step in steps])
        data = cheapest_completions(steps, [step.data_bytes for step in steps])
        room = limits.cycles
        if room is not None:
            room -= plan.model.fixed_cycles + int(cycles[0][0, 0])
        self._cycles_a_bin, self._cycle_room = _resolution(room, cycle_bins)
        self._moves = [self._priced(step, index, cycles, data) for index, step in enumerate(steps)]
        room, grain = limits.flash_bytes, 1
        if room is not None:
            start = int(self._walk.bytes_of(self._walk.need[0][0, 0]))
            room -= plan.fixed_flash_bytes + int(data[0][0, 0]) + start
            room -= self._walk.left if self._is_up else 0
            prices = [moves.extra_bytes.reshape(-1) for moves in self._moves]
            prices += [moves.end_bytes.reshape(-1) for moves in self._moves]
            grain = max(int(np.gcd.reduce(np.concatenate([*prices, self._walk.code]))), 1)
        self._bytes_a_bin, self._flash_room = _resolution(room, flash_bins, grain)
        self.is_exact = (
            (limits.cycles is None or self._cycles_a_bin == 1)
            and (room is None or (self._bytes_a_bin == grain and self._walk.is_exact))
            and limits.ram_bytes is None
        )
        self._ways: dict[int, Counts] = {}
        self.at_least = self.at_most = 0.0
        if min(self._cycle_room, self._flash_room) >= 0 and all(map(len, self._walk.keys)):
            self._fill(is_kept)

    @property
    def total(self) -> float:
        """Number of architectures in the rounded set, rounded itself as the table is."""
        return self.at_least if self._is_up else self.at_most

    def _priced(self, step: Step, index: int, cycles: list[Longs], data: list[Longs]) -> _Moves:
        cycle_bins, end_cycle_bins = np.zeros(step.shape, np.int64), np.zeros(step.shape[:2], np.int64)
        extra_bytes, end_bytes = np.zeros(step.shape, np.int64), np.zeros(step.shape[:2], np.int64)
        if self._limits.cycles is not None:
            extra, ending = _above_cheapest(step, index, step.cycles, cycles)
            cycle_bins = _rounded(extra, self._cycles_a_bin, self._is_up)
            end_cycle_bins = _rounded(ending, self._cycles_a_bin, self._is_up)
        if self._has_flash:
            extra_bytes, end_bytes = _above_cheapest(step, index, step.data_bytes, data)
        is_allowed = np.ones(step.shape, bool)
        if self._limits.ram_bytes is not None:
            deepest = max(int(segment.stack_bytes.max()) for segment in self._plan.segments.chain)
            stack = deepest if self._is_up else step.stack_bytes
            fixed = self._plan.model.fixed_ram_bytes
            is_allowed = step.live_bytes + stack + fixed <= self._limits.ram_bytes
        return _Moves(step, is_allowed, cycle_bins, extra_bytes, end_cycle_bins, end_bytes)

    def _fill(self, is_kept: bool) -> None:
        """From the end of the walk to its start; ways[step][point, cycle room, flash room]."""
        room = (self._cycle_room + 1, self._flash_room + 1)
        dtype = np.float32 if self._has_flash else np.float64
        count = len(self._moves)
        self._ways[count] = np.ones((len(self._walk.keys[count]), *room), dtype)
        for index in range(count - 1, -1, -1):
            here = np.zeros((len(self._walk.keys[index]), *room), dtype)
            kinds, widths, masks = self._walk.points(index)
            for kind, width in sorted(set(zip(kinds.tolist(), widths.tolist(), strict=True))):
                rows = np.flatnonzero((kinds == kind) & (widths == width))
                span = slice(int(rows[0]), int(rows[-1]) + 1)
                self._add_moves(here[span], index, kind, width, masks[span])
                if self._moves[index].step.may_end:
                    self._add_end(here[span], index, kind, width, masks[span])
            self._ways[index] = here
            if not is_kept:
                needed = {moves.step.following_stage for moves in self._moves[:index] if moves.step.may_end}
                for done in [at for at in self._ways if at > index and at not in needed]:
                    del self._ways[done]
        total = float(self._ways[0][0, -1, -1])
        slack = _SLACK if dtype is np.float32 and total >= _WHOLE else 0.0
        size = float(self._plan.space.size())
        self.at_least, self.at_most = min(total * (1.0 - slack), size), min(total * (1.0 + slack), size)

    def _add_moves(self, here: Counts, index: int, kind: int, width: int, masks: Longs) -> None:
        """Add to the points of one class and width the ways of all moves from there, target by target.

        Points that differ only in code which a target's moves and all later ones leave alone count once.
        """
        moves, walk = self._moves[index], self._walk
        step, at = moves.step, (kind, width)
        allowed = moves.is_allowed[at]
        prices = np.stack(
            [
                step.target_class[at],
                step.target_width[at],
                walk.move_units[index][at],
                moves.cycle_bins[at],
                moves.extra_bytes[at],
            ]
        )[:, allowed]
        if prices.shape[1] == 0:
            return
        unique, counts = np.unique(prices, axis=1, return_counts=True)
        targets = unique[:2].T
        for to_kind, to_width in np.unique(targets, axis=0).tolist():
            chosen = (targets == (to_kind, to_width)).all(axis=1)
            move_units, always = unique[2, chosen], int(walk.need[index][at])
            matters = int(np.bitwise_or.reduce(move_units) | walk.may[index + 1][to_kind, to_width]) & ~always
            open_masks, place = np.unique(masks & matters, return_inverse=True)
            part = (
                here if np.array_equal(open_masks, masks) else np.zeros((len(open_masks), *here.shape[1:]), here.dtype)
            )
            to = np.array(to_kind), np.array(to_width)
            arrivals: dict[int, tuple[Longs, Longs]] = {}
            for (units, cycles, extra), times in zip(
                unique[2:, chosen].T.tolist(), counts[chosen].tolist(), strict=True
            ):
                if units not in arrivals:
                    point, charged = walk.arrive(index + 1, *to, open_masks | always | units)
                    arrivals[units] = point, charged + walk.bytes_of(units & ~(open_masks | always))
                point, code = arrivals[units]
                bins = _rounded(extra + code, self._bytes_a_bin, self._is_up)
                self._add(part, index + 1, point, cycles, bins, times)
            if part is not here:
                here += part[place]

    def _add_end(self, here: Counts, index: int, kind: int, width: int, masks: Longs) -> None:
        """Add the ways on when the stage ends before this step."""
        moves, walk = self._moves[index], self._walk
        following = moves.step.following_stage
        linked = masks | int(walk.need[index][kind, width])
        point, charged = walk.arrive(following, np.array(kind), np.array(width), linked)
        bins = _rounded(moves.end_bytes[kind, width] + charged, self._bytes_a_bin, self._is_up)
        self._add(here, following, point, int(moves.end_cycle_bins[kind, width]), bins, 1)

    def _add(self, here: Counts, to: int, point: Longs, cycles: int, bins: Longs, times: int) -> None:
        """Add tables of points `to` a step, as seen after paying so many bins; `bins` (points,) of flash."""
        rows, columns = here.shape[1:]
        if cycles >= rows:
            return
        after = self._ways[to]
        for flash in np.unique(bins).tolist():
            if flash >= columns:
                break
            chosen = np.flatnonzero(bins == flash)
            source = after[point[chosen], : rows - cycles, : columns - flash]
            if times > 1:
                source *= times
            if len(chosen) == len(here):
                here[:, cycles:, flash:] += source
            else:
                here[chosen, cycles:, flash:] += source

    def draw(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` genotypes (count, genes), each member of the rounded set equally likely.

        Raises ValueError when the set is empty.
        """
        if self.total == 0:
            raise ValueError("nothing fits the limits")
        genes = np.zeros((count, self._plan.space.gene_count), np.int16)
        point, resumes_at = np.zeros(count, np.intp), np.zeros(count, np.intp)
        cycle_room, flash_room = np.full(count, self._cycle_room), np.full(count, self._flash_room)
        for index, moves in enumerate(self._moves):
            step, walk = moves.step, self._walk
            rows = np.flatnonzero(resumes_at <= index)
            kinds, widths, masks = (part[point[rows]] for part in walk.points(index))
            at = kinds, widths
            linked = masks | walk.need[index][at]
            move_units = walk.move_units[index][at]
            target, charged = walk.arrive(
                index + 1, step.target_class[at], step.target_width[at], linked[:, None] | move_units
            )
            code = charged + walk.bytes_of(move_units & ~linked[:, None])
            flash_bins = _rounded(moves.extra_bytes[at] + code, self._bytes_a_bin, self._is_up)
            left, left_flash = (
                cycle_room[rows, None] - moves.cycle_bins[at],
                flash_room[rows, None] - flash_bins,
            )
            weight = self._weights(index + 1, target, left, left_flash) * moves.is_allowed[at]
            if step.may_end:
                ended, charged = walk.arrive(step.following_stage, *at, linked)
                end_flash = _rounded(moves.end_bytes[at] + charged, self._bytes_a_bin, self._is_up)
                left_at_end = cycle_room[rows] - moves.end_cycle_bins[at]
                flash_at_end = flash_room[rows] - end_flash
                ends = self._weights(step.following_stage, ended, left_at_end, flash_at_end)
                weight = np.concatenate([ends[:, None], weight], axis=1)
            edge = weight.cumsum(axis=1)
            pick = (edge < rng.random(len(rows))[:, None] * edge[:, -1:]).sum(axis=1)
            # A draw of exactly 0 must not fall on a leading move of no weight.
            pick = np.maximum(pick, (weight > 0).argmax(axis=1))
            place = np.arange(len(rows))
            if step.may_end:
                has_ended = pick == 0
                ending = rows[has_ended]
                resumes_at[ending] = step.following_stage
                cycle_room[ending], flash_room[ending] = left_at_end[has_ended], flash_at_end[has_ended]
                point[ending] = ended[has_ended]
                rows, pick, place = rows[~has_ended], pick[~has_ended] - 1, place[~has_ended]
            cycle_room[rows], flash_room[rows] = left[place, pick], left_flash[place, pick]
            point[rows] = target[place, pick]
            for number, column in enumerate(step.columns):
                genes[rows, column] = step.values[pick, number]
        return genes

    def _weights(self, index: int, point: Longs, cycles: Longs, flash: Longs) -> npt.NDArray[np.float64]:
        """Ways from points before step `index` within rooms of one shape; none where a room is negative."""
        ways = self._ways[index][point, np.maximum(cycles, 0), np.maximum(flash, 0)]
        return np.where((cycles >= 0) & (flash >= 0), ways, 0.0).astype(np.float64)


def bounds(plan: CostPlan, limits: Limits, cycle_bins: int, flash_bins: int) -> tuple[float, float]:
    """Between which numbers the number of architectures within limits lies; equal ones are the number."""
    table = CompletionTable(plan, limits, "up", cycle_bins, flash_bins, is_kept=False)
    if table.is_exact:
        return table.at_least, table.at_most
    upper = CompletionTable(plan, limits, "down", cycle_bins, flash_bins, is_kept=False).total
    return table.total, upper


def _above_cheapest(step: Step, index: int, table: Longs, completions: list[Longs]) -> tuple[Longs, Longs]:
    """What each move, and ending the stage here, costs more than the cheapest way on; never negative."""
    here, after = completions[index], completions[index + 1]
    extra = table + after[step.target_class, step.target_width] - here[:, :, None]
    if not step.may_end:
        return extra, np.zeros_like(here)
    return extra, completions[step.following_stage] - here


def _resolution(room: int | None, bins: int, grain: int = 1) -> tuple[int, int]:
    """Units a bin, a multiple of `grain`, and the budget in whole bins; negative when there is none left."""
    if room is None:
        return 1, 0
    if room < 0:
        return 1, -1
    size = max(1, -(-room // (bins * grain))) * grain
    return size, room // size


def _rounded(values: Any, size: int, up: bool) -> Longs:
    bins: Longs = np.asarray(-(-values // size) if up else values // size, np.int64)
    return bins


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
        here = (np.where(is_allowed, 1, 0).astype(object) * ways[0][step.target_class, step.target_width]).sum(axis=2)
        if step.may_end:
            here = here + ways[step.following_stage - index - 1]
        ways.insert(0, here)
    return int(ways[0][0, 0])
