"""Instructions, cycles and code of the int8 kernels on the emulated Cortex-M7, layer by layer.

The layers are those that published kernels were measured on; one row each, TFLite rounding included.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from hwmodels.emulator import Emulator
from hwmodels.graph import Kind, Op
from hwmodels.kernel_call import kernel_call
from hwmodels.pipeline import PipelineModel
from hwmodels.toolchain import find_toolchain
from hwmodels.variants import code_unit_bytes, code_units, kernel_image

_POINTWISE = ((128, 16, 32), (128, 32, 64), (128, 64, 64), (32, 64, 128))
_DEPTHWISE = ((3, 1), (5, 1), (7, 1), (9, 1), (3, 4), (5, 4), (7, 8))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ppg-nas bench kernels`."""
    parser.add_argument("--cc", help="compiler: a command, or zig (default: arm-none-eabi-gcc, else zig)")


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure; see the module's first line."""
    return rows(options.cc)


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
