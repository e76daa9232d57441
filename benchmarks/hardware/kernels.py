"""Cycles and code of the int8 kernels on the emulated Cortex-M7, by layer and by network; or their exactness.

The layers are those that published kernels were measured on, the networks random ones within the budgets;
TFLite rounding is included. With --cases, random calls of every kernel are compared instead.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from benchmarks.support.whole_networks import network_rows, summary
from hwmodels.c.toolchain import ElfImage, Toolchain, find_toolchain, host_toolchain
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.emulation.emulator import Emulator
from hwmodels.emulation.kernel_call import kernel_call
from hwmodels.kernels.variants import KernelVariant, all_kernels, code_unit_bytes, code_units, kernel_image
from hwmodels.network.graph import Code, Kind, Op
from hwmodels.validation.kernel_trials import Found, HostKernels, run_trials
from nas.assembly.choice import budgets_of
from nas.run.config import Budgets
from nas.run.workers import worker_pool
from nas.terminal.arguments import count, positive_count
from nas.terminal.output import plain, print_fields, print_table
from nas.terminal.progress import progress

_POINTWISE = ((128, 16, 32), (128, 32, 64), (128, 64, 64), (32, 64, 128))
_SPACES = ("default", "spectral")
_CODES: tuple[Code, ...] = ("fast", "compact")
_CHUNK = 500
_DEPTHWISE = ((3, 1), (5, 1), (7, 1), (9, 1), (3, 4), (5, 4), (7, 8))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks kernels`."""
    parser.add_argument("--cc", help="compiler: a command, or zig (default: arm-none-eabi-gcc, else zig)")
    parser.add_argument("--networks", type=positive_count, default=50, help="networks of each space (default 50)")
    parser.add_argument("--cases", type=count, default=0, help="compare so many random calls per kernel")
    parser.add_argument("--seed", type=count, default=0, help="seed (default 0)")
    parser.add_argument("--workers", type=positive_count, default=2, help="processes (default 2)")


@dataclass(frozen=True)
class Trials:
    """Random calls of one kernel, as many as one process makes at a time."""

    kernel: KernelVariant
    count: int
    seed: tuple[int, int, int]
    image: ElfImage
    host: Toolchain


def run(options: argparse.Namespace) -> list[dict[str, Any]] | dict[str, Any]:
    """Measure; see the module's first lines.

    One row per layer, then one per space and code, whose op is "network"; with --cases: kernels, one row
    each, and mismatches of them all. Raises ToolchainError without an Arm compiler, with --cases without one
    for this machine.
    """
    with worker_pool(options.workers) as executor:
        if options.cases:
            return compared(options.cases, options.seed, options.cc, executor)
        return [*rows(options.cc), *networks(options, executor)]


def show(found: list[dict[str, Any]] | dict[str, Any]) -> None:
    """Print for people."""
    if isinstance(found, dict):
        print_table(found["kernels"], tuple(found["kernels"][0]))
        print_fields(plain(found))
        return
    for key, held in groupby(found, lambda row: row["op"] == "network"):
        table = list(held)
        print_table(table, tuple(table[0]), "networks within the budgets" if key else "layers")


def networks(options: argparse.Namespace, executor: Executor) -> list[dict[str, Any]]:
    """Random networks within the default budgets, a row for each space and code."""
    toolchain, budgets = find_toolchain(options.cc), budgets_of(Budgets())
    with progress("running networks") as advance:
        found = (
            network_rows(space, code, budgets, options.networks, options.seed, toolchain, executor, advance)
            for space in _SPACES
            for code in _CODES
        )
        return [{"op": "network", **summary(held)} for held in found]


def compared(cases: int, seed: int, cc: str | None, executor: Executor) -> dict[str, Any]:
    """So many random calls of every kernel: C on the emulated core, C on this machine, interpreter."""
    begun = time.perf_counter()
    core, host = find_toolchain(cc), host_toolchain()
    image = kernel_image(core)
    tasks = [
        Trials(kernel, min(_CHUNK, cases - start), (seed, number, start), image, host)
        for number, kernel in enumerate(all_kernels())
        for start in range(0, cases, _CHUNK)
    ]
    parts: dict[str, list[Found]] = {}
    with progress("comparing kernels") as advance:
        for number, found in enumerate(executor.map(_compare, tasks), 1):
            parts.setdefault(found.kernel, []).append(found)
            advance(number, len(tasks), found.kernel)
    kernels = [asdict(sum(held[1:], held[0])) for held in parts.values()]
    return {
        "kernels": kernels,
        "cases": sum(row["cases"] for row in kernels),
        "mismatches": sum(row["core_mismatches"] + row["host_mismatches"] for row in kernels),
        "compilers": f"{core.version}; {host.version}",
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _compare(task: Trials) -> Found:
    return run_trials(
        task.kernel,
        task.count,
        np.random.default_rng(task.seed),
        Emulator(task.image),
        HostKernels(task.host),
    )


def rows(cc: str | None = None) -> list[dict[str, Any]]:
    """One row per layer; `macs` of an add are its elements, `code_bytes` all functions its kernel needs.

    Raises ToolchainError without an Arm compiler.
    """
    toolchain = find_toolchain(cc)
    image = kernel_image(toolchain)
    units = code_unit_bytes(toolchain)
    emulator, pipeline = Emulator(image), PipelineModel(image)
    found: list[dict[str, Any]] = []
    for op in layers():
        call = kernel_call(op, np.random.default_rng(0))
        done = emulator.call(call.function, call.arguments, call.writes)
        found.append(
            {
                "op": "pointwise" if op.kind == "conv" and op.kernel == 1 else op.kind,
                "length": op.length_in,
                "cin": op.channels_in,
                "cout": op.channels_out,
                "kernel": op.kernel,
                "stride": op.stride,
                "dilation": op.dilation,
                "macs": op.macs or op.output_bytes,
                "instructions": done.instructions,
                "cycles": pipeline.cycles(done),
                "code_bytes": sum(units[unit] for unit in code_units(op)),
            }
        )
    return found


def layers() -> list[Op]:
    """The layers measured."""

    def windowed(kind: Kind, length: int, cin: int, cout: int, *shape: int) -> Op:
        kernel, stride, dilation = shape
        length_out = -(-length // stride)
        return Op("layer", kind, length, cin, length_out, cout, kernel, stride, dilation, activation="relu")

    return [
        *(windowed("conv", *shape, 1, 1, 1) for shape in _POINTWISE),
        *(windowed("depthwise", 128, 32, 32, taps, 1, dilation) for taps, dilation in _DEPTHWISE),
        windowed("depthwise", 128, 32, 32, 5, 2, 1),
        windowed("conv", 500, 4, 16, 5, 2, 1),
        windowed("conv", 512, 1, 16, 7, 2, 1),
        windowed("conv", 64, 32, 32, 3, 1, 4),
        Op("layer", "fully_connected", 1, 64, 1, 1),
        Op("layer", "fully_connected", 1, 128, 1, 64),
        Op("layer", "add", 128, 32, 128, 32),
    ]
