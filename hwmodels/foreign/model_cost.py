"""What any int8 TFLite model costs on a device, layer by layer, without a search space or torch.

Operators come from `tflite_layers`; kernel calls that no table holds yet are profiled on the spot and kept in
the user's cache. `ppg-nas cost` prints the result.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwmodels.c.toolchain import Toolchain, cache_folder
from hwmodels.cost import lut
from hwmodels.cost.lut import LookUpTable, TableError, entry_key
from hwmodels.cost.network_cost import Cost, CostModel, OpCost
from hwmodels.cost.profiling import build
from hwmodels.device.device import Device
from hwmodels.device.target import Target
from hwmodels.foreign.tflite_layers import TFLiteLayer, TFLiteModel, layers_of
from hwmodels.foreign.tflite_reader import read_tflite
from hwmodels.kernels.variants import data_bytes, exact_data_bytes, exact_variant, kernel_hash, units_of
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.schedule import memory

_RUNNER_UNITS = ("ppgnet_run", "ppgnet_execute")
_NETWORK_BYTES = 8
_MOST_MACS = 300_000_000
_MOST_CONSTANT_BYTES = 1 << 20


@dataclass(frozen=True)
class LayerCost:
    """One operator of the model: its cost, None where nothing runs (a view) or no kernel exists."""

    layer: TFLiteLayer
    cost: OpCost | None
    live_bytes: int | None


@dataclass(frozen=True)
class ModelCost:
    """A model on a device. `total` is None as long as an operator is not supported; `problem` says why
    else there is none. `misfits` say which memory is too small for what the device places there.
    """

    layers: tuple[LayerCost, ...]
    total: Cost | None
    problem: str
    misfits: tuple[str, ...] = ()

    @property
    def unsupported(self) -> tuple[TFLiteLayer, ...]:
        """The operators without a kernel, each with its reason."""
        return tuple(one.layer for one in self.layers if one.layer.reason)


def cost_tflite(path: Path, device: Device, toolchain: Toolchain, table: LookUpTable | None = None) -> ModelCost:
    """Cost a TFLite file; `table` instead of profiling (it must hold every kernel call).

    Raises TFLiteFileError for a file that is no model, MissingEntryError for a table that lacks a call.
    """
    model = _within_limits(layers_of(read_tflite(path)))
    served = [layer for layer in model.layers if layer.op is not None]
    fast = [layer.op for layer in served if layer.op and not layer.fallback]
    exact = [layer.op for layer in served if layer.op and layer.fallback]
    cost_model = CostModel(table or profiled(fast, device.target, toolchain, exact=exact), device)
    costs = {layer.index: _layer_cost(cost_model, layer) for layer in served}
    live: dict[str, int] = {}
    if model.graph is not None:
        by_name = {layer.op.name: costs[layer.index] for layer in served if layer.op}
        scratch = {name: cost.scratch_bytes for name, cost in by_name.items()}
        live = dict(zip([op.name for op in model.graph], memory.step_bytes(model.graph, scratch), strict=True))
    layers = tuple(
        LayerCost(layer, costs.get(layer.index), live.get(layer.op.name) if layer.op else None)
        for layer in model.layers
    )
    total = None if model.graph is None else _total(model.graph, cost_model, list(costs.values()), live)
    misfits: list[str] = []
    if total is not None:
        constants = sum(cost.data_bytes for cost in costs.values())
        misfits = device.misfits(total.flash_bytes - constants, constants, total.peak_ram_bytes)
    return ModelCost(layers, total, model.problem, tuple(misfits))


def _layer_cost(model: CostModel, layer: TFLiteLayer) -> OpCost:
    assert layer.op is not None
    if not layer.fallback:
        return model.op_cost(layer.op)
    op, variant, runner = layer.op, exact_variant(layer.op), model.lut.runner
    entry = model.lut.entry(op, variant)
    return OpCost(
        entry.cycles + runner.step_cycles,
        entry.instructions + runner.step_instructions,
        exact_data_bytes(op),
        units_of(variant),
        entry.stack_bytes,
        0,
    )


def profiled(
    ops: list[Op],
    target: Target,
    toolchain: Toolchain,
    progress: Callable[[int, int], None] | None = None,
    exact: Sequence[Op] = (),
) -> LookUpTable:
    """A table that holds at least these operations: the user's cached one, what it lacked added.

    Those in `exact` with the exact kernel.
    """
    identity = (kernel_hash(), lut.rules_hash(), toolchain.version, *toolchain.flags, target.name)
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:24]
    path = cache_folder() / f"calls-{name}.json"
    known: LookUpTable | None = None
    with suppress(TableError):
        known = lut.load(path)
    entries: Mapping[str, Any] = known.entries if known else {}
    missing = [op for op in ops if entry_key(op) not in entries]
    missing_exact = [op for op in exact if entry_key(op, exact_variant(op)) not in entries]
    if known and not missing and not missing_exact:
        return known
    date = time.strftime("%Y-%m-%d", time.gmtime())
    made = build(missing, toolchain, date, target, progress=progress, exact=missing_exact)
    whole = LookUpTable(made.provenance, made.runner, made.code_bytes, {**entries, **made.entries})
    whole.save(path)
    return whole


def _within_limits(model: TFLiteModel) -> TFLiteModel:
    """Operators too large for the emulated memory, or for a patient user, become unsupported ones."""
    layers = tuple(_limited(layer) for layer in model.layers)
    graph = None if any(layer.reason for layer in layers) else model.graph
    return TFLiteModel(layers, graph, model.problem)


def _limited(layer: TFLiteLayer) -> TFLiteLayer:
    if layer.op is None:
        return layer
    reason = ""
    if layer.op.macs > _MOST_MACS:
        reason = f"has {layer.op.macs:,} MACs, more than the {_MOST_MACS:,} that are profiled"
    elif data_bytes(layer.op) > _MOST_CONSTANT_BYTES or layer.op.input_bytes + layer.op.output_bytes > 1 << 20:
        reason = "has more weights or larger tensors than the emulated memory"
    return layer if not reason else TFLiteLayer(layer.index, layer.name, None, reason)


def _total(graph: LayerGraph, model: CostModel, costs: Sequence[OpCost], live: Mapping[str, int]) -> Cost:
    """As CostModel.cost, but for what makes the input of our own networks, which a foreign one has not."""
    units = frozenset(_RUNNER_UNITS).union(*(cost.code_units for cost in costs))
    return model.total(
        cycles=model.fixed_cycles + sum(cost.cycles for cost in costs),
        flash_bytes=_NETWORK_BYTES
        + sum(cost.data_bytes for cost in costs)
        + sum(model.code_bytes[unit] for unit in units),
        peak_ram_bytes=model.fixed_ram_bytes + max(live.values()) + max(cost.stack_bytes for cost in costs),
        macs=graph.macs,
    )
