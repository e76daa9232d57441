"""Layers that take longer than their neighbours because no kernel is made for their shape, said with their share."""

from __future__ import annotations

from hwmodels.cost.network_cost import OpCost
from hwmodels.foreign.foreign_ops import ForeignOp
from hwmodels.foreign.tflite_layers import TFLiteLayer
from hwmodels.kernels.variants import EXACT, series_spacing, variant_of
from hwmodels.network.graph import Op

_FEWEST_TAPS, _MOST_TAPS = 2, 9
_TILE_POSITIONS = 4
_SLOW_CYCLES_PER_MAC = {"conv": 2.5, "fully_connected": 2.5, "depthwise": 6.0}
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
    reason = _lacking(op)
    if not reason and op.macs and per_mac > _SLOW_CYCLES_PER_MAC[op.kind] and cost.cycles > _SMALLEST_SHARE * cycles:
        reason = f"its shape suits no kernel ({op.length_out} positions, {op.channels_out} channels)"
    return f"no fast kernel: {reason}; {per_mac:.1f} cycles per MAC, {share}" if reason else ""


def _lacking(op: Op) -> str:
    """Why the tiles of convolutions, and the depthwise kernels that are unrolled for their taps, do not serve an op."""
    if op.kind == "conv" and op.length_out >= _TILE_POSITIONS and op.channels_out % 2:
        return "an odd number of output channels"
    if op.kind != "depthwise":
        return ""
    variant = variant_of(op)
    if variant == EXACT:
        return "channels are no multiple of 4" if op.channels_out % 4 else "its stride jumps over samples"
    if not variant.name.endswith("_any"):
        return ""
    if not _FEWEST_TAPS <= op.kernel <= _MOST_TAPS:
        return f"{op.kernel} taps, kernels are made for {_FEWEST_TAPS} to {_MOST_TAPS}"
    return f"a stride of {series_spacing(op)} samples without a ReLU"
