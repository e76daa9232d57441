"""The compiled cost plan against costing every lowered graph on its own."""

from __future__ import annotations

from dataclasses import asdict, replace
from zlib import crc32

import numpy as np
import pytest

from hwmodels.cost.lut import Entry, LookUpTable, MissingEntryError, Provenance, Runner, entry_key
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import load_device
from hwmodels.kernels.variants import FIXED_CODE_UNITS, MOTION_CODE_UNITS, SPECTRUM_CODE_UNITS, code_units
from hwmodels.network.graph import Code, Memory
from hwmodels.schedule.step_graph import StreamingError
from hwmodels.schedule.striped_block import CODE_UNITS as STRIPES_UNITS
from hwmodels.schedule.striped_block import StripedBlock, with_calls
from nas.assembly.hardware import all_ops
from search.costs.cost_plan import ENDLESS, compile_costs, required_ops
from search.costs.names import COST_NAMES
from search.feasibility.build_choice import CODES
from supernet.space.search_space import SearchSpace, load_space
from tests.search.search_fakes import FakeCostModel, every_member, small_space

WIDE = {"window_s": 8, "padding": "centred", "head": "class_head"}


@pytest.mark.parametrize("space", [small_space(), small_space(**WIDE), load_space("default")])
def test_the_plan_equals_costing_each_lowered_graph_to_the_last_bit(space: SearchSpace) -> None:
    model = FakeCostModel()
    plan = compile_costs(space, model)
    genes = space.sample(150, np.random.default_rng(0))
    genes = np.concatenate([genes, space.encode([space.smallest(), space.largest()])])
    costs = plan.costs(genes)
    for index, arch in enumerate(space.decode(genes)):
        assert costs.row(index) == model.cost(space.lower(arch)), str(arch)


def invented_table(space: SearchSpace, step_s: float | None = None, memory: Memory = "whole") -> LookUpTable:
    """A real look-up table's form, every kernel call of the space present, figures invented."""
    ops = [replace(op, code=code) for op in required_ops(space, step_s) for code in CODES]
    if memory == "striped":
        ops += with_calls(all_ops(space, memory))
    ops = [op for op in ops if op.kind != "input"]
    entries = {}
    for op in ops:
        key = entry_key(op)
        number = crc32(key.encode())
        entries[key] = Entry(op.macs * 2 + number % 997, op.macs, 16 + number % 5 * 8, "measured")
    kernels = [op for op in ops if not isinstance(op, StripedBlock)]
    units = FIXED_CODE_UNITS | MOTION_CODE_UNITS | SPECTRUM_CODE_UNITS | STRIPES_UNITS
    units = units.union(*map(code_units, kernels))
    provenance = Provenance("k", "r", "gcc", (), "unicorn", "cortex-m7", "tightly coupled", "test", "2000-01-01")
    code_bytes = {unit: 50 + crc32(unit.encode()) % 400 for unit in units}
    return LookUpTable(provenance, Runner(300, 20, 100, 10, 48), code_bytes, entries)


@pytest.mark.parametrize("space", [small_space(**WIDE), load_space("default")])
@pytest.mark.parametrize("device", ["cortex-m7-64mhz", "stm32h743"])
def test_the_plan_equals_the_real_cost_model_to_the_last_bit(space: SearchSpace, device: str) -> None:
    model = CostModel(invented_table(space), load_device(device))
    plan = compile_costs(space, model)
    genes = space.sample(150, np.random.default_rng(0))
    genes = np.concatenate([genes, space.encode([space.smallest(), space.largest()])])
    costs = plan.costs(genes)
    for index, arch in enumerate(space.decode(genes)):
        expected = asdict(model.cost(space.lower(arch)))
        assert costs.row(index) == {name: expected[name] for name in COST_NAMES}, str(arch)


@pytest.mark.parametrize("code", CODES)
def test_a_plan_of_any_code_equals_costing_graphs_of_such_ops(code: Code) -> None:
    space = load_space("default")
    table, device = invented_table(space), load_device()
    plan, model = compile_costs(space, CostModel(table, device, code)), CostModel(table, device)
    costs = plan.costs(genes := space.sample(60, np.random.default_rng(0)))
    for index, arch in enumerate(space.decode(genes)):
        expected = asdict(model.cost(space.lower(arch).with_code(code)))
        assert costs.row(index) == {name: expected[name] for name in COST_NAMES}, str(arch)


@pytest.mark.parametrize("space", [small_space(**WIDE), load_space("default"), load_space("spectral")])
def test_a_plan_of_networks_in_stripes_equals_costing_their_schedules(space: SearchSpace) -> None:
    table, device = invented_table(space, memory="striped"), load_device()
    plan = compile_costs(space, CostModel(table, device, "compact", "striped"))
    costs = plan.costs(genes := space.sample(60, np.random.default_rng(0)))
    whole = compile_costs(space, CostModel(table, device, "compact")).costs(genes)
    for index, arch in enumerate(space.decode(genes)):
        graph = space.lower(arch).with_code("compact").with_memory("striped")
        expected = asdict(CostModel(table, device).cost(graph))
        assert costs.row(index) == {name: expected[name] for name in COST_NAMES}, str(arch)
    assert np.median(costs.peak_ram_bytes / whole.peak_ram_bytes) < 0.9


@pytest.mark.parametrize("space", [small_space(), load_space("default")])
def test_a_streaming_plan_equals_costing_each_step_to_the_last_bit(space: SearchSpace) -> None:
    model = CostModel(invented_table(space, 2.0), load_device())
    plan = compile_costs(space, model, step_s=2.0)
    genes = space.sample(150, np.random.default_rng(1))
    genes = np.concatenate([genes, space.encode([space.smallest(), space.largest()])])
    costs = plan.costs(genes)
    for index, arch in enumerate(space.decode(genes)):
        expected = asdict(model.streaming_cost(space.lower(arch), 2 * arch.rate_hz))
        assert costs.row(index) == {name: expected[name] for name in COST_NAMES}, str(arch)


def test_members_that_cannot_stream_are_marked_and_only_they() -> None:
    stages = small_space().model_dump()["stages"]
    space = small_space(stages=({**stages[0], "stride": 8}, stages[1]))
    model = CostModel(invented_table(space, 1.0), load_device())
    costs = compile_costs(space, model, step_s=1.0).costs(genes := every_member(space)[::37])
    marked = []
    for index, arch in enumerate(space.decode(genes)):
        try:
            expected = model.streaming_cost(space.lower(arch), arch.rate_hz)
            assert costs.cycles[index] == expected.cycles
        except StreamingError:
            marked.append(index)
    assert 0 < len(marked) < len(genes)
    assert (np.flatnonzero(np.isinf(costs.latency_ms)) == marked).all()
    assert (np.flatnonzero(costs.peak_ram_bytes == ENDLESS) == marked).all()
    centred = small_space(padding="centred")
    model = CostModel(invented_table(centred, 2.0), load_device())
    assert np.isinf(compile_costs(centred, model, step_s=2.0).costs(every_member(centred)).power_mw).all()


def test_an_operation_that_the_table_lacks_is_named() -> None:
    space = small_space()
    table = invented_table(space)
    lost = next(key for key in table.entries if key.startswith("depthwise"))
    entries = {key: entry for key, entry in table.entries.items() if key != lost}
    with pytest.raises(MissingEntryError, match=lost.replace("|", r"\|")):
        compile_costs(space, CostModel(replace(table, entries=entries), load_device()))


def test_many_code_units_take_several_mask_words() -> None:
    class Finely(FakeCostModel):
        @property
        def code_bytes(self):
            return {**super().code_bytes, **{f"u{i}": 3 + i for i in range(150)}}

        def op_cost(self, op):
            cost = super().op_cost(op)
            own = f"u{hash((op.kernel, op.channels_in, op.channels_out)) % 150}"
            return type(cost)(
                cost.cycles, cost.data_bytes, cost.code_units | {own}, cost.stack_bytes, cost.scratch_bytes
            )

    space, model = load_space("default"), Finely()
    plan = compile_costs(space, model)
    genes = space.sample(60, np.random.default_rng(1))
    costs = plan.costs(genes)
    for index, arch in enumerate(space.decode(genes)):
        assert costs.row(index) == model.cost(space.lower(arch))


def test_costs_of_one_do_not_depend_on_the_batch_it_stands_in() -> None:
    space = load_space("default")
    plan = compile_costs(space, FakeCostModel())
    genes = space.sample(9000, np.random.default_rng(2))
    together = plan.costs(genes)
    for index in (0, 4095, 4096, 8999):
        assert plan.costs(genes[index : index + 1]).row(0) == together.row(index)
    assert plan.of(space.decode(genes[:1])[0]) == together.row(0)
    assert len(plan.costs(genes[:0])) == 0
    assert together.column("flash_bytes").dtype == np.float64
    assert set(COST_NAMES) == set(together.row(0))


def test_required_ops_are_exactly_the_shapes_that_members_run() -> None:
    space = small_space()
    needed = {op.shape for arch in space.decode(every_member(space)) for op in space.lower(arch)}
    ops = required_ops(space)
    assert {op.shape for op in ops} == needed
    assert len(ops) == len(needed)


def test_a_missing_entry_is_told_at_compilation() -> None:
    class Poor(FakeCostModel):
        def op_cost(self, op):
            if op.kind == "depthwise":
                raise LookupError(op.name)
            return super().op_cost(op)

    with pytest.raises(LookupError):
        compile_costs(small_space(), Poor())


def test_every_member_is_enumerated_by_the_test_helper() -> None:
    space = small_space()
    assert len(every_member(space)) == space.size()
