"""What every operation kind must hold, for kinds that come with the program and for anybody's own.

    from hwmodels.validation.conformance import CHECKS, Bench

    @pytest.mark.parametrize("name", CHECKS)
    def test_my_kind(name: str) -> None:
        CHECKS[name](MyKind(), Bench.find())

A check draws random operations of the kind, puts each into a small network, and raises ConformanceError where the
interpreter, the C on this machine, the C on the emulated core, costs, memory plan or streaming disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import Toolchain, find_toolchain, host_toolchain
from hwmodels.codegen.network_source import default_plan, entry_points, generate, predicted_flash_bytes
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.profiling import build
from hwmodels.device.device import load_device
from hwmodels.emulation.emulator import Emulator
from hwmodels.kernels.variants import kernel_image
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.integer_model import IntegerModel
from hwmodels.network.interpreter import run
from hwmodels.network.operation_kind import OperationKind, kind_of
from hwmodels.schedule.step_graph import StreamingError, run_steps, streaming_model, whole_recording
from hwmodels.validation.kernel_trials import HostKernels, run_trials
from hwmodels.validation.network_check import check_image, random_model, random_windows
from hwmodels.validation.tensors import Compiled, core_tensors, host_tensors

_DEVICE = "stm32h743"
_SEED = 15
_NETWORKS, _WINDOWS, _TRIALS = 4, 3, 20
_MOST_CYCLE_ERROR_PCT = 2.0
_STEPS = 6


class ConformanceError(AssertionError):
    """What a kind does not hold; the message names the operation and what differs."""


@dataclass(frozen=True)
class Bench:
    """The compilers that checks run kinds with, and what they made of the kernels, once for any number of checks."""

    core: Toolchain
    host: Toolchain

    @classmethod
    def find(cls) -> Bench:
        """The compilers of this machine. Raises ToolchainError where one is missing."""
        return cls(find_toolchain(), host_toolchain())

    @cached_property
    def compiled(self) -> tuple[Compiled, Compiled]:
        """The kernels for the core and for this machine."""
        return Compiled.by(self.core), Compiled.by(self.host)


def example_ops(kind: OperationKind, count: int = _NETWORKS) -> list[Op]:
    """So many random operations of a kind, the same at every call. Raises ConformanceError where none come out."""
    rng, ops = np.random.default_rng(_SEED), []
    for _ in range(100 * count):
        op = kind.example(rng)
        ops += [op] if op is not None else []
        if len(ops) == count:
            return ops
    raise ConformanceError(f"{kind.name}: example() makes no operations")


def network_around(op: Op) -> LayerGraph:
    """A small network with `op` in it: convolutions make what it reads, pooling and a head read what it makes."""
    kind = kind_of(op)
    if not kind.fan_in:
        return _ended([(op, ())])
    nodes: list[tuple[Op, tuple[str, ...]]] = [(Op("input", "input", op.length_in, 4, op.length_in, 4), ())]
    for name in (f"before {index}" for index in range(kind.fan_in)):
        made = Op(name, "conv", op.length_in, 4, op.length_in, op.channels_in, padding="causal")
        nodes.append((made, ("input",)))
    nodes.append((op, tuple(made.name for made, _ in nodes[1:])))
    return LayerGraph(nodes) if kind.is_head else _ended(nodes)


def _ended(nodes: list[tuple[Op, tuple[str, ...]]]) -> LayerGraph:
    last = nodes[-1][0]
    length, channels = last.length_out, last.channels_out
    pool = Op("pool", "average_pool", length, channels, 1, channels)
    logits = Op("logits", "fully_connected", 1, channels, 1, 8)
    head = Op("head", "heart_rate_head", 1, 8, 1, 8)
    return LayerGraph([*nodes, (pool, (last.name,)), (logits, ("pool",)), (head, ("logits",))])


def networks(kind: OperationKind) -> list[IntegerModel]:
    """Integer networks around random operations of a kind, with random weights."""
    rng = np.random.default_rng(_SEED)
    return [random_model(network_around(op), rng) for op in example_ops(kind)]


def check_tensors(kind: OperationKind, bench: Bench) -> None:
    """Every tensor of the interpreter's equals that of the C, on this machine and on the emulated core."""
    core, host = bench.compiled
    for model in networks(kind):
        windows = random_windows(model.graph, _WINDOWS, np.random.default_rng(_SEED))
        past = np.arange(len(windows)) if model.graph.spans_windows else None
        expected = run(model, windows, past=past)
        for where, made in (
            ("this machine", host_tensors(model, windows, host, past)),
            ("the emulated core", core_tensors(model, windows, core, past)),
        ):
            for name, values in made.items():
                if not np.array_equal(values, expected[name]):
                    raise ConformanceError(f"{model.graph[name]}: its C on {where} makes other numbers")


def check_kernels(kind: OperationKind, bench: Bench) -> None:
    """Random calls of each of its kernels, at the ends of what it is proven for, equal the interpreter."""
    emulator, host = Emulator(kernel_image(bench.core)), HostKernels(bench.host)
    for variant in kind.kernels:
        found = run_trials(variant, _TRIALS, np.random.default_rng(_SEED), emulator, host)
        if found.core_mismatches or found.host_mismatches:
            raise ConformanceError(f"{variant.name}: differs from the interpreter at {found.first}")


def check_costs(kind: OperationKind, bench: Bench) -> None:
    """The table has a price for it, and the network takes the cycles, flash and RAM that costs predict."""
    device, models = load_device(_DEVICE), networks(kind)
    table = build((op for model in models for op in model.graph), bench.core, "", device.target)
    cost = CostModel(table, device)
    for model in models:
        op = next(op for op in model.graph if op.kind == kind.name)
        if kind.fan_in and cost.op_cost(op).cycles <= 0:
            raise ConformanceError(f"{op}: costs nothing")
        image = bench.core.link(generate(model), entry_points(model), compiled=bench.compiled[0].kernels)
        checked = check_image(model, cost, image, random_windows(model.graph, 1, np.random.default_rng(_SEED)))
        if abs(checked.cycle_error_pct) > _MOST_CYCLE_ERROR_PCT:
            raise ConformanceError(f"{op}: cycles are {checked.cycle_error_pct:+.1f} % off what executes")
        if not checked.ram_matches:
            raise ConformanceError(f"{op}: RAM {checked.measured_ram_bytes}, not {checked.predicted.peak_ram_bytes}")
        predicted = predicted_flash_bytes(model, table.code_bytes)
        if not checked.fallback_ops and predicted != checked.measured_flash_bytes:
            raise ConformanceError(f"{op}: flash {checked.measured_flash_bytes}, not {predicted} bytes")


def check_memory(kind: OperationKind, bench: Bench) -> None:
    """The memory plan of a network with it holds, executed byte for byte, and the code generator follows it."""
    for model in networks(kind):
        plan = default_plan(model)
        plan.verify(model.graph)
        if f"{plan.arena_bytes}" not in generate(model)["ppgnet_model.h"]:
            raise ConformanceError(f"{kind.name}: the generated header names another arena")


def check_streaming(kind: OperationKind, bench: Bench) -> None:
    """Steps equal its layers over a whole recording, bit for bit; or the network says that it cannot stream."""
    for model in networks(kind):
        if model.graph.state_bytes:
            continue
        for new_samples in range(1, model.graph.input.length_in + 1):
            try:
                step = streaming_model(model, new_samples)
            except StreamingError:
                continue
            shape = (_STEPS * new_samples, model.graph.input.channels_in)
            samples = np.random.default_rng(_SEED).integers(-128, 128, shape).astype(np.int8)
            if not np.array_equal(run_steps(step, samples), whole_recording(model, samples, new_samples)):
                raise ConformanceError(f"{kind.name}: steps of {new_samples} differ from the whole recording")
            break


def check_shapes(kind: OperationKind, bench: Bench) -> None:
    """It is registered; shapes, weights and kernels of its examples fit together."""
    for op in example_ops(kind, 10 * _NETWORKS):
        if kind_of(op) is not kind and type(kind_of(op)) is not type(kind):
            raise ConformanceError(f"{kind.name}: is not the kind registered under this name")
        if kind.fan_in and set(kind.variants(op)) - set(kind.kernels):
            raise ConformanceError(f"{op}: takes a kernel that is not among the kind's")
        for what, size in (("scratch", kind.scratch_bytes(op)), ("constants", kind.data_bytes(op))):
            if size < 0 or size % 4:
                raise ConformanceError(f"{op}: {what} of {size} bytes are no whole words")
        try:
            network_around(op)
        except InputError as error:
            raise ConformanceError(f"{op}: fits into no network ({error})") from error


CHECKS: dict[str, Callable[[OperationKind, Bench], None]] = {
    "shapes": check_shapes,
    "kernels": check_kernels,
    "tensors": check_tensors,
    "costs": check_costs,
    "memory": check_memory,
    "streaming": check_streaming,
}
"""By name, all that a kind is held to here; nas.deploy.formats.conformance adds the files of TFLite and ONNX."""
