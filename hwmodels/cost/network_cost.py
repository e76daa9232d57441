"""What a network costs on a device: cycles, latency, flash, RAM, energy and power, from the look-up table.

A pure function of the graph. The search's vectorised cost gathers the same integers and agrees exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwmodels.basics.errors import InputError
from hwmodels.cost.lut import REBUILD, Entry, LookUpTable
from hwmodels.device.device import Device
from hwmodels.device.energy import DEFAULT_PERIOD_S, Number, average_power_mw, energy_mj, latency_ms
from hwmodels.kernels.variants import FIXED_CODE_UNITS, FIXED_DATA_BYTES, code_units, data_bytes, scratch_bytes
from hwmodels.network.build_form import DEFAULT_FORM, BuildForm, built
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.schedule.memory import aligned, step_bytes
from hwmodels.schedule.step_graph import streaming_step
from hwmodels.schedule.striped_block import StripedBlock
from hwmodels.schedule.stripes import scheduled


class CostError(InputError):
    """A look-up table and a device that do not belong together."""


@dataclass(frozen=True)
class OpCost:
    """What one operation adds. Cycles and data bytes add up, code units unite, stack takes the maximum."""

    cycles: int
    instructions: int
    data_bytes: int
    code_units: frozenset[str]
    stack_bytes: int
    scratch_bytes: int


@dataclass(frozen=True)
class Cost:
    """Cost of one inference; power is the average over one inference each `DEFAULT_PERIOD_S`."""

    latency_ms: float
    cycles: int
    flash_bytes: int
    peak_ram_bytes: int
    energy_mj: float
    power_mw: float
    macs: int


@dataclass(frozen=True)
class CostModel:
    """Costs of graphs on one device, built in one form.

    Raises CostError for a table of another core or memory.
    """

    lut: LookUpTable
    device: Device
    form: BuildForm = DEFAULT_FORM

    def __post_init__(self) -> None:
        made, target = self.lut.provenance, self.device.target
        if made.core != target.core:
            raise CostError(
                f"device {self.device.name!r} has a {target.core}, the look-up table is for a {made.core}; "
                f"{REBUILD} for this device"
            )
        if made.memory != target.memory:
            raise CostError(
                f"device {self.device.name!r} has its code and constants {target.memory}, the look-up table "
                f"{made.memory}; {REBUILD} for this device"
            )

    @property
    def code_bytes(self) -> Mapping[str, int]:
        """Flash bytes of each code unit."""
        return self.lut.code_bytes

    @property
    def fixed_cycles(self) -> int:
        """Cycles of any network beside its operations."""
        return self.lut.runner.cycles

    @property
    def fixed_flash_bytes(self) -> int:
        """Flash bytes of any network beside its operations' data and their code units."""
        return FIXED_DATA_BYTES + sum(self.lut.code_bytes[unit] for unit in FIXED_CODE_UNITS)

    @property
    def fixed_ram_bytes(self) -> int:
        """Stack above every kernel's own."""
        return self.lut.runner.stack_bytes

    def deployed(self, graph: LayerGraph) -> LayerGraph:
        """What runs of a network: its schedule in this model's form."""
        return scheduled(graph, self.form)

    @cached_property
    def _known(self) -> dict[Op, OpCost]:
        return {}

    def op_cost(self, op: Op) -> OpCost:
        """Cost of one operation of what runs. Raises MissingEntryError naming the key the table lacks."""
        known = self._known.get(op)
        if known is None:
            known = self._cost_of(built(op, self.form.code))
            self._known[op] = known
        return known

    def _cost_of(self, op: Op) -> OpCost:
        if not op.operand_shapes:
            # The input is made before the network runs: only its bytes count, and the code that makes it.
            return OpCost(0, 0, data_bytes(op), code_units(op), 0, 0)
        entry, runner = self.lut.entry(op), self.lut.runner
        calls: list[tuple[int, Entry]] = []
        if isinstance(op, StripedBlock):
            calls = [(one.repeats, self.lut.entry(call)) for one in op.stripes for call in op.ops(one)]
        return OpCost(
            cycles=entry.cycles + runner.step_cycles + sum(n * call.cycles for n, call in calls),
            instructions=entry.instructions
            + runner.step_instructions
            + sum(n * call.instructions for n, call in calls),
            data_bytes=data_bytes(op),
            code_units=code_units(op),
            stack_bytes=entry.stack_bytes + max((call.stack_bytes for _, call in calls), default=0),
            scratch_bytes=scratch_bytes(op),
        )

    def cost(self, graph: LayerGraph) -> Cost:
        """Cost of the network. Raises MissingEntryError naming the first key the table lacks."""
        graph = self.deployed(graph)
        costs = {op.name: self.op_cost(op) for op in graph}
        units: frozenset[str] = frozenset().union(*(cost.code_units for cost in costs.values()))
        scratch = {name: cost.scratch_bytes for name, cost in costs.items()}
        return self.total(
            cycles=self.fixed_cycles + sum(cost.cycles for cost in costs.values()),
            flash_bytes=self.fixed_flash_bytes
            + sum(cost.data_bytes for cost in costs.values())
            + sum(self.code_bytes[unit] for unit in units),
            peak_ram_bytes=self.fixed_ram_bytes
            + max(step_bytes(graph, scratch))
            + sum(aligned(op.state_bytes) for op in graph)
            + max(cost.stack_bytes for cost in costs.values()),
            macs=graph.macs,
        )

    def streaming_cost(self, graph: LayerGraph, new_samples: int) -> Cost:
        """Cost of one step of the network in incremental mode; its RAM includes what it keeps between steps.

        Raises StreamingError when the network cannot run so, MissingEntryError as `cost` does.
        """
        return self.cost(streaming_step(graph, new_samples))

    def total(self, cycles: int, flash_bytes: int, peak_ram_bytes: int, macs: int) -> Cost:
        """The integers of a network with the times and energies that follow from them."""
        return Cost(
            latency_ms=self.latency_ms(float(cycles)),
            cycles=cycles,
            flash_bytes=flash_bytes,
            peak_ram_bytes=peak_ram_bytes,
            energy_mj=self.energy_mj(float(cycles)),
            power_mw=self.power_mw(float(cycles)),
            macs=macs,
        )

    def latency_ms(self, cycles: Number, /) -> Number:
        """Milliseconds of cycles, one or many."""
        return latency_ms(cycles, self.device.clock_hz)

    def energy_mj(self, cycles: Number, /) -> Number:
        """Millijoules of cycles, one or many."""
        return energy_mj(cycles, self.device.nj_per_cycle)

    def power_mw(self, cycles: Number, /) -> Number:
        """Average milliwatts of one inference of that many cycles each `DEFAULT_PERIOD_S`."""
        energy, latency = (
            energy_mj(cycles, self.device.nj_per_cycle),
            latency_ms(cycles, self.device.clock_hz),
        )
        return average_power_mw(energy, latency, self.device.sleep_mw, DEFAULT_PERIOD_S)


def readable_cost(cost: Cost) -> dict[str, Any]:
    """A cost in the units that people read; KB = 1024 bytes."""
    return {
        "latency_ms": cost.latency_ms,
        "cycles": cost.cycles,
        "flash_kb": cost.flash_bytes / 1024,
        "flash_bytes": cost.flash_bytes,
        "ram_kb": cost.peak_ram_bytes / 1024,
        "ram_bytes": cost.peak_ram_bytes,
        "energy_mj": cost.energy_mj,
        "power_mw": cost.power_mw,
        "macs": cost.macs,
        "cycles_per_mac": cost.cycles / max(1, cost.macs),
    }
