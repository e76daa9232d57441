"""What any network costs on a device, a member of a space or not: its own kernel calls are measured."""

from __future__ import annotations

import time
from typing import Any

from hwmodels.c.toolchain import find_toolchain
from hwmodels.cost.network_cost import CostModel, readable_cost
from hwmodels.cost.stripe_profiling import build_with_stripes
from hwmodels.device.device import load_device
from hwmodels.network.graph import LayerGraph


def graph_cost(graph: LayerGraph, device_name: str) -> dict[str, Any]:
    """Latency, flash, RAM and energy of a graph, in the units that people read.

    Raises InputError for an operation without a kernel, and ToolchainError without a compiler.
    """
    device = load_device(device_name)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    table = build_with_stripes(graph, find_toolchain(), date, device.target)
    found = readable_cost(CostModel(table, device).cost(graph))
    return {name: round(found[name], 3) for name in ("latency_ms", "flash_kb", "ram_kb", "energy_mj", "macs")}
