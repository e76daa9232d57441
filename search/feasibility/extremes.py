"""The smallest and largest achievable value of each cost, exactly, by dynamic programming.

Cycles are a sum; flash a sum plus the union of linked code; memory a maximum plus a maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import add, or_
from types import MappingProxyType
from typing import Any

import numpy as np

from search.costs.cost_plan import CostPlan
from search.costs.names import COST_NAMES
from search.costs.segments import Longs, Segment
from search.costs.transitions import Step, steps_of
from supernet.space.arch import Arch
from supernet.space.search_space import Genes

Choices = tuple[tuple[int, int], ...]
_NEVER = np.int64(1 << 56)


@dataclass(frozen=True)
class Extreme:
    """A smallest or largest achievable cost and an architecture that has it."""

    value: float
    arch: Arch


@lru_cache(maxsize=4)
def smallest_costs(plan: CostPlan) -> Mapping[str, Extreme]:
    """The exact minimum over the whole space of each cost, by name; found once for a plan.

    Of streaming steps, where the plan costs them, the latency alone: infinite when nothing streams.
    """
    cycles = _least_cycles(plan)
    step = None if plan.steps is None else _least_cycles(plan.steps)
    return _named(plan, cycles, _smallest_flash(plan), _smallest_ram(plan), step)


@lru_cache(maxsize=4)
def largest_costs(plan: CostPlan) -> Mapping[str, Extreme]:
    """The exact maximum over the whole space of each cost, by name; found once for a plan."""
    steps = steps_of(plan.segments)
    names = plan.segments.unit_names
    sizes = [plan.model.code_bytes[name] for name in names]
    cycles = _dearest(steps, [step.cycles for step in steps], None, is_sum=True)

    def code(units: int) -> int:
        return sum(size for bit, size in enumerate(sizes) if units >> bit & 1)

    data, units = [step.data_bytes for step in steps], [step.units for step in steps]
    flash = _dearest(steps, data, units, is_sum=True, code=cache(code))
    ram = _dearest(steps, [step.live_bytes for step in steps], [step.stack_bytes for step in steps], is_sum=False)

    def best(ends: dict[int, tuple[int, Choices]], price: Callable[[int], int]) -> Genes:
        key = max(ends, key=lambda end: ends[end][0] + price(end))
        return _genes_of(plan, ends[key][1])

    return _named(plan, best(cycles, lambda _: 0), best(flash, code), best(ram, lambda depth: depth))


def _least_cycles(plan: CostPlan) -> Genes:
    genes = _cheapest(plan, [segment.cycles for segment in plan.segments.chain], is_sum=True)
    assert genes is not None
    return genes


def _named(plan: CostPlan, cycles: Genes, flash: Genes, ram: Genes, step: Genes | None = None) -> Mapping[str, Extreme]:
    winners = {name: cycles for name in COST_NAMES} | {"flash_bytes": flash, "peak_ram_bytes": ram}
    if step is not None:
        winners["step_latency_ms"] = step
    extremes = {}
    for name, genes in winners.items():
        costs = plan.costs(genes[None])
        value = costs.row(0)[name] if name in COST_NAMES else float(costs.column(name)[0])
        extremes[name] = Extreme(value, plan.space.decode(genes[None])[0])
    return MappingProxyType(extremes)


def _dearest(
    steps: list[Step],
    values: list[Longs],
    keys: list[Any] | None,
    *,
    is_sum: bool,
    code: Callable[[int], int] | None = None,
) -> dict[int, tuple[int, Choices]]:
    """Per key at the end of the walk: the largest total (or entry) of `values`, and the moves to it.

    Keys unite along the walk: bit masks by `or` where values add up, depths by maximum otherwise. With
    `code`, the bytes of a mask's units, walks that cannot become the largest of all are dropped on the way.
    """
    unite: Callable[[int, int], int] = or_ if is_sum else max
    total: Callable[[int, int], int] = add if is_sum else max
    points: list[dict[tuple[int, int, int], tuple[int, Choices]]] = [{} for _ in range(len(steps) + 1)]
    points[0][0, 0, 0] = (0, ())
    for index, step in enumerate(steps):
        table = values[index].tolist()
        step_keys = np.zeros(step.shape, np.int64).tolist() if keys is None else keys[index].tolist()
        if code is not None:
            points[index] = _undominated(points[index], code)
        to_class, to_width = step.target_class.tolist(), step.target_width.tolist()
        for (kind, width, key), (value, choices) in points[index].items():
            if step.may_end:
                _keep(points[step.following_stage], (kind, width, key), value, choices)
            cells = zip(
                to_class[kind][width],
                to_width[kind][width],
                step_keys[kind][width],
                table[kind][width],
                strict=True,
            )
            # Of moves that lead to one point only the dearest can matter.
            dearest: dict[tuple[int, int, int], tuple[int, int]] = {}
            for pick, (after, wide, unit, amount) in enumerate(cells):
                point = after, wide, unite(key, unit)
                if point not in dearest or amount > dearest[point][0]:
                    dearest[point] = amount, pick
            for point, (amount, pick) in dearest.items():
                _keep(points[index + 1], point, total(value, amount), (*choices, (index, pick)))
    ends: dict[int, tuple[int, Choices]] = {}
    for (_, _, key), (value, choices) in points[-1].items():
        if key not in ends or value > ends[key][0]:
            ends[key] = value, choices
    return ends


def _undominated(
    points: dict[tuple[int, int, int], tuple[int, Choices]], code: Callable[[int], int]
) -> dict[tuple[int, int, int], tuple[int, Choices]]:
    """Without those that another of the same class and width beats however they go on: it is ahead by more
    than all the code that only they have linked.
    """
    kept: dict[tuple[int, int, int], tuple[int, Choices]] = {}
    at: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for point, reached in sorted(points.items(), key=lambda item: -item[1][0] - code(item[0][2])):
        kind, width, mask = point
        ahead = at.setdefault((kind, width), [])
        if all(value < reached[0] + code(mask & ~other) for value, other in ahead):
            ahead.append((reached[0], mask))
            kept[point] = reached
    return kept


def _keep(
    points: dict[tuple[int, int, int], tuple[int, Choices]],
    point: tuple[int, int, int],
    value: int,
    choices: Choices,
) -> None:
    if point not in points or value > points[point][0]:
        points[point] = value, choices


def _genes_of(plan: CostPlan, choices: Choices) -> Genes:
    genes = np.zeros(plan.space.gene_count, np.int16)
    steps = steps_of(plan.segments)
    for index, pick in choices:
        genes[list(steps[index].columns)] = steps[index].values[pick]
    return genes


def _cheapest(plan: CostPlan, tables: list[Longs], *, is_sum: bool) -> Genes | None:
    """Genes (genes,) with the smallest total (or largest entry) of one table per segment.

    An entry of `_NEVER` or more is forbidden; None when every architecture has one.
    """
    combine = np.add if is_sum else np.maximum
    count = plan.space.gene_count
    value: Longs = np.zeros((0, 0), np.int64)
    genes = np.zeros((0, 0, count), np.int16)
    ended = (value, genes)
    for segment, table in zip(plan.segments.chain, tables, strict=True):
        rates = np.arange(table.shape[0])[:, None]
        if segment.kind == "stem":
            sensors = table.argmin(axis=1)
            value = table.min(axis=1)
            genes = np.zeros((*value.shape, count), np.int16)
            genes[..., 0] = rates
            genes[..., 1] = sensors
            genes[..., 2] = np.arange(value.shape[1])
            ended = (np.full_like(value, _NEVER), genes)
            continue
        if segment.kind in ("first", "head"):
            value, genes = _better((value, genes), ended)
        if segment.kind == "head":
            value = combine(value, table)
            continue
        if segment.kind == "first":
            totals = combine(value[:, :, None, None], table[..., 1:])
            options = totals.shape[3]
            flat = totals.transpose(0, 2, 1, 3).reshape(totals.shape[0], totals.shape[2], -1)
            pick = flat.argmin(axis=2)
            value = flat.min(axis=2)
            genes = genes[rates, pick // options].copy()
            genes[..., segment.columns[2]] = np.arange(value.shape[1])
            genes[..., segment.columns[3]] = pick % options + 1
            ended = (np.full_like(value, _NEVER), genes)
        else:
            if segment.may_be_absent:
                ended = _better(ended, (value, genes))
            totals = combine(value[:, :, None], table[..., 1:])
            value = totals.min(axis=2)
            genes = genes.copy()
            genes[..., segment.columns[2]] = totals.argmin(axis=2) + 1
    best = np.unravel_index(value.argmin(), value.shape)
    return None if value[best] >= _NEVER else genes[best]


def _better(first: tuple[Longs, Genes], second: tuple[Longs, Genes]) -> tuple[Longs, Genes]:
    is_second = second[0] < first[0]
    return np.where(is_second, second[0], first[0]), np.where(is_second[..., None], second[1], first[1])


def _smallest_ram(plan: CostPlan) -> Genes:
    """For every stack depth that occurs: the smallest arena among architectures that stay within it."""
    chain = plan.segments.chain
    candidates = []
    for level in sorted({int(depth) for segment in chain for depth in segment.stack_bytes.reshape(-1)}):
        tables = [np.where(segment.stack_bytes <= level, segment.live_bytes, _NEVER) for segment in chain]
        genes = _cheapest(plan, tables, is_sum=False)
        if genes is not None:
            candidates.append(genes)
    rows = np.stack(candidates)
    return rows[plan.costs(rows).peak_ram_bytes.argmin()]


def _smallest_flash(plan: CostPlan) -> Genes:
    """Branch and bound over code units: each is either forbidden, or counted whether used or not."""
    chain, names = plan.segments.chain, plan.segments.unit_names
    sizes = [plan.model.code_bytes[name] for name in names]

    def code(units: int) -> int:
        return sum(size for bit, size in enumerate(sizes) if units >> bit & 1)

    best: tuple[int, Genes] | None = None
    nodes = [(plan.segments.common_units(), 0)]
    while nodes:
        counted, forbidden = nodes.pop()
        tables = [np.where((segment.units & forbidden).astype(bool), _NEVER, segment.data_bytes) for segment in chain]
        genes = _cheapest(plan, tables, is_sum=True)
        if genes is None:
            continue
        picked = [segment_entry(segment, genes) for segment in chain]
        data = sum(int(segment.data_bytes[at]) for segment, at in zip(chain, picked, strict=True))
        used = 0
        for segment, at in zip(chain, picked, strict=True):
            used |= segment.units[at]
        if best is None or data + code(used) < best[0]:
            best = data + code(used), genes
        open_units = used & ~counted
        if data + code(counted) < best[0] and open_units:
            largest = max((bit for bit in range(len(sizes)) if open_units >> bit & 1), key=sizes.__getitem__)
            nodes += [(counted | 1 << largest, forbidden), (counted, forbidden | 1 << largest)]
    assert best is not None
    return best[1]


def segment_entry(segment: Segment, genes: Genes) -> tuple[int, ...]:
    """Index into a segment's tables for one row of genes (genes,)."""
    return tuple(int(genes[column]) for column in segment.columns)
