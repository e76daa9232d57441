"""Which blocks of a network run in stripes, and how many rows at a time: a schedule of its graph.

The graph says what is computed; only its schedule holds stripes. Costs, memory plan and code generation read
the schedule, everything else the graph.
"""

from __future__ import annotations

from functools import lru_cache

from hwmodels.kernels.variants import scratch_bytes
from hwmodels.network.build_form import DEFAULT_FORM, BuildForm, built
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.operation_kind import kind_of
from hwmodels.schedule.memory import aligned, may_write_over_input, step_bytes
from hwmodels.schedule.striped_block import StripedBlock

_TILE = 4
"""Rows that the matrix kernels make at once."""
_FEWEST_ROWS = 8
_WORTH = 7 / 8
_NEAR = 5 / 4


def scheduled(graph: LayerGraph, form: BuildForm) -> LayerGraph:
    """The schedule of a graph: the operations that run, as they are built in `form`.

    There is one `StripedBlock` for every chain that is better run in stripes.

    There are some only where the form's memory is `striped`. A chain is taken where its live bytes fall by an
    eighth or more. Of the numbers of rows whose live bytes exceed the least by at most a quarter, it has one
    that makes all stripes most alike, and of these the largest: fewer rows save little and cost time. Each
    block is judged by itself, so that costs of blocks add up.
    """
    if form == DEFAULT_FORM:
        return graph
    ops = [built(op, form.code) for op in graph]
    nodes: list[tuple[Op, tuple[str, ...]]] = []
    index = 0
    while index < len(ops):
        chain = _chain(graph, ops, index) if form.memory == "striped" else ()
        block = _best(chain) if chain else None
        if chain and block:
            nodes.append((block, graph.sources(chain[0].name)))
            index += len(chain)
        else:
            nodes.append((ops[index], graph.sources(ops[index].name)))
            index += 1
    return LayerGraph(nodes)


def _chain(graph: LayerGraph, ops: list[Op], start: int) -> tuple[Op, ...]:
    """The operations from `start` on that stripes can run through; none where there are none."""
    source = graph.sources(ops[start].name)
    if len(source) != 1:
        return ()
    found: list[Op] = []
    for op in ops[start : start + 4]:
        over_time = any(one.reach for one in found)
        part = kind_of(op).part_in_stripes(op)
        depthwise = bool(found) and kind_of(found[-1]).is_channelwise
        if found and graph.readers(found[-1].name) != (op.name,):
            break
        if part == "residual":
            operands = {*graph.sources(op.name)}
            if over_time and not depthwise and operands == {source[0], found[-1].name}:
                found.append(op)
            break
        if found and graph.sources(op.name) != (found[-1].name,):
            break
        is_next = {
            "pointwise": not found or depthwise,
            "over time": not found,
            "channelwise over time": not found or not over_time,
        }
        if part is None or not is_next[part]:
            break
        found.append(op)
    names = {op.name for op in found}
    is_whole_block = (
        any(op.reach for op in found)
        and not kind_of(found[-1]).is_channelwise
        and set(graph.readers(source[0])) <= names
        and all(op.channels_in % 4 == op.channels_out % 4 == 0 for op in found)
    )
    return tuple(found) if is_whole_block else ()


@lru_cache(maxsize=1 << 14)
def _best(chain: tuple[Op, ...]) -> StripedBlock | None:
    """The chain in stripes, or None where it had better run whole."""
    rows = range(_FEWEST_ROWS, chain[-1].length_out, _TILE)
    blocks = [block for count in rows if _is_even(block := StripedBlock.of(chain, count))]
    live = {block: _live_bytes(block) for block in blocks}
    most = min(_WORTH * _live_bytes_whole(chain), _NEAR * min(live.values(), default=0))
    near = [block for block in blocks if live[block] <= most]
    return max(near, key=lambda block: (-len(block.stripes), block.rows), default=None)


def _is_even(block: StripedBlock) -> bool:
    """Whether every stripe calls the same kernels, which rows below a tile would not."""
    counts = [rows for stripe in block.stripes for op in block.ops(stripe) for rows in (op.length_in, op.length_out)]
    return min(counts) >= _TILE


def _live_bytes(block: StripedBlock) -> int:
    output = 0 if may_write_over_input(block, block.scratch_bytes) else aligned(block.output_bytes)
    return aligned(block.input_bytes) + output + block.scratch_bytes


def _live_bytes_whole(chain: tuple[Op, ...]) -> int:
    """The largest live set of a chain of operations from its input to its output."""
    first = chain[0]
    source = Op("input", "input", first.length_in, first.channels_in, first.length_in, first.channels_in)
    nodes: list[tuple[Op, tuple[str, ...]]] = [(source, ())]
    for op in chain:
        before = nodes[-1][0].name
        nodes.append((op, ("input", before) if len(op.operand_shapes) == 2 else (before,)))
    return max(step_bytes(LayerGraph(nodes), {op.name: scratch_bytes(op) for op in chain}))
