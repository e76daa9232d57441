"""The memory plan: no overlap, proven by executing ownership, and the lower bound on the space's graphs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.schedule.memory import MemoryPlanError, aligned, plan, step_bytes


def _op(name: str, kind: str, length: int, cin: int, cout: int, length_out: int | None = None, **more) -> Op:
    return Op(name, kind, length, cin, length if length_out is None else length_out, cout, **more)


@st.composite
def residual_networks(draw) -> tuple[LayerGraph, dict[str, int]]:
    """Stem, then blocks [expand, depthwise, project(, add)] or [conv(, add)], pool, fc, head; any scratch."""
    length = draw(st.integers(1, 70))
    channels = draw(st.integers(1, 9))
    nodes = [(_op("input", "input", length, channels, channels), [])]
    last = "input"

    def append(op: Op, sources: list[str] | None = None) -> None:
        nonlocal last
        nodes.append((op, sources or [last]))
        last = op.name

    for block in range(draw(st.integers(1, 7))):
        held = last
        width = draw(st.integers(1, 9))
        stride = draw(st.sampled_from([1, 1, 2]))
        out_length = -(-length // stride)
        if draw(st.booleans()):
            wide = width * draw(st.integers(1, 4))
            append(_op(f"expand{block}", "conv", length, channels, wide))
            append(
                _op(
                    f"depth{block}",
                    "depthwise",
                    length,
                    wide,
                    wide,
                    out_length,
                    kernel=3,
                    stride=stride,
                )
            )
            append(_op(f"project{block}", "conv", out_length, wide, width))
        else:
            append(_op(f"conv{block}", "conv", length, channels, width, out_length, kernel=3, stride=stride))
        if stride == 1 and width == channels and draw(st.booleans()):
            operands = [held, last] if draw(st.booleans()) else [last, held]
            append(_op(f"add{block}", "add", out_length, width, width), operands)
        length, channels = out_length, width
    append(_op("pool", "average_pool", length, channels, channels, 1))
    append(_op("fc", "fully_connected", 1, channels, 30))
    append(_op("head", "heart_rate_head", 1, 30, 30))
    graph = LayerGraph(nodes)
    scratch = {op.name: draw(st.integers(0, 300)) for op in graph if draw(st.booleans())}
    return graph, scratch


@st.composite
def any_dags(draw) -> tuple[LayerGraph, dict[str, int]]:
    """Graphs whose adds join any two earlier tensors of one shape: many tensors live at once."""
    widths = st.integers(1, 6)
    nodes = [(_op("input", "input", 8, 4, 4), [])]
    ops = [nodes[0][0]]
    for index in range(draw(st.integers(1, 10))):
        source = draw(st.sampled_from(ops))
        mates = [op for op in ops if op.channels_out == source.channels_out]
        if draw(st.booleans()):
            mate = draw(st.sampled_from(mates))
            op = _op(f"add{index}", "add", 8, source.channels_out, source.channels_out)
            nodes.append((op, [source.name, mate.name]))
        else:
            op = _op(f"conv{index}", "conv", 8, source.channels_out, draw(widths))
            nodes.append((op, [source.name]))
        ops.append(op)
    read = {name for _, sources in nodes for name in sources}
    loose = [op for op in ops if op.name not in read]
    total = loose[0]
    for index, op in enumerate(loose):
        same = _op(f"to{index}", "conv", 8, op.channels_out, 4)
        nodes.append((same, [op.name]))
        if index:
            nodes.append((_op(f"join{index}", "add", 8, 4, 4), [total.name, same.name]))
        total = nodes[-1][0]
    return LayerGraph(nodes), {op.name: draw(st.integers(0, 40)) for op in ops}


@settings(max_examples=150, deadline=None)
@given(residual_networks())
def test_residual_chains_reach_the_largest_live_set_without_overlap(case) -> None:
    graph, scratch = case
    placed = plan(graph, scratch)
    placed.verify(graph)
    assert placed.arena_bytes == placed.lower_bound_bytes == max(step_bytes(graph, scratch))


@settings(max_examples=100, deadline=None)
@given(any_dags())
def test_any_graph_gets_a_plan_without_overlap(case) -> None:
    graph, scratch = case
    placed = plan(graph, scratch)
    placed.verify(graph)
    assert placed.arena_bytes >= placed.lower_bound_bytes == max(step_bytes(graph, scratch))


@settings(max_examples=60, deadline=None)
@given(residual_networks(), st.randoms(use_true_random=False))
def test_the_proof_refuses_plans_that_clobber_a_tensor(case, random) -> None:
    graph, scratch = case
    placed = plan(graph, scratch)
    victim = random.choice([op for op in graph if op.kind == "conv"])
    source = graph.sources(victim.name)[0]
    offsets = dict(placed.offsets) | {victim.name: placed.offsets[source]}
    with pytest.raises(MemoryPlanError, match="op"):
        dataclasses.replace(placed, offsets=offsets).verify(graph)


@pytest.mark.parametrize(("scratch", "live"), [(48, 32 * 24 + 48), (0, 2 * 32 * 24)])
def test_a_depthwise_convolution_with_scratch_takes_its_inputs_place(scratch: int, live: int) -> None:
    nodes: list[tuple[Op, list[str]]] = [
        (_op("input", "input", 32, 4, 4), []),
        (_op("expand", "conv", 32, 4, 24), ["input"]),
        (_op("depth", "depthwise", 32, 24, 24, kernel=3), ["expand"]),
        (_op("project", "conv", 32, 24, 4), ["depth"]),
    ]
    graph = LayerGraph(nodes)
    placed = plan(graph, {"depth": scratch})
    placed.verify(graph)
    assert step_bytes(graph, {"depth": scratch})[2] == live
    assert (placed.offsets["depth"] == placed.offsets["expand"]) == (scratch > 0)
    if scratch:
        with pytest.raises(MemoryPlanError, match="depth"):
            dataclasses.replace(placed, scratch_bytes={}).verify(graph)


def test_alignment_is_the_same_for_integers_and_arrays() -> None:
    sizes = np.arange(40)
    assert aligned(sizes).tolist() == [aligned(int(size)) for size in sizes]
    assert all(size <= aligned(int(size)) < size + 4 for size in sizes)
