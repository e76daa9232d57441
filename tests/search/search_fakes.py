"""A made-up cost model, small spaces and made-up accuracy for tests of the search; quick, deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.schedule.memory import step_bytes
from supernet.space.search_space import Genes, SearchSpace, load_space


@dataclass(frozen=True)
class FakeOpCost:
    cycles: int
    data_bytes: int
    code_units: frozenset[str]
    stack_bytes: int
    scratch_bytes: int


class FakeCostModel:
    """The arithmetic of a real cost model over invented tables."""

    fixed_cycles = 1000
    fixed_flash_bytes = 2048
    fixed_ram_bytes = 128
    clock_hz = 64_000_000

    @cached_property
    def code_bytes(self) -> Mapping[str, int]:
        names = ["runner", "requantize", "pool", "head", "add", "fully_connected", "conv", "pointwise"]
        names += [f"depthwise{kernel}" for kernel in (3, 5, 7)] + ["strided"]
        return {name: 100 + 37 * index for index, name in enumerate(names)}

    def op_cost(self, op: Op) -> FakeOpCost:
        units = {
            "input": set(),
            "conv": {"conv" if op.kernel > 1 else "pointwise", "requantize"},
            "depthwise": {f"depthwise{op.kernel}", "requantize"},
            "add": {"add"},
            "average_pool": {"pool"},
            "fully_connected": {"fully_connected", "requantize"},
        }.get(op.kind, {"head"})
        if op.kind == "depthwise" and op.stride > 1:
            units = {*units, "strided"}
        return FakeOpCost(
            cycles=op.macs * 2 + 40 * op.length_out + op.kernel * 7,
            data_bytes=op.weight_count + 12 * op.channels_out * op.has_parameters + 16,
            code_units=frozenset(units),
            stack_bytes={"conv": 64, "depthwise": 48 + 8 * op.kernel}.get(op.kind, 24),
            scratch_bytes=4 * op.kernel * op.channels_in if op.kind == "conv" and op.kernel > 1 else 0,
        )

    def deployed(self, graph: LayerGraph) -> LayerGraph:
        return graph

    def latency_ms(self, cycles: Any) -> Any:
        return cycles / self.clock_hz * 1000.0

    def energy_mj(self, cycles: Any) -> Any:
        return cycles * 0.44e-6

    def power_mw(self, cycles: Any) -> Any:
        return self.energy_mj(cycles) / 2.0 + 0.01

    def cost(self, graph: LayerGraph) -> dict[str, float]:
        """Costs of a whole graph, without any table."""
        costs = [self.op_cost(op) for op in graph]
        scratch = {op.name: cost.scratch_bytes for op, cost in zip(graph, costs, strict=True)}
        cycles = self.fixed_cycles + sum(cost.cycles for cost in costs)
        units = frozenset().union(*(cost.code_units for cost in costs))
        flash = sum(cost.data_bytes for cost in costs) + sum(self.code_bytes[unit] for unit in units)
        ram = max(step_bytes(graph, scratch)) + max(cost.stack_bytes for cost in costs)
        return {
            "latency_ms": self.latency_ms(cycles),
            "cycles": cycles,
            "flash_bytes": flash + self.fixed_flash_bytes,
            "peak_ram_bytes": ram + self.fixed_ram_bytes,
            "energy_mj": self.energy_mj(cycles),
            "power_mw": self.power_mw(cycles),
        }


def small_space(**changes: Any) -> SearchSpace:
    """A space of a few thousand members with every kind of segment."""
    fine = {
        "inverted_residual": {"kernels": (3, 5), "dilations": (1,), "expansions": (1, 2)},
        "dilated": {"kernels": (3,), "dilations": (2,)},
    }
    content: dict[str, Any] = {
        "name": "small",
        "sensors": ("ppg", "ppg_acc"),
        "stems": ({"rate_hz": 8, "kernel": 3, "stride": 1}, {"rate_hz": 32, "kernel": 5, "stride": 2}),
        "stem_widths": (4, 8),
        "stages": (
            {"stride": 1, "widths": (4, 8), "min_depth": 1, "blocks": (fine, fine)},
            {"stride": 2, "widths": (8, 12), "min_depth": 1, "blocks": (fine,)},
        ),
        "window_s": 4,
        "outputs": 12,
    }
    return SearchSpace(**{**content, **changes})


def every_member(space: SearchSpace) -> Genes:
    """All canonical genes of a small space, (n, genes)."""
    axes = [np.arange(low * 0, high + 1) for low, high in zip(space.lows, space.highs, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, space.gene_count)
    grid = grid[(grid >= space.lows).all(axis=1)]
    return np.unique(space.canonical(grid), axis=0)


def made_up_errors(space: SearchSpace, genes: Genes) -> np.ndarray:
    """An invented error of each genotype, (n,): smaller for larger networks, with structure and ties."""
    rows = np.asarray(genes, np.float64) / np.maximum(space.highs, 1)
    ripple = np.sin(rows @ np.arange(1, rows.shape[1] + 1) * 3.0)
    return 3.0 + 6.0 * np.exp(-1.5 * rows.mean(axis=1) * 2) + 0.4 * ripple


__all__ = ["FakeCostModel", "every_member", "load_space", "made_up_errors", "small_space"]
