"""Fully connected layers: one position, all channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import KernelVariant, register
from hwmodels.network.operations.matrix_product import DENSE, MatrixProduct
from hwmodels.network.operations.weighted import EXACT, example_sizes


class FullyConnected(MatrixProduct):
    """Each output reads all channels of the one position."""

    name = "fully_connected"
    kernels = (DENSE, EXACT)

    def complaint(self, op: Op) -> str:
        """It works on pooled features."""
        return "" if op.length_in == 1 and op.length_out == 1 else "works on one position; pool before it"

    def weight_shape(self, op: Op) -> tuple[int, ...]:
        """Output channel first."""
        return (op.channels_out, op.channels_in)

    def products(self, taken: NDArray[np.float64], weight: NDArray[np.float64], tap: int) -> NDArray[np.float64]:
        """A matrix product."""
        return taken @ weight.T

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Any numbers of channels."""
        channels, outputs = example_sizes(rng)[1], int(rng.integers(1, 25))
        activation = str(rng.choice(["none", "relu"]))
        return Op("op", self.name, 1, channels, 1, outputs, activation=activation)  # type: ignore[arg-type]


register(FullyConnected())
