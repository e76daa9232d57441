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


def host_tensors(
    model: IntegerModel, windows: NDArray[np.int8], host: Compiled, past: NDArray[np.integer] | None = None
) -> Tensors:
    """Every tensor but the input, int8 (n, length, channels), and the head's int32 (n, 3), on this machine.

    `host` is of hwmodels.c.toolchain.host_toolchain. past: (n,), steps directly before each window; where there are
    some, what the network keeps is left as the window before left it.
    """
    plan = spread_plan(model)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "network.so"
        link_shared(host.toolchain, generate(model, plan), host.kernels, library)
        loaded = ctypes.CDLL(str(library))
    arenas: list[NDArray[np.uint8]] = []
    results = []
    for window, before in zip(windows, _or_none(past, windows), strict=True):
        arena, result = _fresh(plan, model, window, arenas[-1] if before else None), np.zeros(3, np.int32)
        start = arena.ctypes.data
        given = start + plan.offsets[model.graph.input.name]
        loaded.ppgnet_run(*(ctypes.c_void_p(at) for at in (start, given, result.ctypes.data)))
        arenas.append(arena)
        results.append(result)
    return _tensors(model, plan, np.stack(arenas), np.stack(results))


def _or_none(past: NDArray[np.integer] | None, windows: NDArray[np.int8]) -> NDArray[np.integer]:
    return np.zeros(len(windows), np.int64) if past is None else past


def core_tensors(
    model: IntegerModel, windows: NDArray[np.int8], core: Compiled, past: NDArray[np.integer] | None = None
) -> Tensors:
    """As `host_tensors`, on the emulated Cortex-M7; `core` is of hwmodels.c.toolchain.find_toolchain."""
    plan = spread_plan(model)
    image = core.toolchain.link(generate(model, plan), entry_points(model), compiled=core.kernels)
    emulator = Emulator(image)
    given = RAM_BASE + plan.offsets[model.graph.input.name]
    arenas: list[NDArray[np.uint8]] = []
    results = []
    for window, before in zip(windows, _or_none(past, windows), strict=True):
        content = [(RAM_BASE, _fresh(plan, model, window, arenas[-1] if before else None).tobytes())]
        emulator.call("ppgnet_run", (RAM_BASE, given, _RESULT), content)
        arenas.append(np.frombuffer(emulator.read(RAM_BASE, plan.arena_bytes), np.uint8))
        results.append(np.frombuffer(emulator.read(_RESULT, 12), "<i4"))
    return _tensors(model, plan, np.stack(arenas), np.stack(results))


def deployed_results(
    model: IntegerModel, image: ElfImage, windows: NDArray[np.int8], past: NDArray[np.integer] | None = None
) -> NDArray[np.int32]:
    """Results (n, 3) of an image linked from the code of `model`, in the arena that is deployed."""
    emulator, results = Emulator(image), []
    places = default_plan(model)
    start = min(places.state_offsets.values(), default=places.arena_bytes)
    for window, before in zip(windows, _or_none(past, windows), strict=True):
        kept = emulator.read(RAM_BASE + start, places.arena_bytes - start) if before else b""
        results.append(run_network(model, emulator, window, kept=kept)[1])
    return np.array(results, np.int32)


def _fresh(
    plan: MemoryPlan, model: IntegerModel, window: NDArray[np.int8], before: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """A painted arena with the window in its place; what is kept is as at a start, or as in the arena `before`."""
    arena = np.full(aligned(plan.arena_bytes) // 4, _PAINT * 0x01010101, np.uint32).view(np.uint8)
    for name, state in initial_states(model, 1).items():
        image, start = kind_of(model.graph[name]).state_image(model.graph[name], state), plan.state_offsets[name]
        span = slice(start, start + len(image))
        arena[span] = np.frombuffer(image, np.uint8) if before is None else before[span]
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
