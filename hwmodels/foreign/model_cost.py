"""What any int8 TFLite model costs on a device, layer by layer, without a search space or torch.

Operators come from `tflite_layers`; kernel calls that no table holds yet are profiled on the spot and kept in
the user's cache. `ppg-nas cost` prints the result; what is slow for want of a kernel is said in `slow_layers`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwmodels.c.toolchain import Toolchain, cache_folder
from hwmodels.cost import lut
from hwmodels.cost.lut import LookUpTable, TableError, entry_key
from hwmodels.cost.network_cost import Cost, CostModel, OpCost
from hwmodels.cost.profiling import build
from hwmodels.device.device import Device
from hwmodels.device.target import Target
from hwmodels.foreign.foreign_ops import ForeignCall, ForeignOp, source_hash
from hwmodels.foreign.foreign_profiling import MOST_TENSOR_BYTES, foreign_code_bytes, measure
from hwmodels.foreign.slow_layers import slow_note
from hwmodels.foreign.tflite_layers import TFLiteLayer, TFLiteModel, layers_of
from hwmodels.foreign.tflite_reader import read_tflite
from hwmodels.kernels.variants import (
    code_units,
    data_bytes,
    exact_data_bytes,
    exact_variant,
    kernel_hash,
    units_of,
)
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.schedule import memory

_RUNNER_UNITS = ("ppgnet_run", "ppgnet_execute")
_NETWORK_BYTES = 8
_MOST_MACS = 300_000_000
_MOST_CONSTANT_BYTES = 1 << 20


@dataclass(frozen=True)
class LayerCost:
    """One operator of the model: its cost, None where nothing runs (a view) or no kernel exists.

    `note` says what a reader of the figures must know.
    """

    layer: TFLiteLayer
    cost: OpCost | None
    live_bytes: int | None
    note: str = ""


@dataclass(frozen=True)
class ModelCost:
    """A model on a device. `total` lacks what `unsupported` operators cost, if there are some; it is None where
    nothing is known of any, or where `problem` says why. `misfits` say which memory is too small for what the
    device places there.
    """

    layers: tuple[LayerCost, ...]
    total: Cost | None
    problem: str
    misfits: tuple[str, ...] = ()

    @property
    def unsupported(self) -> tuple[TFLiteLayer, ...]:
        """The operators without a kernel, each with its reason."""
        return tuple(one.layer for one in self.layers if one.layer.reason)

    @property
    def bounds(self) -> tuple[TFLiteLayer, ...]:
        """The operators priced by simple code, which a tuned kernel would undercut."""
        return tuple(one.layer for one in self.layers if one.layer.is_bound)

    @property
    def total_is(self) -> str:
        """What the total is worth: complete, an upper bound, incomplete, or that there is none."""
        if self.total is None:
            return "none"
        return "incomplete" if self.unsupported else "upper bound" if self.bounds else "complete"


def cost_tflite(path: Path, device: Device, toolchain: Toolchain, table: LookUpTable | None = None) -> ModelCost:
    """Cost a TFLite file; `table` instead of profiling (it must hold every call of our kernels).

    Raises TFLiteFileError for a file that is no model, MissingEntryError for a table that lacks a call.
    """
    model = _within_limits(layers_of(read_tflite(path)))
    calls = [call for layer in model.layers for op in layer.ops if isinstance(op, ForeignOp) for call in op.calls]
    if table is None:
        ours = [(op, layer) for layer in model.layers for op in layer.ops if not isinstance(op, ForeignOp)]
        fast = [op for op, layer in ours if not layer.fallback]
        exact = [op for op, layer in ours if layer.fallback]
        table = profiled(fast, device.target, toolchain, exact=exact, foreign=calls)
    else:
        table = _with_foreign(table, device.target, toolchain, calls)
    cost_model = CostModel(table, device)
    parts = {op.name: _op_cost(cost_model, layer, op) for layer in model.layers for op in layer.ops}
    live: dict[str, int] = {}
    if model.graph is not None:
        scratch = {name: cost.scratch_bytes for name, cost in parts.items()}
        live = dict(zip([op.name for op in model.graph], memory.step_bytes(model.graph, scratch), strict=True))
    total = _total(model.graph, cost_model, list(parts.values()), live) if model.graph is not None and parts else None
    cycles = sum(cost.cycles for cost in parts.values())
    layers = tuple(_layer_cost(layer, [parts[op.name] for op in layer.ops], live, cycles) for layer in model.layers)
    misfits: list[str] = []
    if total is not None:
        constants = sum(cost.data_bytes for cost in parts.values())
        misfits = device.misfits(total.flash_bytes - constants, constants, total.peak_ram_bytes)
    return ModelCost(layers, total, model.problem, tuple(misfits))


def _layer_cost(layer: TFLiteLayer, parts: Sequence[OpCost], live: Mapping[str, int], cycles: int) -> LayerCost:
    if not parts:
        return LayerCost(layer, None, None, layer.note)
    cost = OpCost(
        sum(part.cycles for part in parts),
        sum(part.instructions for part in parts),
        sum(part.data_bytes for part in parts),
        frozenset().union(*(part.code_units for part in parts)),
        max(part.stack_bytes for part in parts),
        max(part.scratch_bytes for part in parts),
    )
    note = "; ".join(filter(None, (layer.note, slow_note(layer, cost, cycles))))
    return LayerCost(layer, cost, max((live[op.name] for op in layer.ops if op.name in live), default=None), note)


def _op_cost(model: CostModel, layer: TFLiteLayer, op: Op) -> OpCost:
    runner = model.lut.runner
    if isinstance(op, ForeignOp):
        entries = [model.lut.entries[call.key] for call in op.calls]
        units, constants, scratch = code_units(op), data_bytes(op), 0
    elif layer.fallback:
        variant = exact_variant(op)
        entries, units = [model.lut.entry(op, variant)], units_of(variant)
        constants, scratch = exact_data_bytes(op), 0
    else:
        return model.op_cost(op)
    return OpCost(
        sum(entry.cycles + runner.step_cycles for entry in entries),
        sum(entry.instructions + runner.step_instructions for entry in entries),
        constants,
        units,
        max((entry.stack_bytes for entry in entries), default=0),
        scratch,
    )


def profiled(
    ops: list[Op],
    target: Target,
    toolchain: Toolchain,
    progress: Callable[[int, int], None] | None = None,
    exact: Sequence[Op] = (),
    foreign: Sequence[ForeignCall] = (),
) -> LookUpTable:
    """A table that holds at least these operations: the user's cached one, what it lacked added.

    Those in `exact` with the exact kernel; of foreign networks' operations the calls.
    """
    identity = (kernel_hash(), source_hash(), lut.rules_hash(), toolchain.version, *toolchain.flags, target.name)
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:24]
    path = cache_folder() / f"calls-{name}.json"
    known: LookUpTable | None = None
    with suppress(TableError):
        known = lut.load(path)
    entries: Mapping[str, Any] = known.entries if known else {}
    missing = [op for op in ops if entry_key(op) not in entries]
    missing_exact = [op for op in exact if entry_key(op, exact_variant(op)) not in entries]
    whole = known
    if known is None or missing or missing_exact:
        date = time.strftime("%Y-%m-%d", time.gmtime())
        made = build(missing, toolchain, date, target, progress=progress, exact=missing_exact)
        code = {**(known.code_bytes if known else {}), **made.code_bytes}
        whole = LookUpTable(made.provenance, made.runner, code, {**entries, **made.entries})
    assert whole is not None
    whole = _with_foreign(whole, target, toolchain, foreign)
    if whole is not known:
        whole.save(path)
    return whole


def _with_foreign(
    table: LookUpTable, target: Target, toolchain: Toolchain, calls: Sequence[ForeignCall]
) -> LookUpTable:
    """The table with those calls, by the cycle model where it lacks them."""
    lacking = {call.key: call for call in calls if call.key not in table.entries}
    if not lacking:
        return table
    made = measure(list(lacking.values()), toolchain, target)
    code = {**table.code_bytes, **foreign_code_bytes(toolchain.for_core(target.core))}
    return replace(table, code_bytes=code, entries={**table.entries, **made})


def _within_limits(model: TFLiteModel) -> TFLiteModel:
    """Operators too large for the emulated memory, or for a patient user, become unsupported ones."""
    return replace(model, layers=tuple(map(_limited, model.layers)))


def _limited(layer: TFLiteLayer) -> TFLiteLayer:
    for op in layer.ops:
        work = sum(call.loops for call in op.calls) if isinstance(op, ForeignOp) else op.macs
        constants = sum(c.constant_bytes for c in op.calls) if isinstance(op, ForeignOp) else data_bytes(op)
        tensors = sum(length * channels for length, channels in op.operand_shapes) + op.output_bytes
        if work > _MOST_MACS:
            reason = f"has {work:,} steps of its innermost loop, more than the {_MOST_MACS:,} that are profiled"
            return replace(layer, ops=(), reason=reason)
        if constants > _MOST_CONSTANT_BYTES or tensors > MOST_TENSOR_BYTES:
            return replace(layer, ops=(), reason="has more weights or larger tensors than the emulated memory")
    return layer


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
