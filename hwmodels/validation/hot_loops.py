"""The loop that each kernel spends most of its time in: the scoreboard's cycles a turn beside llvm-mca's.

A cross-check for `ppg-nas hw validate`; llvm-mca sees neither banks of memory nor where a branch goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwmodels.c.toolchain import Toolchain
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.emulation.emulator import Emulator, count_thumb_instructions
from hwmodels.emulation.kernel_call import kernel_call
from hwmodels.kernels.variants import kernel_image, variant_of
from hwmodels.network.graph import Op
from hwmodels.validation import llvm_mca as second_model

TYPICAL = (
    Op("pointwise 128, 32->64", "conv", 128, 32, 128, 64, activation="relu"),
    Op("convolution k3 d4, 64, 32->32", "conv", 64, 32, 64, 32, 3, 1, 4, activation="relu"),
    Op("depthwise k3, 128, 32", "depthwise", 128, 32, 128, 32, 3, activation="relu"),
    Op("depthwise k5, 128, 32", "depthwise", 128, 32, 128, 32, 5, activation="relu"),
    Op("depthwise k7 d8, 128, 32", "depthwise", 128, 32, 128, 32, 7, 1, 8, activation="relu"),
    Op("fully connected 128->64", "fully_connected", 1, 128, 1, 64),
    Op("residual add, 128, 32", "add", 128, 32, 128, 32),
)


@dataclass(frozen=True)
class HotLoop:
    """A loop of one block: its share of the call's cycles, instructions and cycles of one turn."""

    layer: str
    kernel: str
    share: float
    instructions: int
    model_cycles: int
    llvm_mca_cycles: float | None


def hot_loops(toolchain: Toolchain, ops: Sequence[Op] = TYPICAL) -> list[HotLoop]:
    """The dearest loop of each call that has one; llvm-mca's column is None where it is not installed."""
    image = kernel_image(toolchain)
    emulator, model = Emulator(image), PipelineModel(image)
    asks = second_model.missing() is None
    found = []
    for op in ops:
        call = kernel_call(op, np.random.default_rng(0))
        run = emulator.call(call.function, call.arguments, call.writes)
        turns = {target: count for (source, target), count in run.edges.items() if source == target}
        costs = {start: model.loop_cycles(start, run.blocks[start]) for start in turns}
        if not turns:
            continue
        dearest = max(turns, key=lambda start: turns[start] * costs[start])
        code = image.read(dearest, run.blocks[dearest])
        found.append(
            HotLoop(
                op.name,
                variant_of(op).name,
                turns[dearest] * costs[dearest] / model.cycles(run),
                count_thumb_instructions(code),
                costs[dearest],
                second_model.steady_cycles(code) if asks else None,
            )
        )
    return found
