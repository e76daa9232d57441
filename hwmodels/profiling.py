"""Builds the look-up table: every kernel call of a space, executed on the emulated core and costed.

One image holds all kernels; parameters are written into the emulated memory, so an entry costs
milliseconds and no compilation.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import unicorn

from hwmodels.emulator import RAM_BASE, Emulator
from hwmodels.graph import Op
from hwmodels.kernel_call import kernel_call
from hwmodels.lut import Entry, LookUpTable, Provenance, Runner, entry_key, rules_hash
from hwmodels.pipeline import PipelineModel
from hwmodels.toolchain import ElfImage, Toolchain
from hwmodels.variants import (
    ENTRY_POINTS,
    code_unit_bytes,
    kernel_hash,
    kernel_sources,
    variant_of,
)

_CHUNK = 16
_HARNESS = f"""\
#include "ppgnet_kernels.h"
extern const ppgnet_network network;
extern const ppgnet_input_settings input_settings;
void ppgnet_run(int8_t *arena, const int8_t *input, ppgnet_result *result);
void ppgnet_prepare(int8_t *input, const float *pulse, const float *acceleration);
static const ppgnet_layer pool = {{4, 4, 1, 4, 1, 0, 1, 1, 0, 0, 0}};
#define STEP {{ppgnet_average_pool, &pool, 0, 0, 16, 0}}
static const ppgnet_step steps[3] = {{STEP, STEP, STEP}};
const ppgnet_network network = {{steps, 3}};
const ppgnet_input_settings input_settings = {{4, 0, 1, 1, 0, 1.0f, 1.0f, 0}};
{ENTRY_POINTS}"""
_POOL = Op("pool", "average_pool", 4, 4, 1, 4)


def build(
    ops: Iterable[Op],
    toolchain: Toolchain,
    date: str,
    core: str = "cortex-m7",
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LookUpTable:
    """Measure every distinct kernel call among `ops`; inputs, which no kernel serves, are passed over.

    `date` goes into the provenance. The table is the same whatever the executor and its workers;
    `progress(done, total)` is called as entries arrive. Raises InputError for an op without a kernel.
    """
    distinct: dict[str, Op] = {}
    for op in ops:
        if op.kind != "input":
            distinct.setdefault(entry_key(op), op)
    image = _image(toolchain, [*distinct.values(), _POOL])
    keys = sorted(distinct)
    chunks = [[distinct[key] for key in keys[at : at + _CHUNK]] for at in range(0, len(keys), _CHUNK)]
    tasks = [_Task(image, core, tuple(chunk)) for chunk in chunks]
    entries: list[Entry] = []
    for measured in executor.map(_measure, tasks) if executor else map(_measure, tasks):
        entries += measured
        if progress:
            progress(len(entries), len(keys))
    return LookUpTable(
        Provenance(
            kernel_hash=kernel_hash(),
            rules_hash=rules_hash(),
            compiler=toolchain.version,
            flags=toolchain.flags,
            emulator=f"unicorn {unicorn.__version__}",
            core=core,
            wait_states=0,
            date=date,
        ),
        _runner(image, core),
        code_unit_bytes(toolchain),
        dict(zip(keys, entries, strict=True)),
    )


def measure_ops(ops: Sequence[Op], toolchain: Toolchain, core: str = "cortex-m7") -> list[Entry]:
    """Entries of single operations, in order, without a table."""
    return _measure(_Task(_image(toolchain, [*ops, _POOL]), core, tuple(ops)))


@dataclass(frozen=True)
class _Task:
    image: ElfImage
    core: str
    ops: tuple[Op, ...]


def _image(toolchain: Toolchain, ops: Iterable[Op]) -> ElfImage:
    functions = {variant_of(op).function for op in ops}
    sources = kernel_sources() | {"ppgnet_harness.c": _HARNESS}
    return toolchain.link(sources, keep=("ppgnet_run", *sorted(functions)))


def _measure(task: _Task) -> list[Entry]:
    emulator, model = Emulator(task.image), PipelineModel(task.image, task.core)
    return [_entry(emulator, model, op) for op in task.ops]


def _entry(emulator: Emulator, model: PipelineModel, op: Op) -> Entry:
    """Call the op's kernel once, on random inputs and weights; its cycles depend on its shape alone."""
    digest = hashlib.sha256(entry_key(op).encode()).digest()
    call = kernel_call(op, np.random.default_rng(int.from_bytes(digest[:8], "little")))
    run = emulator.call(call.function, call.arguments, call.writes)
    return Entry(model.cycles(run), run.instructions, run.stack_bytes, "measured")


def _runner(image: ElfImage, core: str) -> Runner:
    """What a network adds to its kernels, from networks of two and of three equal steps."""
    emulator, model = Emulator(image), PipelineModel(image, core)
    pool = _entry(emulator, model, _POOL)
    arena, result = RAM_BASE, RAM_BASE + 64
    totals = []
    for count in (2, 3):
        emulator.write(image.address("network") + 4, struct.pack("<I", count))
        run = emulator.call("ppgnet_run", (arena, arena, result))
        totals.append((model.cycles(run), run.instructions, run.stack_bytes))
    (cycles, instructions, stack), (more_cycles, more_instructions, _) = totals
    step_cycles = more_cycles - cycles - pool.cycles
    step_instructions = more_instructions - instructions - pool.instructions
    return Runner(
        cycles=cycles - 2 * (pool.cycles + step_cycles),
        step_cycles=step_cycles,
        instructions=instructions - 2 * (pool.instructions + step_instructions),
        step_instructions=step_instructions,
        stack_bytes=stack - pool.stack_bytes,
    )
