"""SearchSpace + CostModel compiled once into an immutable plan that costs a million architectures by gathers.

Equal to costing the lowered graph to the last bit: cycles and data bytes are sums over segments,
linked code is a union of bit masks, memory is a maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from search.costs.names import COST_NAMES, STEP_NAMES
from search.costs.segments import Longs, OpCosts, Segments, required_ops, segments_of
from supernet.space.arch import Arch
from supernet.space.search_space import Genes, SearchSpace

__all__ = ["CostPlan", "Costs", "compile_costs", "required_ops"]

_STEP_COSTS = dict(zip(STEP_NAMES, ("latency_ms", "cycles", "peak_ram_bytes", "energy_mj"), strict=True))
ENDLESS = 1 << 52
_CHUNK = 4096
_CYCLE_BITS = 40
_WORD_BITS = 10
_MASK_BITS = 60

Floats = npt.NDArray[np.float64]


class CostModel(OpCosts, Protocol):
    """What the plan asks of a cost model; hwmodels.cost.network_cost.CostModel is one."""

    @property
    def code_bytes(self) -> Mapping[str, int]: ...
    @property
    def fixed_cycles(self) -> int: ...
    @property
    def fixed_flash_bytes(self) -> int: ...
    @property
    def fixed_ram_bytes(self) -> int: ...
    def latency_ms(self, cycles: Floats, /) -> Floats: ...
    def energy_mj(self, cycles: Floats, /) -> Floats: ...
    def power_mw(self, cycles: Floats, /) -> Floats: ...


@dataclass(frozen=True)
class Costs:
    """Costs of n architectures, one array (n,) each; `steps` are those of their streaming steps, or None."""

    latency_ms: Floats
    cycles: Longs
    flash_bytes: Longs
    peak_ram_bytes: Longs
    energy_mj: Floats
    power_mw: Floats
    steps: Costs | None = None

    def __len__(self) -> int:
        return len(self.cycles)

    def column(self, name: str) -> Floats:
        """One cost by its name, as floats (n,); those of steps infinite where an architecture cannot stream.

        Raises ValueError for a step's cost where steps were not costed.
        """
        if name not in _STEP_COSTS:
            return np.asarray(getattr(self, name), np.float64)
        if self.steps is None:
            raise ValueError(f"{name}: this plan costs no streaming steps")
        values = self.steps.column(_STEP_COSTS[name])
        return np.where(np.isinf(self.steps.latency_ms), np.inf, values)

    def row(self, index: int) -> dict[str, Any]:
        """All costs of one architecture by name; those of steps None where it cannot stream."""
        window_costs = {name: getattr(self, name)[index].item() for name in COST_NAMES}
        if self.steps is None:
            return window_costs
        streams = bool(np.isfinite(self.steps.latency_ms[index]))
        step_costs = self.steps.row(index)
        return window_costs | {name: step_costs[cost] if streams else None for name, cost in _STEP_COSTS.items()}


@dataclass(frozen=True)
class _Gathers:
    """Flat tables of all segments; an architecture's entry in segment s is weights[s] . genes + starts[s]."""

    weights: Floats
    starts: Floats
    sums: Longs
    live_bytes: Longs
    stack_bytes: Longs
    state_bytes: Longs | None
    units: tuple[Longs, ...]
    code_bytes: tuple[tuple[Longs, ...], ...]


class CostPlan:
    """Costs of many architectures of one space on one device, by table gathers. Immutable; build by
    `compile_costs`. `steps` costs their streaming steps, or is None.
    """

    def __init__(self, space: SearchSpace, model: CostModel, segments: Segments, steps: CostPlan | None = None) -> None:
        self.steps = steps
        self.space = space
        self.model = model
        self.segments = segments
        self._common_units = segments.common_units()
        code = sum(
            model.code_bytes[name] for index, name in enumerate(segments.unit_names) if self._common_units >> index & 1
        )
        self.fixed_flash_bytes = model.fixed_flash_bytes + code
        self._gathers = _gathers(space, model, segments, self._common_units)

    def costs(self, genes: Genes) -> Costs:
        """Costs of canonical genes (n, genes)."""
        rows = np.asarray(genes)
        count = len(rows)
        sums = np.empty(count, np.int64)
        memory = np.empty(count, np.int64)
        state = np.zeros(count, np.int64)
        code = np.zeros(count, np.int64)
        tables = self._gathers
        for start in range(0, count, _CHUNK):
            span = slice(start, start + _CHUNK)
            # Exact: small whole numbers, far below 2**53.
            entries = (tables.weights @ rows[span].T + tables.starts).astype(np.intp)
            sums[span] = tables.sums[entries].sum(axis=0)
            memory[span] = tables.live_bytes[entries].max(axis=0) + tables.stack_bytes[entries].max(axis=0)
            if tables.state_bytes is not None:
                state[span] = tables.state_bytes[entries].sum(axis=0)
            for units, parts in zip(tables.units, tables.code_bytes, strict=True):
                mask = np.bitwise_or.reduce(units[entries], axis=0)
                for shift, part in enumerate(parts):
                    code[span] += part[(mask >> (shift * _WORD_BITS)) & ((1 << _WORD_BITS) - 1)]
        cycles = (sums & ((1 << _CYCLE_BITS) - 1)) + self.model.fixed_cycles
        flash = (sums >> _CYCLE_BITS) + code + self.fixed_flash_bytes
        costs = self.finish(cycles, flash, memory + state + self.model.fixed_ram_bytes)
        costs = _without(costs, state < 0)
        return costs if self.steps is None else replace(costs, steps=self.steps.costs(rows))

    def finish(self, cycles: Longs, flash_bytes: Longs, peak_ram_bytes: Longs) -> Costs:
        """All costs from the whole-number ones, each (n,)."""
        times = cycles.astype(np.float64)
        latency, energy = self.model.latency_ms(times), self.model.energy_mj(times)
        power = self.model.power_mw(times)
        return Costs(latency, cycles, flash_bytes, peak_ram_bytes, energy, power)

    def of(self, arch: Arch) -> dict[str, Any]:
        """Costs of one architecture by name."""
        return self.costs(self.space.encode([arch])).row(0)


def _gathers(space: SearchSpace, model: CostModel, segments: Segments, common: int) -> _Gathers:
    weights = np.zeros((len(segments.chain), space.gene_count))
    starts = np.zeros((len(segments.chain), 1))
    sums, live, stack, masks = [], [], [], []
    start, ceiling = 0, 0
    for index, segment in enumerate(segments.chain):
        shape = segment.cycles.shape
        for axis, column in enumerate(segment.columns):
            weights[index, column] = np.prod(shape[axis + 1 :], dtype=np.int64)
        starts[index] = start
        start += segment.cycles.size
        ceiling += int(segment.cycles.max())
        sums.append((segment.data_bytes.reshape(-1) << _CYCLE_BITS) + segment.cycles.reshape(-1))
        live.append(segment.live_bytes.reshape(-1))
        stack.append(segment.stack_bytes.reshape(-1))
        masks += segment.units.reshape(-1).tolist()
    if ceiling >> _CYCLE_BITS:
        raise ValueError(f"an inference of up to {ceiling} cycles is beyond this plan's counters")
    varied = [index for index in range(len(segments.unit_names)) if not common >> index & 1]
    words, parts = [], []
    for first in range(0, len(varied), _MASK_BITS):
        held = varied[first : first + _MASK_BITS]
        words.append(np.array([sum((mask >> bit & 1) << place for place, bit in enumerate(held)) for mask in masks]))
        sizes = [model.code_bytes[segments.unit_names[bit]] for bit in held]
        parts.append(tuple(_subset_sums(sizes[at : at + _WORD_BITS]) for at in range(0, len(held), _WORD_BITS)))
    flat = [np.concatenate(tables) for tables in (sums, live, stack)]
    states = np.concatenate([segment.state_bytes.reshape(-1) for segment in segments.chain])
    kept = states if states.any() else None
    return _Gathers(weights, starts, flat[0], flat[1], flat[2], kept, tuple(words), tuple(parts))


def _without(costs: Costs, impossible: npt.NDArray[np.bool_]) -> Costs:
    """The costs, endless for architectures that are impossible."""
    if not impossible.any():
        return costs
    endless: dict[str, Any] = {
        name: np.inf if getattr(costs, name).dtype == np.float64 else ENDLESS for name in COST_NAMES
    }
    return replace(costs, **{name: np.where(impossible, end, getattr(costs, name)) for name, end in endless.items()})


def _subset_sums(sizes: list[int]) -> Longs:
    """Total of every subset of `sizes`, indexed by its bit mask."""
    sums = np.zeros(1, np.int64)
    for size in sizes:
        sums = np.concatenate([sums, sums + size])
    return np.pad(sums, (0, (1 << _WORD_BITS) - len(sums)))


def compile_costs(space: SearchSpace, model: CostModel, step_s: float | None = None) -> CostPlan:
    """Compile a space and a cost model. Raises MissingEntryError when the table lacks an operation.

    With `step_s`, the costs are those of streaming steps on so many seconds of new samples, and endless
    (infinite, or ENDLESS for whole numbers) where an architecture cannot stream. The counting and extremes
    of search.feasibility.budget_check know window plans only: what a step keeps adds up, they take maxima.
    """
    return CostPlan(space, model, segments_of(space, model, step_s))


def compile_both_modes(space: SearchSpace, model: CostModel, step_s: float) -> CostPlan:
    """Compile window mode, and streaming steps on so many seconds beside it, for the names of STEP_NAMES."""
    steps = compile_costs(space, model, step_s)
    return CostPlan(space, model, segments_of(space, model), steps)
