"""Blocks in stripes: the same integers as run whole, in less memory; every byte and cycle foreseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import MemoryPlanError
from hwmodels.c.toolchain import ToolchainError, find_toolchain, host_toolchain
from hwmodels.codegen.network_source import default_plan, fallbacks, generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.stripe_profiling import build_with_stripes
from hwmodels.device.device import load_device
from hwmodels.kernels.variants import scratch_bytes
from hwmodels.network.build_form import BuildForm
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.interpreter import IntegerModel, Quantization, load_model, run, save_model
from hwmodels.schedule.memory import plan, step_bytes
from hwmodels.schedule.step_graph import streaming_model
from hwmodels.schedule.striped_block import StripedBlock
from hwmodels.schedule.stripes import scheduled
from hwmodels.validation.network_check import check_graph
from hwmodels.validation.network_check import random_model as trained_like
from hwmodels.validation.tensors import Compiled, core_tensors, host_tensors
from supernet.space.search_space import load_space
from tests.hwmodels.random_networks import random_model, random_windows

STRIPED = BuildForm(memory="striped")


def chain_graph(rng: np.random.Generator) -> LayerGraph:
    """Blocks of every form that stripes know, of any shape, padding and dilation."""
    length, channels = int(rng.integers(40, 131)), 4
    nodes: list[tuple[Op, tuple[str, ...]]] = [(Op("input", "input", length, channels, length, channels), ())]

    def append(name: str, kind: str, width: int, *sources: str, **more: object) -> str:
        before = next(op for op, _ in nodes if op.name == sources[0])
        length_out = -(-before.length_out // int(more.get("stride", 1)))  # type: ignore[call-overload]
        op = Op(name, kind, before.length_out, before.channels_out, length_out, width, **more)  # type: ignore[arg-type]
        nodes.append((op, sources))
        return name

    last = append("stem", "conv", 4 * int(rng.integers(2, 6)), "input", kernel=5, activation="relu")
    for block in range(3):
        source, width = last, nodes[-1][0].channels_out
        stride = int(rng.choice([1, 1, 2, 3]))
        over = {
            "kernel": int(rng.integers(2, 8)),
            "dilation": int(rng.integers(1, 5)),
            "stride": stride,
            "padding": str(rng.choice(["causal", "centred"])),
            "activation": str(rng.choice(["none", "relu"])),
        }
        made = width if rng.random() < 0.6 else 4 * int(rng.integers(1, 8))
        form = rng.choice(["expanded", "separable", "plain"], p=[0.5, 0.2, 0.3])
        if form == "plain":
            last = append(f"b{block}.conv", "conv", made, last, **over)
        else:
            wide = width
            if form == "expanded":
                wide = width * int(rng.integers(1, 5))
                last = append(f"b{block}.expand", "conv", wide, last, activation="relu")
            last = append(f"b{block}.depthwise", "depthwise", wide, last, **over)
            last = append(f"b{block}.project", "conv", made, last)
        if stride == 1 and made == width and rng.random() < 0.8:
            operands = (source, last) if rng.random() < 0.5 else (last, source)
            last = append(f"b{block}.add", "add", width, *operands)
    final = nodes[-1][0]
    nodes.append((Op("pool", "average_pool", final.length_out, final.channels_out, 1, final.channels_out), (last,)))
    append("logits", "fully_connected", 20, "pool")
    append("head", "heart_rate_head", 20, "logits")
    return LayerGraph(nodes)


def blocks_of(graph: LayerGraph) -> list[StripedBlock]:
    return [op for op in scheduled(graph, STRIPED) if isinstance(op, StripedBlock)]


def members(space_name: str, count: int, seed: int) -> list[LayerGraph]:
    space = load_space(space_name)
    archs = space.decode(space.sample(count, np.random.default_rng(seed)))
    return [space.lower(arch) for arch in archs]


def models(seed: int, count: int) -> list[IntegerModel]:
    rng = np.random.default_rng(seed)
    graphs = [chain_graph(rng) for _ in range(count)]
    graphs += [*members("default", 2, seed), *members("spectral", 2, seed)]
    made = [replace(trained_like(graph, rng), form=STRIPED) for graph in graphs]
    for index in range(1, count, 2):
        made[index] = replace(random_model(rng, graphs[index]), form=STRIPED)
        if index % 4 == 1:
            made[index] = out_of_fast_form(made[index])
    return made


def out_of_fast_form(model: IntegerModel) -> IntegerModel:
    """The model with zero points inside its blocks that ask for the exact kernels."""
    inside = [op for block in blocks_of(model.graph) for op in block.chain[:-1]]
    relu = {op.name for op in inside if op.activation == "relu"}
    grids = {
        name: Quantization(grid.scale, -100) if name in relu else grid for name, grid in model.quantization.items()
    }
    return replace(model, quantization=grids)


def differing(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> list[str]:
    return [name for name, tensor in found.items() if not np.array_equal(tensor, expected[name])]


def test_stripes_on_this_machine_equal_the_interpreter_on_every_tensor_that_exists() -> None:
    host, rng = Compiled.by(host_toolchain()), np.random.default_rng(3)
    forms, falls_back = set(), 0
    for model in models(0, 24):
        windows = random_windows(rng, model.graph, 4)
        assert differing(host_tensors(model, windows, host), run(model, windows)) == [], model.graph.nodes()
        for block in blocks_of(model.graph):
            forms.add((block.copies, block.chain[-1].kind, len(block.stripes), block.over_time.padding))
            falls_back += bool({op.name for op in block.chain} & set(fallbacks(model)))
    assert {copies for copies, *_ in forms} == {True, False}
    assert {padding for *_, padding in forms} == {"causal", "centred"}
    assert len(forms) >= 12 and falls_back >= 3


@pytest.mark.arm
def test_stripes_on_the_emulated_core_equal_the_interpreter() -> None:
    try:
        core = Compiled.by(find_toolchain())
    except ToolchainError as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(4)
    for model in models(1, 2):
        windows = random_windows(rng, model.graph, 2)
        assert differing(core_tensors(model, windows, core), run(model, windows)) == []


@pytest.mark.arm
@pytest.mark.parametrize("space", ["default", "spectral"])
def test_cycles_flash_and_ram_of_stripes_are_foreseen(space: str) -> None:
    try:
        toolchain = find_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))
    device, rng = load_device(), np.random.default_rng(5)
    for graph in members(space, 2, 5):
        schedule = scheduled(graph, STRIPED)
        cost_model = CostModel(build_with_stripes(schedule, toolchain, "", device.target), device)
        model = replace(trained_like(graph, rng), form=STRIPED)
        found = check_graph(model, cost_model, toolchain, random_windows(rng, graph, 2))
        assert blocks_of(graph) and found.fallback_ops == ()
        assert abs(found.cycle_error_pct) < 0.3
        assert found.predicted.flash_bytes == found.measured_flash_bytes
        assert found.predicted.peak_ram_bytes == found.measured_ram_bytes
        assert found.output_mismatches == 0


@pytest.mark.parametrize(("space", "most"), [("default", 0.7), ("spectral", 0.85)])
def test_arenas_of_schedules_are_proven_tight_and_smaller(space: str, most: float) -> None:
    ratios = []
    for graph in members(space, 60, 6):
        schedule = scheduled(graph, STRIPED)
        placed = plan(schedule, {op.name: scratch_bytes(op) for op in schedule})
        placed.verify(schedule)
        assert placed.arena_bytes == placed.lower_bound_bytes
        ratios.append(placed.arena_bytes / max(step_bytes(graph, {op.name: scratch_bytes(op) for op in graph})))
    assert max(ratios) <= 1
    assert np.median(ratios) < most


def test_a_plan_that_overwrites_rows_too_early_is_found_out() -> None:
    rng = np.random.default_rng(7)
    far, proven = 100_000, 0
    for block in [block for _ in range(20) for block in blocks_of(chain_graph(rng))]:
        size = block.scratch_bytes
        block.prove(0, far, 2 * far, size)
        block.prove(0, far, 2 * far, block.places(filters_in_place=False).bytes)
        if block.output_bytes <= block.input_bytes:
            block.prove(0, 0, far, size)
        with pytest.raises(MemoryPlanError, match="fewer"):
            block.prove(0, far, 2 * far, size - 4)
        over = block.over_time
        with pytest.raises(MemoryPlanError, match="overwritten"):
            block.prove(0, 2 * far + block.rows * over.stride * over.channels_in, 2 * far, size)
        if block.stripes[0].rows_in < block.length_in:
            last_row = block.input_bytes - block.channels_in
            with pytest.raises(MemoryPlanError, match="overwritten"):
                block.prove(0, last_row, 2 * far, size)
            with pytest.raises(MemoryPlanError, match="overwritten"):
                block.prove(0, far, last_row, size)
            proven += 1
    assert proven >= 20


def test_a_graph_that_nobody_asked_stripes_of_stays_as_it_is(tmp_path: Path) -> None:
    graph = members("default", 1, 8)[0]
    assert scheduled(graph, BuildForm()) is graph
    rng = np.random.default_rng(8)
    model = trained_like(graph, rng)
    assert not any("stripes" in text for text in generate(model).values())
    striped = replace(model, form=STRIPED)
    save_model(model, tmp_path / "whole.npz")
    save_model(striped, tmp_path / "striped.npz")
    assert b"memory" not in (tmp_path / "whole.npz").read_bytes()
    assert load_model(tmp_path / "striped.npz").graph == graph
    assert load_model(tmp_path / "striped.npz").form == STRIPED
    assert default_plan(striped).arena_bytes < default_plan(model).arena_bytes


def test_what_others_read_inside_a_block_keeps_it_whole() -> None:
    graph = members("default", 20, 9)
    block = next(block for g in graph for block in blocks_of(g) if block.chain[-1].kind == "add")
    first = block.chain[0]
    source = Op("input", "input", first.length_in, first.channels_in, first.length_in, first.channels_in)
    nodes: list[tuple[Op, tuple[str, ...]]] = [(source, ())]
    for op in block.chain:
        nodes.append((op, ("input", nodes[-1][0].name) if op.kind == "add" else (nodes[-1][0].name,)))
    assert blocks_of(LayerGraph(nodes)) == [block]
    last = block.chain[-1]
    for read in ("input", block.chain[-2].name):
        more = replace(last, name="again")
        assert blocks_of(LayerGraph([*nodes, (more, (last.name, read))])) != [block]


def test_a_streaming_step_runs_whole() -> None:
    graph = members("default", 1, 10)[0]
    model = trained_like(graph, np.random.default_rng(10))
    step = streaming_model(model, graph.input.length_in // 4)
    assert blocks_of(step.graph) == []
