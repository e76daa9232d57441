"""Layers that take longer than their neighbours because no kernel is made for their shape, said with their share."""

from __future__ import annotations

from hwmodels.cost.network_cost import OpCost
from hwmodels.foreign.foreign_ops import ForeignOp
from hwmodels.foreign.tflite_layers import TFLiteLayer
from hwmodels.network.operation_kind import kind_of

_SMALLEST_SHARE = 0.02


def slow_note(layer: TFLiteLayer, cost: OpCost, cycles: int) -> str:
    """What slows a layer of such cost in a network of so many cycles, "" for one that a fast kernel serves."""
    share = f"{100 * cost.cycles / max(1, cycles):.1f} % of the cycles"
    if layer.is_bound:
        return f"upper bound: simple code, no tuned kernel; {share}"
    op = layer.op
    if op is None or isinstance(op, ForeignOp):
        return ""
    if layer.fallback:
        return f"exact kernel: {layer.fallback}; {share}"
    per_mac = cost.cycles / max(1, op.macs)
    kind = kind_of(op)
    reason, limit = kind.kernel_gap(op), kind.slow_cycles_per_mac
    if not reason and limit is not None and per_mac > limit and cost.cycles > _SMALLEST_SHARE * cycles:
        reason = f"its shape suits no kernel ({op.length_out} positions, {op.channels_out} channels)"
    return f"no fast kernel: {reason}; {per_mac:.1f} cycles per MAC, {share}" if reason else ""
