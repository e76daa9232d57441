"""Calls of the kernels in hwmodels/c/kernels/foreign on the emulated core: what `model_cost` prices them by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hwmodels.c.toolchain import ElfImage, Toolchain
from hwmodels.cost.lut import Entry
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.device.target import Target
from hwmodels.emulation.emulator import Emulator
from hwmodels.emulation.kernel_call import CONSTANTS, CORE_MEMORY, KernelCall
from hwmodels.foreign.foreign_ops import FOREIGN_KERNELS, ForeignCall, foreign_sources

MOST_TENSOR_BYTES = 1 << 20
_CONSTANT = CONSTANTS[0] + 0x1000
_TENSORS = CONSTANTS[1] + 1
_OUTPUT = _TENSORS + MOST_TENSOR_BYTES


def foreign_image(toolchain: Toolchain) -> ElfImage:
    """All of these kernels linked."""
    return toolchain.link(foreign_sources(), keep=tuple(kernel.function for kernel in FOREIGN_KERNELS))


def foreign_code_bytes(toolchain: Toolchain) -> dict[str, int]:
    """Flash bytes of every function of theirs."""
    sizes = toolchain.section_bytes(foreign_sources())
    return {section.removeprefix(".text."): size for section, size in sizes.items()}


def placed(call: ForeignCall, operands: Sequence[bytes], constant: bytes) -> KernelCall:
    """The call on given tensors, at most two, in the emulated core's memory."""
    writes = [(CONSTANTS[0], call.kernel.packed(call.numbers, _CONSTANT if constant else 0))]
    if constant:
        writes.append((_CONSTANT, constant))
    places, end = [], _TENSORS
    for operand in operands:
        places.append(end)
        writes.append((end, operand))
        end += -(-len(operand) // 4) * 4
    arguments = (CORE_MEMORY.base, places[0], places[-1], _OUTPUT, _OUTPUT)
    return KernelCall(call.kernel.function, arguments, tuple(writes), _OUTPUT)


def measure(calls: Sequence[ForeignCall], toolchain: Toolchain, target: Target) -> dict[str, Entry]:
    """Entries of the calls by key. Their cycles depend on their numbers alone, so memory holds random bytes.

    Caches are empty before each call, as of the kernels of a table.
    """
    if not calls:
        return {}
    image = foreign_image(toolchain.for_core(target.core))
    emulator = Emulator(image, flash=target.flash, constants=(CONSTANTS,))
    model = PipelineModel(image, target.core)
    return {call.key: _entry(emulator, model, call, target) for call in calls}


def _entry(emulator: Emulator, model: PipelineModel, call: ForeignCall, target: Target) -> Entry:
    digest = hashlib.sha256(call.key.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    made = placed(call, [rng.bytes(1 << 12)], rng.integers(1, 256, call.constant_bytes).astype(np.uint8).tobytes())
    run = emulator.call(made.function, made.arguments, made.writes)
    stalls = target.stall_cycles(run.instruction_misses, run.constant_misses)
    return Entry(model.cycles(run) + stalls, run.instructions, run.stack_bytes, "modelled")
