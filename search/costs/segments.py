"""A search space cut into segments: tables of what the stem, each block position and the head cost.

A network is a chain of segments and each one's cost depends on a few genes. The cost plan gathers
from these tables; the feasibility tables are dynamic programs over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, reduce
from itertools import product
from operator import and_, or_
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.schedule.memory import aligned, step_bytes
from hwmodels.schedule.step_graph import StreamingError
from search.costs.segment_nodes import SegmentNodes
from supernet.space.lowering import Pair
from supernet.space.search_space import SearchSpace

Longs = npt.NDArray[np.int64]


CANNOT_STREAM = -(1 << 40)
"""Far below what any states could make up for."""
_CANNOT_CYCLES = 1 << 34
"""Far above what any network takes, so that no least sum contains it."""


class OpCost(Protocol):
    """What one operation adds; hwmodels.cost.network_cost.OpCost is one."""

    @property
    def cycles(self) -> int: ...
    @property
    def data_bytes(self) -> int: ...
    @property
    def code_units(self) -> frozenset[str]: ...
    @property
    def stack_bytes(self) -> int: ...
    @property
    def scratch_bytes(self) -> int: ...


class OpCosts(Protocol):
    """Where operations' costs come from; hwmodels.cost.network_cost.CostModel is one."""

    def op_cost(self, op: Op, /) -> OpCost:
        """Cost of one operation; raises when there is no entry for it."""

    def deployed(self, graph: LayerGraph, /) -> LayerGraph:
        """The operations that run of a graph, or of a part of one that blocks make up."""


@dataclass(frozen=True)
class Segment:
    """Costs of one part of the chain for every value of the genes it depends on.

    `kind` is "stem", "first" (first block of a stage), "later" or "head"; `columns` are its gene
    columns. Each table has one axis for each column, as long as that gene has values: the last axis
    of a block counts its options from 1, entry 0 being the absent block, which costs nothing.
    `units` holds bit masks over the space's code units, as Python integers of any length. `state_bytes` is
    what a streaming step keeps, CANNOT_STREAM where there is no such step, and 0 in window mode.
    """

    kind: str
    columns: tuple[int, ...]
    may_be_absent: bool
    cycles: Longs
    data_bytes: Longs
    live_bytes: Longs
    stack_bytes: Longs
    units: npt.NDArray[np.object_]
    state_bytes: Longs

    @property
    def valid_units(self) -> Iterator[int]:
        """The masks of entries that an architecture can have."""
        is_block = self.kind in ("first", "later")
        masks = self.units[..., 1:] if is_block and not self.may_be_absent else self.units
        yield from set(masks.reshape(-1).tolist())


@dataclass(frozen=True)
class Segments:
    """All segments of a space in network order, and the names of the code units in mask order."""

    chain: tuple[Segment, ...]
    unit_names: tuple[str, ...]

    def common_units(self) -> int:
        """Mask of units that every architecture links, because some segment always does."""
        return reduce(or_, (reduce(and_, segment.valid_units) for segment in self.chain))


@dataclass(frozen=True)
class _Part:
    cycles: int
    data_bytes: int
    live_bytes: int
    stack_bytes: int
    units: frozenset[str]
    state_bytes: int


_ABSENT = _Part(0, 0, 0, 0, frozenset(), 0)
_CANNOT = _Part(_CANNOT_CYCLES, 0, 0, 0, frozenset(), CANNOT_STREAM)


def segments_of(space: SearchSpace, costs: OpCosts, step_s: float | None = None) -> Segments:
    """Cost every entry of every segment of the space. Raises what `costs` raises for a missing entry.

    With `step_s`, of streaming steps on so many seconds of new samples instead of whole windows.
    """
    known: dict[tuple[str | int, ...], OpCost] = {}

    def op_cost(op: Op) -> OpCost:
        if op.shape not in known:
            known[op.shape] = costs.op_cost(op)
        return known[op.shape]

    @cache
    def part(nodes: tuple[Pair, ...], is_stem: bool) -> _Part:
        graph = costs.deployed(LayerGraph(nodes))
        counted = list(graph)[0 if is_stem else 1 :]
        op_costs = [op_cost(op) for op in counted]
        scratch = {op.name: cost.scratch_bytes for op, cost in zip(counted, op_costs, strict=True)}
        return _Part(
            sum(cost.cycles for cost in op_costs),
            sum(cost.data_bytes for cost in op_costs),
            max(step_bytes(graph, scratch)),
            max(cost.stack_bytes for cost in op_costs),
            frozenset().union(*(cost.code_units for cost in op_costs)),
            sum(aligned(op.state_bytes) for op in counted),
        )

    sizes = (space.highs + 1).tolist()
    tables = []
    for kind, columns, may_be_absent, nodes_at in SegmentNodes(space, step_s).walk():
        shape = tuple(sizes[column] for column in columns)
        parts = []
        for genes in product(*map(range, shape)):
            try:
                nodes = nodes_at(*genes)
            except StreamingError:
                parts.append(_CANNOT)
                continue
            parts.append(_ABSENT if nodes is None else part(tuple(nodes), kind == "stem"))
        tables.append((kind, columns, may_be_absent, shape, parts))
    return _tabulated(tables)


def _tabulated(tables: list[tuple[str, tuple[int, ...], bool, tuple[int, ...], list[_Part]]]) -> Segments:
    """Segments of kind, gene columns, whether absent, shape, and the parts of all entries in order."""
    names = sorted({unit for *_, parts in tables for entry in parts for unit in entry.units})
    bit = {name: 1 << index for index, name in enumerate(names)}

    def table(values: Iterable[int], shape: tuple[int, ...]) -> Longs:
        return np.array(list(values), np.int64).reshape(shape)

    chain = []
    for kind, columns, may_be_absent, shape, parts in tables:
        masks = np.empty(len(parts), object)
        masks[:] = [sum(bit[unit] for unit in entry.units) for entry in parts]
        chain.append(
            Segment(
                kind,
                columns,
                may_be_absent,
                table((entry.cycles for entry in parts), shape),
                table((entry.data_bytes for entry in parts), shape),
                table((entry.live_bytes for entry in parts), shape),
                table((entry.stack_bytes for entry in parts), shape),
                masks.reshape(shape),
                table((entry.state_bytes for entry in parts), shape),
            )
        )
    return Segments(tuple(chain), tuple(names))


def required_ops(
    space: SearchSpace,
    step_s: float | None = None,
    deployed: Callable[[LayerGraph], LayerGraph] | None = None,
) -> list[Op]:
    """Every distinct operation shape that some architecture of the space runs, in a fixed order.

    With `step_s`, those of the streaming steps of architectures that have one, instead of the windows'; with
    `deployed`, those of what it makes of graphs. For building a look-up table; names are those of the first
    operation found with the shape.
    """

    @cache
    def ops_of(nodes: tuple[Pair, ...]) -> list[Op]:
        return list(deployed(LayerGraph(nodes)) if deployed and nodes else (op for op, _ in nodes))

    ops: dict[tuple[str | int, ...], Op] = {}
    sizes = (space.highs + 1).tolist()
    for kind, columns, _, nodes_at in SegmentNodes(space, step_s).walk():
        for genes in product(*(range(sizes[column]) for column in columns)):
            nodes: Sequence[Pair] = ()
            with suppress(StreamingError):
                nodes = nodes_at(*genes) or ()
            for op in ops_of(tuple(nodes))[0 if kind == "stem" else 1 :]:
                ops.setdefault(op.shape, op)
    return list(ops.values())
