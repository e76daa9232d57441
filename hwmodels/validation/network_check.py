"""Prediction against execution: a network's table cost beside its code, linked and run on the emulated core.

`ppg-nas lut check` loops over random architectures with it; `random_model` gives them random weights.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hwmodels.c.toolchain import ElfImage, Toolchain
from hwmodels.codegen.network_source import default_plan, fallbacks, generate
from hwmodels.cost.network_cost import Cost, CostModel
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.device.target import Target
from hwmodels.emulation.emulator import RAM_BASE, RAM_BYTES, STACK_BYTES, EmulationError, Emulator, Execution
from hwmodels.kernels.variants import STEP_BYTES
from hwmodels.network.graph import LayerGraph
from hwmodels.network.interpreter import (
    ClassSettings,
    FloatParameters,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    Quantization,
    initial_states,
    quantize,
    run,
    weight_shape,
)
from hwmodels.network.operation_kind import kind_of
from hwmodels.network.preparation import prepare_window
from hwmodels.schedule.memory import MemoryPlan, aligned
from hwmodels.schedule.striped_block import STRIPE_BYTES
from hwmodels.signals.spectrum import RATE_HZ, WINDOW_S, spectrum_channels

_TIGHTLY_COUPLED = Target()
_SENSORS = {1: "ppg", 4: "ppg_acc"}
_PAINTS = (0xA5, 0x5A)
_MARGIN_BYTES = 4096
_RESULT = RAM_BASE + RAM_BYTES - STACK_BYTES - 16
_FROM_CALLER = 0xFFFFFFFF
_RUNNER = ("ppgnet_run", "ppgnet_execute", "ppgnet_stripes", "ppgnet_move_rows")
_BESIDE = 0xFFFFFFFE


@dataclass(frozen=True)
class CheckResult:
    """One network as predicted and as it ran.

    `measured_ram_bytes` is the arena's high-water mark plus the stack's, `instructions` those of all windows.
    `expected` are the interpreter's results (n, 3); `output_mismatches` counts windows whose result differs.
    `fallback_ops` names ops whose scales need a slower kernel, which no prediction can know of, among all
    `layers` (operations but the input).
    """

    predicted: Cost
    measured_cycles: int
    measured_flash_bytes: int
    measured_ram_bytes: int
    instructions: int
    windows: int
    expected: npt.NDArray[np.int32]
    output_mismatches: int
    fallback_ops: tuple[str, ...]
    layers: int

    @property
    def cycle_error_pct(self) -> float:
        """Predicted against measured cycles, signed percent."""
        return 100.0 * (self.predicted.cycles / self.measured_cycles - 1)

    @property
    def flash_error_pct(self) -> float:
        """Predicted against measured flash, signed percent."""
        return 100.0 * (self.predicted.flash_bytes / self.measured_flash_bytes - 1)

    @property
    def ram_matches(self) -> bool:
        """Whether peak RAM came out as predicted, to the byte."""
        return self.predicted.peak_ram_bytes == self.measured_ram_bytes


def check_graph(
    model: IntegerModel, cost_model: CostModel, toolchain: Toolchain, windows: npt.NDArray[np.int8]
) -> CheckResult:
    """Generate, link and run `model` on int8 windows (n, T, C), and compare with table and interpreter.

    Cycles are those of the first window. Raises MissingEntryError when the table lacks an operation.
    """
    image = toolchain.for_core(cost_model.device.core).link(generate(model))
    return check_image(model, cost_model, image, windows)


def check_image(
    model: IntegerModel, cost_model: CostModel, image: ElfImage, windows: npt.NDArray[np.int8]
) -> CheckResult:
    """As `check_graph`, of an image that is already linked from the code of `model`."""
    predicted = replace(cost_model, form=model.form).cost(model.graph)
    expected = run(model, windows)[model.graph.output.name]
    target = cost_model.device.target
    emulator = Emulator(image, flash=target.flash)
    measured = run_window(model, emulator, windows[0], target)
    others = [run_network(model, emulator, window)[:2] for window in windows[1:]]
    results = [measured.result, *(result for _, result in others)]
    return CheckResult(
        predicted=predicted,
        measured_cycles=measured.cycles,
        measured_flash_bytes=image.flash_bytes,
        measured_ram_bytes=measured.arena_bytes + measured.stack_bytes,
        instructions=measured.instructions + sum(execution.instructions for execution, _ in others),
        windows=len(windows),
        expected=expected,
        output_mismatches=int((np.array(results) != expected).any(axis=1).sum()),
        fallback_ops=tuple(fallbacks(model)),
        layers=len(list(model.graph)) - 1,
    )


@dataclass(frozen=True)
class NetworkRun:
    """One inference on the emulated core: what the head wrote, and what it took.

    `arena_bytes` is the high-water mark of bytes written in the arena, the input included.
    """

    result: tuple[int, int, int]
    cycles: int
    instructions: int
    arena_bytes: int
    stack_bytes: int


def run_window(
    model: IntegerModel, emulator: Emulator, window: npt.NDArray[np.int8], target: Target = _TIGHTLY_COUPLED
) -> NetworkRun:
    """Run one int8 window (T, C), placed in the arena, through the linked network.

    The network runs whole; then its steps run one by one over the same arena, because branches are
    mispredicted per kernel call. `emulator` counts missed lines of the target's flash, if it has one; caches
    are empty when the network starts. Raises EmulationError on a fault, or when the steps execute other
    blocks than the whole did.
    """
    places = default_plan(model)
    start = places.offsets[model.graph.input.name]
    touched = np.zeros(aligned(places.arena_bytes) + _MARGIN_BYTES, bool)
    touched[start : start + window.size] = True
    for name in places.state_offsets:
        held = places.state_offsets[name]
        touched[held : held + model.graph[name].state_bytes] = True
    for paint in _PAINTS:
        execution, result, before = run_network(model, emulator, window, paint)
        touched |= np.frombuffer(emulator.read(RAM_BASE, touched.size), np.uint8) != before
    emulator.write(RAM_BASE, before.tobytes())
    steps = _run_steps(emulator, RAM_BASE + start)
    pipeline = PipelineModel(emulator.image, target.core)
    symbols = [emulator.image.symbols[name] for name in _RUNNER if name in emulator.image.symbols]
    ranges = [range(symbol.address, symbol.address + symbol.size) for symbol in symbols]
    cycles = pipeline.issue_cycles(execution)
    cycles += target.stall_cycles(execution.instruction_misses, execution.constant_misses)
    cycles += sum(pipeline.misprediction_cycles(execution, within) for within in ranges)
    cycles += sum(map(pipeline.misprediction_cycles, steps))
    whole = _entries([execution])
    outside = {block: count for block, count in whole.items() if not any(block in r for r in ranges)}
    if outside != _entries(steps):
        raise EmulationError("ppgnet_run: its steps, run one by one, execute other blocks than together")
    used = aligned(int(np.flatnonzero(touched)[-1]) + 1)
    return NetworkRun(result, cycles, execution.instructions, used, execution.stack_bytes)


def run_network(
    model: IntegerModel, emulator: Emulator, window: npt.NDArray[np.int8], paint: int = 0, kept: bytes = b""
) -> tuple[Execution, tuple[int, int, int], npt.NDArray[np.uint8]]:
    """Call ppgnet_run with `window` (T, C) in an arena otherwise filled with the byte `paint`.

    What the network keeps between windows is as at a start, or `kept`. Returns the execution, the head's result,
    and the painted arena and margin as they were before.
    """
    places = default_plan(model)
    start = places.offsets[model.graph.input.name]
    before = _fresh_arena(model, places, paint)
    if kept:
        before[places.arena_bytes - len(kept) : places.arena_bytes] = np.frombuffer(kept, np.uint8)
    before[start : start + window.size] = window.ravel().view(np.uint8)
    arguments = (RAM_BASE, RAM_BASE + start, _RESULT)
    execution = emulator.call("ppgnet_run", arguments, [(RAM_BASE, before.tobytes())])
    estimate, confidence, valid = struct.unpack("<3i", emulator.read(_RESULT, 12))
    return execution, (estimate, confidence, valid), before


def run_stream(model: IntegerModel, emulator: Emulator, samples: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """A recording (T, channels) through a linked streaming network, step by step: its results (steps, 3).

    Between steps, everything in the arena but what the network keeps is overwritten with other bytes.
    """
    places = default_plan(model)
    new_samples = model.graph.input.length_in
    start = RAM_BASE + places.offsets[model.graph.input.name]
    transient = min(places.state_offsets.values(), default=places.arena_bytes)
    emulator.call("ppgnet_stream_reset", (RAM_BASE,), [(RAM_BASE, b"\x5a" * places.arena_bytes)])
    results = []
    for at in range(0, len(samples), new_samples):
        chunk = np.ascontiguousarray(samples[at : at + new_samples])
        writes = [(RAM_BASE, b"\xa5" * transient), (start, chunk.tobytes())]
        emulator.call("ppgnet_run", (RAM_BASE, start, _RESULT), writes)
        results.append(np.frombuffer(emulator.read(_RESULT, 12), "<i4"))
    return np.array(results)


@dataclass(frozen=True)
class Preparation:
    """What making one window's input takes on the emulated core, and in how many windows it differed from
    the interpreter's. Cycles are those of the dearest window."""

    cycles: int
    stack_bytes: int
    mismatches: int


def run_preparation(model: IntegerModel, emulator: Emulator, target: Target, windows: int = 4) -> Preparation:
    """Call ppgnet_prepare on windows of noise and motion, drawn from seed 0, each with empty caches."""
    rng = np.random.default_rng(0)
    settings = model.input
    samples = settings.window_samples
    acc = (rng.normal(0.0, 0.3, (windows, samples, 3)) + [0.0, 0.0, 1.0]).astype(np.float32)
    ppg = (rng.normal(0.0, 1.0, (windows, samples)) + 2.0 * acc[:, :, 0]).astype(np.float32)
    expected = prepare_window(settings, model.quantization[model.graph.input.name], ppg, acc)
    places = (RAM_BASE, RAM_BASE + ppg[0].nbytes, RAM_BASE + 2 * ppg[0].nbytes)
    pipeline = PipelineModel(emulator.image, target.core)
    cycles, stack, mismatches = 0, 0, 0
    for number in range(windows):
        writes = [(places[1], ppg[number].tobytes()), (places[2], acc[number].tobytes())]
        execution = emulator.call("ppgnet_prepare", places, writes)
        stalls = target.stall_cycles(execution.instruction_misses, execution.constant_misses)
        cycles = max(cycles, pipeline.cycles(execution) + stalls)
        stack = max(stack, execution.stack_bytes)
        mismatches += emulator.read(RAM_BASE, expected[number].nbytes) != expected[number].tobytes()
    return Preparation(cycles, stack, mismatches)


def _fresh_arena(model: IntegerModel, places: MemoryPlan, paint: int) -> npt.NDArray[np.uint8]:
    """The arena and a margin filled with the byte `paint`, what histories keep as at a recording's start."""
    arena = np.full(aligned(places.arena_bytes) + _MARGIN_BYTES, paint, np.uint8)
    for name, state in initial_states(model, 1).items():
        image, start = kind_of(model.graph[name]).state_image(model.graph[name], state), places.state_offsets[name]
        arena[start : start + len(image)] = np.frombuffer(image, np.uint8)
    return arena


def _entries(executions: Iterable[Execution]) -> dict[int, int]:
    """How often each block was entered."""
    counts: dict[int, int] = {}
    for execution in executions:
        for (_, target), count in execution.edges.items():
            counts[target] = counts.get(target, 0) + count
    return counts


def _run_steps(emulator: Emulator, given: int) -> list[Execution]:
    """Call the kernels of the linked step table one by one, as ppgnet_execute and ppgnet_stripes do."""
    image = emulator.image
    functions = {symbol.address: name for name, symbol in image.symbols.items() if symbol.is_function}
    executions: list[Execution] = []

    def run(table: int, count: int, base: int, places: Mapping[int, int], output: int) -> None:
        """`count` steps, their offsets from `base` but for those that `places` gives a meaning."""
        for index in range(count):
            fields = struct.unpack("<6I", image.read(table + STEP_BYTES * index, STEP_BYTES))
            kernel, parameters, first, second, made, scratch = fields
            first, second = (places.get(offset, base + offset) for offset in (first, second))
            made = output if index == count - 1 else base + made
            if functions[kernel & ~1] == "ppgnet_stripes":
                stripes(parameters, first, second, base + scratch)
            else:
                arguments = (parameters, first, second, made, base + scratch)
                executions.append(emulator.call(functions[kernel & ~1], arguments))

    def stripes(block: int, taken: int, output: int, scratch: int) -> None:
        """Rows are not moved: a kernel's instructions do not depend on them."""
        beside = taken
        at, count = struct.unpack("<II", image.read(block, 8))
        for kind in range(count):
            fields = struct.unpack("<7I", image.read(at + STRIPE_BYTES * kind, STRIPE_BYTES))
            table, steps, repeats, rows_in, _, _, rows_out = fields
            for _ in range(repeats):
                run(table, steps, scratch, {_FROM_CALLER: taken, _BESIDE: beside}, output)
                taken, beside, output = taken + rows_in, beside + rows_out, output + rows_out

    table, count = struct.unpack("<II", image.read(image.address("network"), 8))
    run(table, count, RAM_BASE, {_FROM_CALLER: given}, _RESULT)
    return executions


def random_model(graph: LayerGraph, rng: np.random.Generator) -> IntegerModel:
    """An integer network on `graph` with random weights and grids as training leaves them."""
    grids: dict[str, Quantization] = {}
    parameters: dict[str, FloatParameters] = {}
    for op in graph:
        sources = [grids[name] for name in graph.sources(op.name)]
        if op.has_parameters:
            depth = op.weight_count // op.filters
            weight = rng.normal(0, 1 / np.sqrt(depth), weight_shape(op))
            bias = rng.normal(0, 10 * sources[0].scale, op.filters)
            parameters[op.name] = FloatParameters(weight, bias)
        grid = kind_of(op).example_grid(op, sources, rng)
        if grid is not None:
            grids[op.name] = grid
    channels, samples = graph.input.channels_in, graph.input.length_in
    bins = graph.output.channels_in
    head: HeartRateSettings | ClassSettings = HeartRateSettings(30.0, 220.0, 10.0)
    if kind_of(graph.output).head_settings is ClassSettings:
        head = ClassSettings(tuple(f"class {index}" for index in range(bins)), 0.5)
    settings = InputSettings(float(samples), 1.0, _SENSORS.get(channels, "ppg"), (0.4, 8.0), 0.3)
    if graph.input.reads == "spectrum":
        sensors = "ppg" if channels == spectrum_channels(1) else "ppg_acc"
        settings = InputSettings(RATE_HZ, WINDOW_S, sensors, (0.4, 8.0), 0.3, reads="spectrum", positions=samples)
    if graph.spans_windows:
        settings = replace(settings, context_step_s=min(2.0, settings.window_s))
    return quantize(graph, parameters, grids, head, settings)


def random_windows(graph: LayerGraph, count: int, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Random int8 windows (count, T, C), the last of them all lowest against all highest."""
    shape = (count, graph.input.length_in, graph.input.channels_in)
    windows = rng.integers(-128, 128, shape).astype(np.int8)
    if count > 1:
        windows[-1] = np.where(np.arange(shape[1])[:, None] % 2, 127, -128)
    return windows
