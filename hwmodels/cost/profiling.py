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

from hwmodels.c.toolchain import ElfImage, Toolchain
from hwmodels.cost.lut import Entry, LookUpTable, Provenance, Runner, entry_key, rules_hash
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.device.target import Target
from hwmodels.emulation.emulator import RAM_BASE, Emulator
from hwmodels.emulation.kernel_call import CONSTANTS, kernel_call
from hwmodels.kernels.variants import (
    ENTRY_POINTS,
    STEP_BYTES,
    KernelVariant,
    code_unit_bytes,
    exact_variant,
    kernel_hash,
    kernel_sources,
    variant_of,
)
from hwmodels.network.graph import Op

_CHUNK = 16
_TIGHTLY_COUPLED = Target()
_Call = tuple[Op, KernelVariant]
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
const ppgnet_input_settings input_settings = {{4, 0, 1, 1, 0, 1.0f, 1.0f, 0, 0}};
{ENTRY_POINTS}"""
_POOL = Op("pool", "average_pool", 4, 4, 1, 4)


def build(
    ops: Iterable[Op],
    toolchain: Toolchain,
    date: str,
    target: Target = _TIGHTLY_COUPLED,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
    exact: Iterable[Op] = (),
) -> LookUpTable:
    """Cost every distinct kernel call among `ops` on `target`; inputs need no kernel and are passed over.

    Those in `exact` are costed with the exact kernel. `date` goes into the provenance. The table is the same
    whatever the executor and its workers;
    `progress(done, total)` is called as entries arrive. Raises InputError for an op without a kernel.
    """
    toolchain = toolchain.for_core(target.core)
    calls = [(op, variant_of(op)) for op in ops if op.kind != "input"]
    distinct = {entry_key(*call): call for call in [*calls, *((op, exact_variant(op)) for op in exact)]}
    image = _image(toolchain, [*distinct.values(), (_POOL, variant_of(_POOL))])
    keys = sorted(distinct)
    chunks = [[distinct[key] for key in keys[at : at + _CHUNK]] for at in range(0, len(keys), _CHUNK)]
    tasks = [_Task(image, target, tuple(chunk)) for chunk in chunks]
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
            core=target.core,
            memory=target.memory,
            source="cycle model of executions on the emulator",
            date=date,
        ),
        _runner(image, target),
        code_unit_bytes(toolchain),
        dict(zip(keys, entries, strict=True)),
    )


def measure_ops(ops: Sequence[Op], toolchain: Toolchain, target: Target = _TIGHTLY_COUPLED) -> list[Entry]:
    """Entries of single operations, in order, without a table."""
    calls = tuple((op, variant_of(op)) for op in ops)
    return _measure(_Task(_image(toolchain.for_core(target.core), calls), target, calls))


@dataclass(frozen=True)
class _Task:
    image: ElfImage
    target: Target
    calls: tuple[_Call, ...]


def _image(toolchain: Toolchain, calls: Iterable[_Call]) -> ElfImage:
    functions = {variant.function for _, variant in calls}
    sources = kernel_sources() | {"ppgnet_harness.c": _HARNESS}
    return toolchain.link(sources, keep=("ppgnet_run", *sorted(functions)))


def _measure(task: _Task) -> list[Entry]:
    emulator = Emulator(task.image, flash=task.target.flash, constants=(CONSTANTS,))
    model = PipelineModel(task.image, task.target.core)
    return [_entry(emulator, model, call, task.target) for call in task.calls]


def _entry(emulator: Emulator, model: PipelineModel, called: _Call, target: Target) -> Entry:
    """Call the op's kernel once, on random inputs and weights; its cycles depend on its shape alone.

    Caches are empty before the call, as other kernels may have run since it ran last.
    """
    digest = hashlib.sha256(entry_key(*called).encode()).digest()
    op, variant = called
    call = kernel_call(op, np.random.default_rng(int.from_bytes(digest[:8], "little")), variant)
    run = emulator.call(call.function, call.arguments, call.writes)
    stalls = target.stall_cycles(run.instruction_misses, run.constant_misses)
    return Entry(model.cycles(run) + stalls, run.instructions, run.stack_bytes, "modelled")


def _runner(image: ElfImage, target: Target) -> Runner:
    """What a network adds to its kernels, from networks of two and of three equal steps.

    Behind flash, the runner's own lines are fetched anew at every step, and so is the step's record.
    """
    emulator, model = Emulator(image), PipelineModel(image, target.core)
    pool = _entry(emulator, model, (_POOL, variant_of(_POOL)), Target(target.core))
    arena, result = RAM_BASE, RAM_BASE + 64
    totals = []
    for count in (2, 3):
        emulator.write(image.address("network") + 4, struct.pack("<I", count))
        run = emulator.call("ppgnet_run", (arena, arena, result))
        totals.append((model.cycles(run), run.instructions, run.stack_bytes))
    (cycles, instructions, stack), (more_cycles, more_instructions, _) = totals
    step_cycles = more_cycles - cycles - pool.cycles
    step_instructions = more_instructions - instructions - pool.instructions
    once, each = _runner_stalls(image, target)
    return Runner(
        cycles=cycles - 2 * (pool.cycles + step_cycles) + once,
        step_cycles=step_cycles + each,
        instructions=instructions - 2 * (pool.instructions + step_instructions),
        step_instructions=step_instructions,
        stack_bytes=stack - pool.stack_bytes,
    )


def _runner_stalls(image: ElfImage, target: Target) -> tuple[int, int]:
    """Cycles for lines of the runner: of its entry, once; of its loop and one record, at each step."""
    flash = target.flash
    if flash is None:
        return 0, 0
    entry = loop = records = 0
    if flash.instruction_cache:
        line = flash.instruction_cache.line_bytes
        entry, loop = (-(-image.symbols[name].size // line) for name in ("ppgnet_run", "ppgnet_execute"))
    if flash.constant_cache:
        records = -(-STEP_BYTES // flash.constant_cache.line_bytes)
    return target.stall_cycles(entry, 0), target.stall_cycles(loop, records)
