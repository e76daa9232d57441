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

from hwmodels.emulator import RAM_BASE, RAM_BYTES, STACK_BYTES, Emulator
from hwmodels.errors import InputError
from hwmodels.graph import Op
from hwmodels.heads import exponential_table
from hwmodels.lut import Entry, LookUpTable, Provenance, Runner, entry_key, rules_hash
from hwmodels.pipeline import PipelineModel
from hwmodels.toolchain import ElfImage, Toolchain
from hwmodels.variants import (
    ENTRY_POINTS,
    code_unit_bytes,
    data_bytes,
    kernel_hash,
    kernel_sources,
    scratch_bytes,
    variant_of,
)

_CHUNK = 16
_LOGIT_SCALE = 0.05
_MULTIPLIER, _SHIFT = 1 << 30, -8
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
const ppgnet_input_settings input_settings = {{4, 1, 0, 1.0f, 1.0f}};
{ENTRY_POINTS}"""
_POOL = Op("pool", "average_pool", 4, 4, 1, 4)


class ProfilingError(InputError):
    """An operation that cannot be profiled; names it."""


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
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    sizes = [
        data_bytes(op) + 1024,
        op.input_bytes,
        op.input_bytes,
        max(op.output_bytes, 16),
        scratch_bytes(op),
    ]
    places = [RAM_BASE]
    for size in sizes:
        places.append((places[-1] + size + 15) & ~15)
    if places[-1] > RAM_BASE + RAM_BYTES - STACK_BYTES:
        raise ProfilingError(f"op {op.name!r} ({op.kind}): too large for the emulated memory")
    parameters, first, second, output, scratch = places[:5]
    writes = [
        (parameters, _parameters(op, parameters, rng)),
        (first, rng.integers(0, 256, op.input_bytes, np.uint8).tobytes()),
        (second, rng.integers(0, 256, op.input_bytes, np.uint8).tobytes()),
    ]
    run = emulator.call(variant_of(op).function, (parameters, first, second, output, scratch), writes)
    return Entry(model.cycles(run), run.instructions, run.stack_bytes, "measured")


def _parameters(op: Op, address: int, rng: np.random.Generator) -> bytes:
    """The parameter record of an op's kernel as it lies at `address`, its data following."""
    variant = variant_of(op).name
    if variant == "add":
        return struct.pack("<iiiI", 1 << 27, 1 << 27, 0, -(-op.output_bytes // 4))
    if variant in ("heart_rate", "class"):
        belief = exponential_table(_LOGIT_SCALE).astype("<u2").tobytes()
        if variant == "class":
            return struct.pack("<iI", 0, op.channels_in) + belief
        return struct.pack("<iiiI", 30 << 8, 2 << 16, 10 << 8, op.channels_in) + belief
    layer = struct.pack(
        "<6H2B2bI", op.length_in, op.channels_in, op.length_out, op.channels_out, op.dilation,
        op.padding_before, op.kernel, op.stride, -128, -128, address + 20,
    )  # fmt: skip
    if variant != "exact":
        return layer + rng.integers(0, 256, data_bytes(op), np.uint8).tobytes()
    weights = rng.integers(0, 256, -(-op.weight_count // 4) * 4, np.uint8).tobytes()
    at = address + 20 + 24
    columns = [at + len(weights) + 4 * op.channels_out * index for index in range(3)]
    exact = struct.pack("<4I2i", at, *columns, -128, int(op.kind == "depthwise"))
    channels = [np.full(op.channels_out, value, "<i4").tobytes() for value in (0, _MULTIPLIER, _SHIFT)]
    return layer + exact + weights + b"".join(channels)


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
