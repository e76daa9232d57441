"""Convolutions over time, of which those with one tap are pointwise.

With at least four positions and an even number of outputs they take a tiled matrix kernel, unrolled for their depth
where there is one; all others the dense one. Compact code has one tiled kernel for all depths, the smallest none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.build_form import CODES, built
from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import KernelVariant, PartInStripes, register
from hwmodels.network.operations.matrix_product import (
    DENSE,
    TILE_POSITIONS,
    TILED,
    MatrixProduct,
    depth_of,
    tiled_variant,
)
from hwmodels.network.operations.weighted import EXACT, OverTime, example_sizes


class Convolution(OverTime, MatrixProduct):
    """Each output reads all channels of `kernel` rows, `dilation` apart."""

    name = "conv"
    kernels = (*TILED, DENSE, EXACT)

    def weight_shape(self, op: Op) -> tuple[int, ...]:
        """Output channel first."""
        return (op.channels_out, op.kernel, op.channels_in)

    def products(self, taken: NDArray[np.float64], weight: NDArray[np.float64], tap: int) -> NDArray[np.float64]:
        """A matrix product."""
        return taken @ weight[:, tap].T

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """A tiled kernel if it fits, with its ReLU and without."""
        if op.length_out < TILE_POSITIONS or op.channels_out % 2 or op.code == "smallest":
            return (DENSE, EXACT)
        linear = tiled_variant(op, "linear")
        return (tiled_variant(op, "relu"), linear, EXACT) if op.activation == "relu" else (linear, EXACT)

    def kernel_gap(self, op: Op) -> str:
        """Tiles make outputs in pairs."""
        return "an odd number of output channels" if op.length_out >= TILE_POSITIONS and op.channels_out % 2 else ""

    def part_in_stripes(self, op: Op) -> PartInStripes | None:
        """Before, over time, or behind."""
        if op.kernel == op.stride == 1:
            return "pointwise"
        return "over time" if op.reach and op.padding != "valid" else None

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Of about as many products to an output as a kernel is unrolled for."""
        op = example_over_time(self.name, rng, int(rng.integers(1, 21)))
        depth = depth_of(variant)
        if op is not None and depth:
            op = replace(op, channels_in=max(1, (depth - int(rng.integers(3))) // op.kernel))
        is_of_any_code = op is not None and variant is not None and not depth
        return built(op, CODES[int(rng.integers(len(CODES)))]) if op is not None and is_of_any_code else op


def example_over_time(kind: str, rng: np.random.Generator, channels_out: int = 0) -> Op | None:
    """A random convolution over time, by default with as many channels out as in."""
    length, channels = example_sizes(rng)
    kernel, stride = int(rng.integers(1, 11)), int(rng.choice([1, 1, 1, 2, 2, 3, 4]))
    dilation = int(rng.choice([1, 1, 1, 2, 3, 4, 8, 16]))
    padding, activation = str(rng.choice(["causal", "centred", "valid"])), str(rng.choice(["none", "relu"]))
    inside = length - (kernel - 1) * dilation if padding == "valid" else length
    if inside < 1:
        return None
    shape = (length, channels, -(-inside // stride), channels_out or channels, kernel, stride, dilation)
    return Op("op", kind, *shape, padding=padding, activation=activation)  # type: ignore[arg-type]


register(Convolution())
