"""The rows that came last in earlier executions before the new ones: what makes a network run step by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.c_records import CRecord
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import Quantization
from hwmodels.network.operation_kind import KernelVariant, Operands, OperationKind, register
from hwmodels.network.operations.weighted import example_sizes

_VARIANT = KernelVariant("history", "ppgnet_history", frozenset({"ppgnet_forget", "ppgnet_stream_reset"}))


class History(OperationKind):
    """Keeps `length_out - length_in` rows; stands in streaming steps alone, where the interpreter hands it them."""

    name = "history"
    keeps_grid = True
    forgets = "ppgnet_forget"
    kernels = (_VARIANT,)

    def complaint(self, op: Op) -> str:
        """It keeps at least a row."""
        return "" if op.length_out > op.length_in else "must put rows before its input"

    def state_bytes(self, op: Op) -> int:
        """The rows kept."""
        return (op.length_out - op.length_in) * op.channels_in

    def initial_state(self, op: Op, grid: Quantization, streams: int) -> NDArray[np.int8]:
        """Rows (streams, rows, channels) of zero points."""
        return np.full((streams, op.length_out - op.length_in, op.channels_in), grid.zero_point, np.int8)

    def step(
        self, op: Op, x: NDArray[np.int8], state: NDArray[np.int8], given: Operands
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """The rows kept before the new ones; the last of them are kept."""
        rows = np.concatenate([state, x], axis=1)
        return rows, rows[:, op.length_in :]

    def record_bytes(self, op: Op) -> int:
        """Three words."""
        return 12

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """Sizes, and the zero point that stands for what came before a recording."""
        members = (op.input_bytes, op.state_bytes, given.grids[-1].zero_point)
        return CRecord("ppgnet_history_parameters", "IIi", members)

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Up to 40 rows kept."""
        length, channels = example_sizes(rng)
        return Op("op", self.name, length, channels, length + int(rng.integers(1, 41)), channels)


register(History())
