"""Cost: predicted equals executed, scalar equals vectorised, tables are the same however they are built."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from hwmodels.c.toolchain import Toolchain, ToolchainError, find_toolchain
from hwmodels.cost.lut import LookUpTable, MissingEntryError
from hwmodels.cost.network_cost import CostError, CostModel
from hwmodels.cost.profiling import build, measure_ops
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.device.device import Device, load_device
from hwmodels.device.target import Cache, Flash, Target
from hwmodels.emulation.emulator import Emulator
from hwmodels.emulation.kernel_call import kernel_call
from hwmodels.kernels.variants import UnsupportedOpError, kernel_image
from hwmodels.network.graph import Op
from hwmodels.validation.network_check import check_graph, random_model, random_windows
from search.costs.cost_plan import compile_costs
from search.costs.segments import required_ops
from supernet.space.search_space import load_space
from tests.search.search_fakes import small_space

pytestmark = pytest.mark.arm


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    try:
        return find_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def table(toolchain: Toolchain) -> LookUpTable:
    return build(required_ops(load_space("default")), toolchain, "2026-01-01")


@pytest.fixture(scope="module")
def cost_model(table: LookUpTable) -> CostModel:
    return CostModel(table, load_device())


def test_prediction_equals_the_exported_network_on_the_emulated_core(cost_model, toolchain) -> None:
    space, rng = load_space("default"), np.random.default_rng(7)
    archs = [*space.decode(space.sample(3, rng)), space.smallest()]
    for arch in archs:
        graph = space.lower(arch)
        model = random_model(graph, rng)
        result = check_graph(model, cost_model, toolchain, random_windows(graph, 3, rng))
        assert result.fallback_ops == ()
        assert abs(result.cycle_error_pct) < 0.05
        assert result.predicted.flash_bytes == result.measured_flash_bytes
        assert result.predicted.peak_ram_bytes == result.measured_ram_bytes
        assert result.output_mismatches == 0


def test_vectorised_costs_equal_scalar_costs_to_the_last_bit(cost_model) -> None:
    space, rng = load_space("default"), np.random.default_rng(3)
    genes = space.sample(200, rng)
    many = compile_costs(space, cost_model).costs(genes)
    for index, arch in enumerate(space.decode(genes)):
        one = dataclasses.asdict(cost_model.cost(space.lower(arch)))
        macs = one.pop("macs")
        assert macs == space.lower(arch).macs
        assert many.row(index) == one


def test_the_table_is_the_same_whatever_the_number_of_workers(toolchain) -> None:
    ops = required_ops(small_space())
    seen: list[int] = []
    alone = build(ops, toolchain, "2026-01-01", progress=lambda done, total: seen.append(done))
    with ProcessPoolExecutor(2) as executor:
        assert build(ops[::-1], toolchain, "2026-01-01", executor=executor) == alone
    assert seen == sorted(seen) and seen[-1] == len(alone.entries)


def test_cycles_do_not_depend_on_weights_and_inputs(toolchain) -> None:
    op = Op("a", "conv", 32, 8, 32, 12, kernel=3, dilation=2, activation="relu")
    image = kernel_image(toolchain)
    emulator, model = Emulator(image), PipelineModel(image)
    calls = [kernel_call(op, np.random.default_rng(seed)) for seed in range(3)]
    assert calls[0].writes != calls[1].writes
    runs = [emulator.call(call.function, call.arguments, call.writes) for call in calls]
    assert len({model.cycles(run) for run in runs}) == 1
    assert measure_ops([op], toolchain)[0].instructions == runs[0].instructions


def test_cycles_are_affine_in_the_length(toolchain) -> None:
    ops = [Op("p", "conv", length, 16, length, 32) for length in (32, 64, 96, 128)]
    cycles = [entry.cycles for entry in measure_ops(ops, toolchain)]
    assert len(set(np.diff(cycles).tolist())) == 1


def test_the_single_issue_core_takes_more_cycles_than_instructions(toolchain) -> None:
    ops = [Op("p", "conv", 32, 16, 32, 32), Op("d", "depthwise", 32, 16, 32, 16, kernel=5)]
    dual, single = measure_ops(ops, toolchain), measure_ops(ops, toolchain, Target("cortex-m4"))
    for fast, slow in zip(dual, single, strict=True):
        # the compiler orders code for each core anew, but does the same work
        assert slow.instructions == pytest.approx(fast.instructions, rel=0.02)
        assert slow.cycles > slow.instructions and fast.cycles < 1.1 * fast.instructions


def test_energy_and_power_follow_from_cycles_and_device(cost_model) -> None:
    space = load_space("default")
    graph = space.lower(space.smallest())
    cost, device = cost_model.cost(graph), cost_model.device
    assert cost.latency_ms == pytest.approx(1000 * cost.cycles / device.clock_hz)
    assert cost.energy_mj == pytest.approx(cost.cycles * device.nj_per_cycle / 1e6)
    assert cost.energy_mj / 2 < cost.power_mw <= cost.energy_mj / 2 + device.sleep_mw


def test_a_table_for_another_core_is_refused(table: LookUpTable) -> None:
    device = Device(**{**load_device().model_dump(), "core": "cortex-m4", "fpu": "single"})
    with pytest.raises(CostError, match="cortex-m4"):
        CostModel(table, device)


def test_an_operation_without_an_entry_is_never_free(cost_model) -> None:
    with pytest.raises(MissingEntryError, match="conv"):
        cost_model.op_cost(Op("conv", "conv", 33, 4, 33, 4))


def test_an_operation_too_large_for_the_emulated_memory_is_refused_by_name(toolchain) -> None:
    with pytest.raises(UnsupportedOpError, match="huge"):
        measure_ops([Op("huge", "conv", 60000, 64, 60000, 64)], toolchain)


def test_flash_behind_wait_states_costs_its_missed_lines(toolchain: Toolchain) -> None:
    def target(fill_cycles: int) -> Target:
        return Target("cortex-m7", Flash(fill_cycles, Cache(4096, 2, 32), Cache(512, 2, 32)))

    ops = [Op("p", "conv", 128, 32, 128, 64, activation="relu"), Op("a", "add", 128, 32, 128, 32)]
    near = measure_ops(ops, toolchain)
    slower = [measure_ops(ops, toolchain, target(cycles)) for cycles in (0, 10, 20)]
    assert [entry.cycles for entry in slower[0]] == [entry.cycles for entry in near]
    for none, some, twice in zip(*slower, strict=True):
        assert none.cycles < some.cycles and twice.cycles - some.cycles == some.cycles - none.cycles
    # the weights do not fit this cache: every pass over them, one for four positions, fetches them anew
    assert slower[1][0].cycles - near[0].cycles > 10 * (32 * 64 / 32) * (128 / 4)


def test_a_network_behind_flash_is_predicted_within_two_percent(toolchain: Toolchain) -> None:
    space, device = load_space("demo"), load_device("stm32f746")
    rng = np.random.default_rng(7)
    graph = space.lower(space.decode(space.sample(1, rng))[0])
    model = CostModel(build(list(graph), toolchain, "", device.target), device)
    found = check_graph(random_model(graph, rng), model, toolchain, random_windows(graph, 1, rng))
    assert 0 <= found.cycle_error_pct < 2 and found.ram_matches
