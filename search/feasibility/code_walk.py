"""The walk with memory: from every point, which code is linked already and which later steps may still link.

A point of the walk is (class, width, linked code). Only code that later steps may or may not use is
remembered: what every way on uses is charged on arrival, what none uses is forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from search.costs.cost_plan import CostPlan
from search.costs.segments import Longs
from search.costs.transitions import Step, cheapest_completions, steps_of

_MOST_UNITS = 48
_FAR = 1 << 50
_MOST_POINTS = 32_000


@dataclass(frozen=True)
class Walk:
    """Steps and the points before each of them, and after the last: sorted keys, as `_key` makes them.

    `move_units` are the tracked units of every move, `may` and `need` (classes, widths) those that some and all
    ways on from there link; `code` their bytes. Units that are not tracked are charged in the steps' data,
    or, `left` bytes of them, to every architecture. `is_exact` tells that each is charged as it is linked.
    """

    steps: list[Step]
    move_units: list[Longs]
    may: list[Longs]
    need: list[Longs]
    keys: list[Longs]
    code: Longs
    left: int
    is_exact: bool

    @property
    def bits(self) -> int:
        """Bits of a mask."""
        return len(self.code)

    def bytes_of(self, masks: Longs) -> Longs:
        """Code bytes of masks of tracked units, of any shape."""
        total = np.zeros(np.shape(masks), np.int64)
        for bit, size in enumerate(self.code.tolist()):
            total += (masks >> bit & 1) * size
        return total

    def points(self, index: int) -> tuple[Longs, Longs, Longs]:
        """Class, width and linked units of the points before step `index`."""
        places, masks = self.keys[index] >> self.bits, self.keys[index] & ((1 << self.bits) - 1)
        widths = self.need[index].shape[1]
        return places // widths, places % widths, masks

    def arrive(self, index: int, kind: Longs, width: Longs, linked: Longs) -> tuple[Longs, Longs]:
        """The point before step `index` and the bytes charged there, of those that have linked so much; more
        than any budget where no walk within the limit has such a point.
        """
        keys, wanted = self.keys[index], _key(self, index, kind, width, linked)
        point = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        charged = self.bytes_of(self.need[index][kind, width] & ~linked)
        return point, np.where(keys[point] == wanted, charged, _FAR)


def _key(walk: Walk, index: int, kind: Longs, width: Longs, linked: Longs) -> Longs:
    may, need = walk.may[index], walk.need[index]
    open_units = linked & may[kind, width] & ~need[kind, width]
    keys: Longs = ((kind * need.shape[1] + width) << walk.bits) | open_units
    return keys


def walk_of(plan: CostPlan, flash_bytes: int | None, *, charges_least: bool, most_points: int) -> Walk:
    """The walk within a limit on flash that follows as much code as `most_points` points allow, the largest
    units first; without a limit it follows none.

    Of units not followed, one that a single step can link is data of that step, exactly. Of the rest, with
    `charges_least`, each of the k steps that can link a unit is charged a k-th; else every architecture is
    charged all of it. So flash is never overstated, or never understated.
    """
    steps = steps_of(plan.segments)
    groups = sorted(_groups(plan, steps), key=lambda group: (-group.size, group.bits))
    shared = [group for group in groups if group.uses > 1][:_MOST_UNITS]

    def walk(tracked: list[_Group], most: float) -> Walk | None:
        priced = _tracked(steps, groups, tracked, charges_least)
        room = _FAR if flash_bytes is None else flash_bytes - plan.fixed_flash_bytes - priced.left
        return _reached(priced, room, most)

    if flash_bytes is not None and (whole := walk(shared, min(most_points, _MOST_POINTS))):
        return whole
    # Bounds are then apart whatever the effort.
    most = min(most_points, _MOST_POINTS // 8)
    fitting, too_many = 0, len(shared) if flash_bytes is not None else 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if walk(shared[:middle], most):
            fitting = middle
        else:
            too_many = middle
    coarse = walk(shared[:fitting], np.inf)
    assert coarse is not None
    return coarse


@dataclass(frozen=True)
class _Group:
    """Code units that are always linked together, their bytes, and how many steps can link them."""

    bits: int
    size: int
    uses: int


def _groups(plan: CostPlan, steps: list[Step]) -> list[_Group]:
    common, names = plan.segments.common_units(), plan.segments.unit_names
    step_masks = [set(step.units.reshape(-1).tolist()) for step in steps]
    together = sorted(set().union(*step_masks))
    alike: dict[tuple[bool, ...], list[int]] = defaultdict(list)
    for bit in range(len(names)):
        if not common >> bit & 1:
            alike[tuple(bool(mask >> bit & 1) for mask in together)].append(bit)
    groups = []
    for bits in alike.values():
        uses = sum(any(mask >> bits[0] & 1 for mask in masks) for masks in step_masks)
        size = sum(plan.model.code_bytes[names[bit]] for bit in bits)
        groups.append(_Group(sum(1 << bit for bit in bits), size, uses))
    return groups


@dataclass(frozen=True)
class _Tracked:
    """Steps that charge what is not tracked, the tracked groups, and what to charge everyone."""

    steps: list[Step]
    groups: list[_Group]
    left: int
    is_exact: bool


def _tracked(steps: list[Step], groups: list[_Group], tracked: list[_Group], charges_least: bool) -> _Tracked:
    rest = [group for group in groups if group not in tracked]
    charged = {group: group.size // group.uses for group in rest if charges_least or group.uses == 1}
    left = sum(group.size for group in rest if group not in charged)
    priced = []
    for step in steps:
        extra = np.zeros(step.shape, np.int64)
        for group, size in charged.items():
            extra += (step.units & group.bits).astype(bool) * size
        priced.append(replace(step, data_bytes=step.data_bytes + extra))
    return _Tracked(priced, tracked, left, all(group.uses == 1 for group in rest))


def _reached(tracked: _Tracked, room: int, most_points: float) -> Walk | None:
    """The walk with all points from which flash may stay within `room`; None for more than `most_points`."""
    steps, groups = tracked.steps, tracked.groups
    move_units = []
    for step in steps:
        masks = np.zeros(step.shape, np.int64)
        for bit, group in enumerate(groups):
            masks |= (step.units & group.bits).astype(bool).astype(np.int64) << bit
        move_units.append(masks)
    may = [np.zeros((steps[-1].shape[0], 1), np.int64)]
    need = [may[0].copy()]
    for index in range(len(steps) - 1, -1, -1):
        step, to = steps[index], (steps[index].target_class, steps[index].target_width)
        some = np.bitwise_or.reduce(move_units[index] | may[0][to], axis=2)
        every = np.bitwise_and.reduce(move_units[index] | need[0][to], axis=2)
        if step.may_end:
            some = some | may[step.following_stage - index - 1]
            every = every & need[step.following_stage - index - 1]
        may.insert(0, some)
        need.insert(0, every)
    code = np.array([group.size for group in groups], np.int64)
    walk = Walk(steps, move_units, may, need, [], code, tracked.left, tracked.is_exact)
    ahead = cheapest_completions(steps, [step.data_bytes for step in steps])
    fresh: list[list[tuple[Longs, Longs]]] = [[] for _ in range(len(steps) + 1)]
    fresh[0] = [(np.zeros(1, np.int64), walk.bytes_of(need[0][:1, 0]))]
    count = 0
    for index in range(len(steps) + 1):
        keys, least = _cheapest_of_each(fresh[index])
        places = keys >> walk.bits
        kept = least + ahead[index].reshape(-1)[places] <= room
        walk.keys.append(keys[kept])
        count += int(kept.sum())
        if count > most_points:
            return None
        if index < len(steps):
            _spread(walk, index, least[kept], fresh)
    return walk


def _cheapest_of_each(arrivals: list[tuple[Longs, Longs]]) -> tuple[Longs, Longs]:
    """Distinct keys, sorted, and the least bytes of each."""
    nothing = np.zeros(0, np.int64)
    keys = np.concatenate([nothing, *(part for part, _ in arrivals)])
    spent = np.concatenate([nothing, *(part for _, part in arrivals)])
    order = np.lexsort((spent, keys))
    keys, spent = keys[order], spent[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first], spent[is_first]


def _spread(walk: Walk, index: int, spent: Longs, fresh: list[list[tuple[Longs, Longs]]]) -> None:
    """Add the points that step `index` leads to from those before it, with the bytes `spent` so far."""
    step = walk.steps[index]
    kinds, widths, masks = walk.points(index)
    linked = masks | walk.need[index][kinds, widths]

    def reach(at: int, kind: Longs, width: Longs, linked_units: Longs, bytes_there: Longs) -> None:
        charged = walk.bytes_of(walk.need[at][kind, width] & ~linked_units)
        fresh[at].append(_cheapest_of_each([(_key(walk, at, kind, width, linked_units), bytes_there + charged)]))

    if step.may_end:
        reach(step.following_stage, kinds, widths, linked, spent)
    for kind, width in sorted(set(zip(kinds.tolist(), widths.tolist(), strict=True))):
        at = (kinds == kind) & (widths == width)
        here, before, place = linked[at], spent[at], (kind, width)
        moves = np.stack([step.target_class[place], step.target_width[place], walk.move_units[index][place]])
        kinds_of_moves, number = np.unique(moves, axis=1, return_inverse=True)
        cheapest = np.full(kinds_of_moves.shape[1], _FAR)
        np.minimum.at(cheapest, number.reshape(-1), step.data_bytes[place])
        for (to_kind, to_width, units), data in zip(kinds_of_moves.T, cheapest.tolist(), strict=True):
            code = walk.bytes_of(units & ~here)
            reach(index + 1, to_kind, to_width, here | units, before + data + code)
