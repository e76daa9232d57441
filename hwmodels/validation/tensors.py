"""All tensors that a network's generated C makes, on this machine and on the emulated Cortex-M7.

Two of the witnesses of one integer model. Each tensor gets a place of its own, so that all are still there to
be compared with the interpreter's after a run.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.c.toolchain import ElfImage, Toolchain, link_shared
from hwmodels.codegen.network_source import default_plan, entry_points, generate, needed_scratch
from hwmodels.emulation.emulator import RAM_BASE, RAM_BYTES, STACK_BYTES, Emulator
from hwmodels.kernels.variants import kernel_sources
from hwmodels.network.interpreter import IntegerModel, initial_states
from hwmodels.network.operation_kind import kind_of
from hwmodels.schedule.memory import MemoryPlan, aligned, place_states
from hwmodels.schedule.stripes import scheduled
from hwmodels.validation.network_check import run_network

_RESULT = RAM_BASE + RAM_BYTES - STACK_BYTES - 16
_PAINT = 0xA5
Tensors = dict[str, NDArray]


def spread_plan(model: IntegerModel) -> MemoryPlan:
    """An arena in which no two tensors or scratch areas share a byte."""
    offsets: dict[str, int] = {}
    scratch_offsets: dict[str, int] = {}
    schedule = scheduled(model.graph, model.form)
    scratch = {op.name: needed_scratch(model, op) for op in schedule}
    end = 0
    for op in schedule:
        if op.output_bytes:
            offsets[op.name] = end
            end += aligned(op.output_bytes)
        if scratch[op.name]:
            scratch_offsets[op.name] = end
            end += aligned(scratch[op.name])
    states, end = place_states(model.graph, end)
    return MemoryPlan(offsets, scratch_offsets, scratch, end, default_plan(model).lower_bound_bytes, states)


@dataclass(frozen=True)
class Compiled:
    """A compiler and what it made of the kernels, once for any number of networks."""

    toolchain: Toolchain
    kernels: Mapping[str, bytes]

    @classmethod
    def by(cls, toolchain: Toolchain) -> Compiled:
        """Compile the kernels. Raises ToolchainError when the compiler refuses them."""
        return cls(toolchain, toolchain.objects(kernel_sources()))


def host_tensors(model: IntegerModel, windows: NDArray[np.int8], host: Compiled) -> Tensors:
    """Every tensor but the input, int8 (n, length, channels), and the head's int32 (n, 3), on this machine.

    `host` is of hwmodels.c.toolchain.host_toolchain.
    """
    plan = spread_plan(model)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "network.so"
        link_shared(host.toolchain, generate(model, plan), host.kernels, library)
        loaded = ctypes.CDLL(str(library))
    arenas, results = [], []
    for window in windows:
        arena, result = _fresh(plan, model, window), np.zeros(3, np.int32)
        start = arena.ctypes.data
        given = start + plan.offsets[model.graph.input.name]
        loaded.ppgnet_run(*(ctypes.c_void_p(at) for at in (start, given, result.ctypes.data)))
        arenas.append(arena)
        results.append(result)
    return _tensors(model, plan, np.stack(arenas), np.stack(results))


def core_tensors(model: IntegerModel, windows: NDArray[np.int8], core: Compiled) -> Tensors:
    """As `host_tensors`, on the emulated Cortex-M7; `core` is of hwmodels.c.toolchain.find_toolchain."""
    plan = spread_plan(model)
    image = core.toolchain.link(generate(model, plan), entry_points(model), compiled=core.kernels)
    emulator = Emulator(image)
    given = RAM_BASE + plan.offsets[model.graph.input.name]
    arenas, results = [], []
    for window in windows:
        content = [(RAM_BASE, _fresh(plan, model, window).tobytes())]
        emulator.call("ppgnet_run", (RAM_BASE, given, _RESULT), content)
        arenas.append(np.frombuffer(emulator.read(RAM_BASE, plan.arena_bytes), np.uint8))
        results.append(np.frombuffer(emulator.read(_RESULT, 12), "<i4"))
    return _tensors(model, plan, np.stack(arenas), np.stack(results))


def deployed_results(model: IntegerModel, image: ElfImage, windows: NDArray[np.int8]) -> NDArray[np.int32]:
    """Results (n, 3) of an image linked from the code of `model`, in the arena that is deployed."""
    emulator = Emulator(image)
    return np.array([run_network(model, emulator, window)[1] for window in windows], np.int32)


def _fresh(plan: MemoryPlan, model: IntegerModel, window: NDArray[np.int8]) -> NDArray[np.uint8]:
    """A painted arena with the window in its place and histories as at a recording's start."""
    arena = np.full(aligned(plan.arena_bytes) // 4, _PAINT * 0x01010101, np.uint32).view(np.uint8)
    for name, state in initial_states(model, 1).items():
        image, start = kind_of(model.graph[name]).state_image(model.graph[name], state), plan.state_offsets[name]
        arena[start : start + len(image)] = np.frombuffer(image, np.uint8)
    start = plan.offsets[model.graph.input.name]
    arena[start : start + window.size] = window.ravel().view(np.uint8)
    return arena


def _tensors(model: IntegerModel, plan: MemoryPlan, arenas: NDArray[np.uint8], results: NDArray[np.int32]) -> Tensors:
    found: Tensors = {model.graph.output.name: results}
    for op in list(model.graph)[1:]:
        if op.name in plan.offsets:
            start = plan.offsets[op.name]
            held = arenas[:, start : start + op.output_bytes].view(np.int8)
            found[op.name] = held.reshape(len(arenas), op.length_out, op.channels_out)
    return found
