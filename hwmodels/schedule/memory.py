"""Where every tensor lies in the one activation arena: liveness over the graph, then placement.

Reads a LayerGraph and each operation's scratch bytes; the code generator takes the offsets, the
cost model the largest live set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hwmodels.basics.errors import MemoryPlanError
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.operation_kind import kind_of
from hwmodels.schedule.striped_block import StripedBlock

ALIGNMENT_BYTES = 4
_SEARCH_STEPS = 4000

Bytes = TypeVar("Bytes", int, np.ndarray)


def aligned(size: Bytes) -> Bytes:
    """`size` bytes rounded up to the arena's alignment; works on integers and integer arrays."""
    return (size + (ALIGNMENT_BYTES - 1)) // ALIGNMENT_BYTES * ALIGNMENT_BYTES


def may_write_over_input(op: Op, scratch_bytes: int) -> bool:
    """Whether the op's kernel may make its output where its first operand lies.

    An add may; so may a depthwise convolution that keeps its samples in scratch, as all but the exact one do:
    it reads all samples of four channels before it writes any output of theirs. A block in stripes has read
    what lies where its outputs go, as these are no larger than what they are made of; where smaller, they end
    anywhere in its input's place.
    """
    if kind_of(op).keeps_input_in_scratch:
        return scratch_bytes > 0 and op.output_bytes <= op.input_bytes
    return op.may_write_over_operand


@dataclass(frozen=True)
class MemoryPlan:
    """Byte offsets into the arena, one for each tensor (named by its op) and each op's scratch.

    Ops without an output tensor (heads) have no offset; ops without scratch have no scratch offset.
    `lower_bound_bytes` is the largest live set; `arena_bytes` equals it wherever a plan that tight
    was found. The caller places the network's input at the input op's offset. What histories keep between
    executions lies after all else, at `state_offsets`, and counts in both sizes.
    """

    offsets: Mapping[str, int]
    scratch_offsets: Mapping[str, int]
    scratch_bytes: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    state_offsets: Mapping[str, int] = field(default_factory=dict)

    def verify(self, graph: LayerGraph) -> None:
        """Prove by executing ownership byte for byte that no op reads what another has overwritten.

        Independent of how the plan was made. Raises MemoryPlanError naming the op.
        """
        owner = np.full(self.arena_bytes, -1)
        states = {op.name: self._range(op.name, self.state_offsets, op.state_bytes) for op in graph}
        for index, state in enumerate(states.values()):
            owner[state.start : state.stop] = len(graph) + index
        for index, op in enumerate(graph):
            scratch = self._range(op.name, self.scratch_offsets, self.scratch_bytes.get(op.name, 0))
            output = self._range(op.name, self.offsets, op.output_bytes)
            for source in graph.sources(op.name):
                held = self._range(source, self.offsets, graph[source].output_bytes)
                producer = next(i for i, other in enumerate(graph) if other.name == source)
                if not (owner[held.start : held.stop] == producer).all():
                    raise MemoryPlanError(f"op {op.name!r}: its input {source!r} was overwritten")
                if _overlap(held, scratch):
                    raise MemoryPlanError(f"op {op.name!r}: scratch overlaps its input {source!r}")
                is_in_place = held.start == output.start and may_write_over_input(op, len(scratch))
                if isinstance(op, StripedBlock):
                    op.prove(held.start, self.work_offset(op, source), scratch.start, len(scratch))
                    is_in_place = self.work_offset(op, source) == held.start
                if _overlap(held, output) and not is_in_place:
                    raise MemoryPlanError(f"op {op.name!r}: output overlaps its input {source!r}")
            if _overlap(scratch, output):
                raise MemoryPlanError(f"op {op.name!r}: output overlaps its scratch")
            owner[scratch.start : scratch.stop] = -1
            owner[output.start : output.stop] = index
        for index, (name, state) in enumerate(states.items()):
            if not (owner[state.start : state.stop] == len(graph) + index).all():
                raise MemoryPlanError(f"op {name!r}: what it keeps between executions was overwritten")

    def work_offset(self, op: Op, source: str) -> int:
        """Where a block in stripes makes its output before it is moved: over the input, if it ends there."""
        start, end = self.offsets[source], self.offsets[op.name]
        is_inside = start <= end and end + op.output_bytes <= start + op.input_bytes
        return start if is_inside else end

    def _range(self, name: str, offsets: Mapping[str, int], size: int) -> range:
        if size == 0:
            return range(0)
        start = offsets.get(name)
        if start is None:
            raise MemoryPlanError(f"op {name!r}: has no place in the arena")
        if start % ALIGNMENT_BYTES or start < 0 or start + size > self.arena_bytes:
            raise MemoryPlanError(f"op {name!r}: offset {start} is unaligned or leaves the arena")
        return range(start, start + size)


def _overlap(first: range, second: range) -> bool:
    return max(first.start, second.start) < min(first.stop, second.stop)


@dataclass(frozen=True)
class _Step:
    """One operation seen from the arena: sizes aligned, `dying` are buffers nothing reads afterwards.

    Where `within` names a buffer, it dies and what the op makes ends in its place, in less of it.
    """

    name: str
    buffer: str
    output_bytes: int
    scratch_bytes: int
    inputs: tuple[str, ...]
    dying: tuple[str, ...]
    within: str | None


def _steps(graph: LayerGraph, scratch: Mapping[str, int]) -> list[_Step]:
    """Liveness: which buffer each op writes (its dying first operand's if it may), and which end with it."""
    ops = list(graph)
    position = {op.name: index for index, op in enumerate(ops)}
    last_read = {op.name: position[op.name] for op in ops}
    for index, op in enumerate(ops):
        for source in graph.sources(op.name):
            last_read[source] = index
    buffer = {op.name: op.name for op in ops}
    within: dict[str, str] = {}
    for index, op in enumerate(ops):
        may_write_over = may_write_over_input(op, scratch.get(op.name, 0))
        if may_write_over and last_read[graph.sources(op.name)[0]] == index:
            over = buffer[graph.sources(op.name)[0]]
            if isinstance(op, StripedBlock) and op.output_bytes < op.input_bytes:
                within[op.name] = over
            else:
                buffer[op.name] = over
    last_use = {name: 0 for name in buffer.values()}
    for name, root in buffer.items():
        last_use[root] = max(last_use[root], last_read[name])
    steps = []
    for index, op in enumerate(ops):
        writes_over = buffer[op.name] != op.name
        steps.append(
            _Step(
                name=op.name,
                buffer=buffer[op.name],
                output_bytes=0 if writes_over else aligned(op.output_bytes),
                scratch_bytes=aligned(scratch.get(op.name, 0)),
                inputs=tuple(buffer[source] for source in graph.sources(op.name)),
                dying=tuple(name for name, last in last_use.items() if last == index),
                within=within.get(op.name),
            )
        )
    return steps


def step_bytes(graph: LayerGraph, scratch: Mapping[str, int]) -> list[int]:
    """Live bytes while each op executes, in execution order; their maximum bounds any arena from below.

    `scratch` maps op names to scratch bytes; ops not named need none.
    """
    held: dict[str, int] = {}
    live = []
    for step in _steps(graph, scratch):
        if step.output_bytes:
            held[step.buffer] = step.output_bytes
        now = sum(held.values()) + step.scratch_bytes
        live.append(now - step.output_bytes if step.within else now)
        for name in step.dying:
            held.pop(name, None)
    return live


def plan(graph: LayerGraph, scratch: Mapping[str, int]) -> MemoryPlan:
    """Place every tensor and scratch buffer in one arena.

    Two-ended: an output goes to the end opposite the input that dies with the op, so that free bytes
    stay one gap; a bounded search over both ends of all gaps repairs what that misses, within an arena
    of the lower bound. Chains of residual blocks always reach the bound; for a graph where the
    search gives up, first fit by size decides and the arena may be larger.
    """
    steps = _steps(graph, scratch)
    bound = max(step_bytes(graph, scratch))
    placed = _search(steps, bound)
    if placed is None:
        placed = _first_fit(steps)
    tensors, scratch_offsets, arena = placed
    offsets = {step.name: tensors[step.buffer] for step in steps if step.buffer in tensors}
    sizes = {step.name: step.scratch_bytes for step in steps if step.scratch_bytes}
    states, end = place_states(graph, arena)
    return MemoryPlan(offsets, scratch_offsets, sizes, end, bound + end - arena, states)


def place_states(graph: LayerGraph, start: int) -> tuple[dict[str, int], int]:
    """Offsets of what each history keeps, from `start` on, and where they end."""
    offsets: dict[str, int] = {}
    for op in graph:
        if op.state_bytes:
            offsets[op.name] = start
            start += aligned(op.state_bytes)
    return offsets, start


_Placement = tuple[dict[str, int], dict[str, int], int]
_Span = tuple[int, int]


def _gaps(live: Mapping[str, _Span], arena: int) -> Iterator[_Span]:
    """Free (start, stop) spans between the live buffers, from the low end."""
    position = 0
    for start, stop in sorted(live.values()):
        if start > position:
            yield position, start
        position = max(position, stop)
    if position < arena:
        yield position, arena


def _candidates(step: _Step, live: Mapping[str, _Span], arena: int) -> list[int]:
    """Offsets for a step's output, the most promising first: the side away from its dying input; within that
    one's place, the side at which the arena ends.
    """
    if step.within:
        start, stop = live[step.within]
        return [start, stop - step.output_bytes][:: 1 if start == 0 else -1]
    fits = [(start, stop) for start, stop in _gaps(live, arena) if stop - start >= step.output_bytes]
    low = [start for start, _ in fits]
    high = [stop - step.output_bytes for _, stop in reversed(fits)]
    dying = [live[name] for name in step.inputs if name in step.dying] or [
        live[name] for name in step.inputs if name in live
    ]
    input_is_low = bool(dying) and sum(dying[0]) <= arena
    ordered = high + low if input_is_low else low + high
    return list(dict.fromkeys(ordered))


def _search(steps: list[_Step], arena: int) -> _Placement | None:
    """Depth-first placement in execution order inside `arena` bytes; None when it gives up."""
    tensors: dict[str, int] = {}
    scratch_offsets: dict[str, int] = {}
    live_before: list[dict[str, _Span]] = [{}]
    choices: list[Iterator[int | None]] = []
    for _ in range(_SEARCH_STEPS + len(steps)):
        index = len(live_before) - 1
        if index == len(steps):
            return tensors, scratch_offsets, arena
        step, live = steps[index], live_before[-1]
        if len(choices) == index:
            has_output = step.output_bytes > 0
            choices.append(iter(_candidates(step, live, arena)) if has_output else iter([None]))
        advanced = False
        for offset in choices[-1]:
            after = dict(live)
            if offset is not None:
                after[step.buffer] = (offset, offset + step.output_bytes)
            room = [start for start, stop in _gaps(after, arena) if stop - start >= step.scratch_bytes]
            if step.scratch_bytes and not room:
                continue
            if step.scratch_bytes:
                scratch_offsets[step.name] = room[0]
            if offset is not None:
                tensors[step.buffer] = offset
            live_before.append({name: span for name, span in after.items() if name not in step.dying})
            advanced = True
            break
        if not advanced:
            choices.pop()
            live_before.pop()
            if not choices:
                return None
    return None


def _first_fit(steps: list[_Step]) -> _Placement:
    """Largest buffer first, each at the lowest offset free during its life, and of what ends within it."""
    lives: list[tuple[int, str, bool, int, int]] = []
    ends = {name: index for index, step in enumerate(steps) for name in step.dying}
    for step in reversed(steps):
        if step.within:
            ends[step.within] = ends[step.buffer]
    for index, step in enumerate(steps):
        if step.output_bytes and not step.within:
            lives.append((step.output_bytes, step.buffer, False, index, ends[step.buffer]))
        if step.scratch_bytes:
            lives.append((step.scratch_bytes, step.name, True, index, index))
    placed: list[tuple[int, int, int, int]] = []
    offsets: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for size, name, is_scratch, first, last in sorted(lives, key=lambda life: (-life[0], life[3])):
        position = 0
        for start, stop, other_first, other_last in sorted(placed):
            if other_first <= last and first <= other_last:
                if start - position >= size:
                    break
                position = max(position, stop)
        placed.append((position, position + size, first, last))
        offsets[is_scratch][name] = position
    for step in steps:
        if step.within:
            offsets[False][step.buffer] = offsets[False][step.within]
    return *offsets, max((stop for _, stop, _, _ in placed), default=0)
