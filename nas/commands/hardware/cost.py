"""`ppg-nas cost model.tflite`: what any int8 TFLite model costs on a device, layer by layer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodels.device.device import DEFAULT_DEVICE
from nas.terminal.arguments import CC_HELP
from nas.terminal.output import print_fields, print_json, print_table

if TYPE_CHECKING:
    from hwmodels.device.device import Device
    from hwmodels.foreign.model_cost import LayerCost, ModelCost
    from hwmodels.network.graph import Op

_COLUMNS = ("index", "operator", "kernel", "macs", "cycles", "ms", "flash_bytes", "ram_bytes", "energy_uj")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", type=Path, help="int8 TFLite file")
    parser.add_argument("--device", default=DEFAULT_DEVICE, help=f"name or YAML file ({DEFAULT_DEVICE})")
    parser.add_argument("--table", type=Path, help="look-up table to cost with, e.g. one measured on a board")
    parser.add_argument("--cc", help=CC_HELP)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the costs; exit code 2 when an operator has no kernel, after all that is known of the others."""
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.cost import lut
    from hwmodels.cost.network_cost import readable_cost
    from hwmodels.device.device import load_device
    from hwmodels.foreign.model_cost import cost_tflite

    device = load_device(options.device)
    table = lut.load(options.table, "give another --table") if options.table else None
    found = cost_tflite(options.model, device, find_toolchain(options.cc), table)
    rows = [layer_row(one, device) for one in found.layers]
    unsupported = [{"index": one.index, "operator": one.name, "why": one.reason} for one in found.unsupported]
    if options.json:
        total = None if found.total is None else readable_cost(found.total)
        content: dict[str, Any] = {"model": str(options.model), "device": device.name}
        content |= {"total": total, "total_is": found.total_is, "layers": rows}
        print_json(content | {"unsupported": unsupported, "problem": found.problem, "misfits": found.misfits})
    else:
        print_table(rows, _COLUMNS, f"{options.model.name} on {device.name}")
        for row in filter(lambda row: row["note"], rows):
            print(f"note: #{row['index']} {row['operator']}: {row['note']}")
        for misfit in found.misfits:
            print(f"does not fit {device.name}: {misfit}; its latency supposes that it does")
        if found.total is not None:
            print(f"total: {_worth(found)}")
            print_fields(readable_cost(found.total))
    return _complain(options.model, found)


def _worth(found: ModelCost) -> str:
    """What the total is worth, in words."""
    if found.unsupported:
        names = ", ".join(f"#{one.index} {one.name}" for one in found.unsupported)
        return f"incomplete, without {names}"
    if found.bounds:
        names = ", ".join(f"#{one.index} {one.name}" for one in found.bounds)
        return f"upper bound, for simple code computes {names}"
    return "complete"


def layer_row(one: LayerCost, device: Device) -> dict[str, Any]:
    """An operator as a table row; what nothing is known of is None. RAM is what is live while it runs."""
    from hwmodels.device.energy import energy_mj, latency_ms

    op, cost = one.layer.op, one.cost
    first, *after = map(_kernel, one.layer.ops or (None,))
    kernel = " + ".join([first, *(name.split()[0] for name in after)])
    row: dict[str, Any] = {
        "index": one.layer.index,
        "operator": one.layer.name,
        "kernel": "not supported" if one.layer.reason else kernel,
        "upper_bound": one.layer.is_bound,
        "note": one.note,
        "fallback": one.layer.fallback,
    }
    if cost is None or op is None:
        nothing = None if one.layer.reason else 0
        return row | dict.fromkeys(("macs", "cycles", "ms", "flash_bytes", "energy_uj"), nothing) | {"ram_bytes": None}
    return row | {
        "macs": op.macs,
        "cycles": cost.cycles,
        "ms": latency_ms(float(cost.cycles), device.clock_hz),
        "flash_bytes": cost.data_bytes,
        "ram_bytes": one.live_bytes,
        "energy_uj": 1e3 * energy_mj(float(cost.cycles), device.nj_per_cycle),
    }


def _kernel(op: Op | None) -> str:
    from hwmodels.foreign.foreign_ops import ForeignOp

    if op is None:
        return "view"
    if isinstance(op, ForeignOp):
        return op.label
    kind = op.kind
    return f"{kind} ({op.length_in}, {op.channels_in}) -> {op.channels_out}"


def _complain(model: Path, found: ModelCost) -> int:
    """One line for each operator without a kernel, and the exit code."""
    for one in found.unsupported:
        print(f"ppg-nas: not supported: #{one.index} {one.name} {one.reason}", file=sys.stderr)
    if found.total is not None and not found.unsupported:
        return 0
    lacking = f"{len(found.unsupported)} of {len(found.layers)} operators have no kernel"
    reason = lacking if found.unsupported else found.problem or "nothing runs"
    what = "no total" if found.total is None else "the total is incomplete"
    print(f"ppg-nas: error: {model}: {what}, {reason}", file=sys.stderr)
    return 2
