"""What each operation of a network costs on a device, as rows for tables and pictures."""

from __future__ import annotations

from typing import Any

from hwmodels.cost.network_cost import CostModel
from hwmodels.network.graph import LayerGraph
from hwmodels.schedule.memory import step_bytes


def layer_rows(graph: LayerGraph, model: CostModel) -> list[dict[str, Any]]:
    """One row per operation that runs, in execution order: cycles, milliseconds, share of all cycles, bytes
    of its own constants, and the arena bytes that are live while it runs.
    """
    graph = model.deployed(graph)
    costs = {op.name: model.op_cost(op) for op in graph}
    live = step_bytes(graph, {name: cost.scratch_bytes for name, cost in costs.items()})
    total = sum(cost.cycles for cost in costs.values())
    rows = []
    for op, held in zip(graph, live, strict=True):
        if op.kind == "input":
            continue
        cost = costs[op.name]
        detail = f"k{op.kernel}" if op.kernel > 1 else ""
        detail += f" d{op.dilation}" if op.dilation > 1 else ""
        detail += f" /{op.stride}" if op.stride > 1 else ""
        rows.append(
            {
                "name": op.name,
                "kind": "pointwise" if op.kind == "conv" and op.kernel == 1 else op.kind.replace("_", " "),
                "detail": detail,
                "length_out": op.length_out,
                "channels_out": op.channels_out,
                "macs": op.macs,
                "cycles": cost.cycles,
                "latency_ms": model.latency_ms(float(cost.cycles)),
                "share": cost.cycles / total,
                "flash_bytes": cost.data_bytes,
                "ram_bytes": held,
                "sources": list(graph.sources(op.name)),
            }
        )
    return rows
