"""What the loop over a block's stripes costs by itself: executed on the emulated core around a tiny kernel,
whose own cycles are taken off. For tables of networks in stripes (hwmodels.schedule.stripes).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from hwmodels.c.text import sources_in
from hwmodels.c.toolchain import Toolchain
from hwmodels.cost.lut import Entry, LookUpTable
from hwmodels.cost.profiling import build
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.device.target import Target
from hwmodels.emulation.emulator import RAM_BASE, Emulator
from hwmodels.emulation.kernel_call import kernel_call
from hwmodels.kernels.variants import STEP_BYTES, kernel_sources
from hwmodels.network.graph import Op
from hwmodels.schedule.striped_block import CODE_UNITS, SOURCES, StripedBlock, with_calls

_POOL = Op("pool", "average_pool", 4, 4, 1, 4)
_BLOCK, _STEPS = RAM_BASE + 0x800, RAM_BASE + 0x1000
_TENSORS, _SCRATCH = RAM_BASE + (1 << 20), RAM_BASE + (2 << 20)


def build_with_stripes(
    ops: Iterable[Op],
    toolchain: Toolchain,
    date: str,
    target: Target,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LookUpTable:
    """As hwmodels.cost.profiling.build, for operations of schedules: blocks in stripes and all that they call."""
    called = with_calls(ops)
    blocks = [op for op in called if isinstance(op, StripedBlock)]
    single = [op for op in called if not isinstance(op, StripedBlock)]
    table = build(single, toolchain, date, target, executor, progress)
    return _with_stripes(table, blocks, toolchain, target) if blocks else table


def _with_stripes(
    table: LookUpTable, blocks: Iterable[StripedBlock], toolchain: Toolchain, target: Target
) -> LookUpTable:
    """The table with entries for the loops of `blocks` and with the bytes of their code."""
    toolchain = toolchain.for_core(target.core)
    sources = kernel_sources() | sources_in(SOURCES)
    sections = toolchain.section_bytes(
        {name: text for name, text in sources.items() if name.endswith(".h") or "stripes" in name}
    )
    image = toolchain.link(sources, keep=("ppgnet_stripes", "ppgnet_average_pool"))
    emulator, model = Emulator(image), PipelineModel(image, target.core)
    call = kernel_call(_POOL, np.random.default_rng(0))
    run = emulator.call(call.function, call.arguments, call.writes)
    pool = Entry(model.cycles(run), run.instructions, run.stack_bytes, "modelled")
    kernel = image.address("ppgnet_average_pool") | 1
    # Its own lines and a step's record are fetched anew at every step, as those of the loop over a network's.
    lines = records = 0
    if target.flash and target.flash.instruction_cache:
        lines = -(-image.symbols["ppgnet_stripes"].size // target.flash.instruction_cache.line_bytes)
    if target.flash and target.flash.constant_cache:
        records = -(-STEP_BYTES // target.flash.constant_cache.line_bytes)
    entries = dict(table.entries)
    for key, block in {block.key: block for block in blocks}.items():
        writes = [call.writes[0], *_written(block, kernel, call.arguments[0])]
        run = emulator.call("ppgnet_stripes", (_BLOCK, _TENSORS, _TENSORS, _TENSORS, _SCRATCH), writes)
        calls = sum(stripe.repeats * len(block.ops(stripe)) for stripe in block.stripes)
        entries[key] = Entry(
            model.cycles(run) - calls * pool.cycles + target.stall_cycles(calls * lines, calls * records),
            run.instructions - calls * pool.instructions,
            run.stack_bytes - pool.stack_bytes,
            "modelled",
        )
    code = {unit: sections[f".text.{unit}"] for unit in sorted(CODE_UNITS)}
    return replace(table, code_bytes={**table.code_bytes, **code}, entries=dict(sorted(entries.items())))


def _written(block: StripedBlock, kernel: int, parameters: int) -> list[tuple[int, bytes]]:
    """The block's records with every step pooling four numbers in place."""
    step = struct.pack("<6I", kernel, parameters, 0, 0, 0, 64)
    most = max(len(block.ops(stripe)) for stripe in block.stripes)
    over, packed = block.over_time, b""
    width = over.channels_in
    for stripe in block.stripes:
        steps = (_STEPS, len(block.ops(stripe)), stripe.repeats)
        packed += struct.pack("<7I", *steps, *block.moved_bytes(stripe))
    head = (_BLOCK + 64, len(block.stripes), over.padding_before * width, over.reach * width)
    record = struct.pack("<7I", *head, block.copies, 0, block.settled_bytes)
    return [(_BLOCK, record), (_BLOCK + 64, packed), (_STEPS, step * most)]
