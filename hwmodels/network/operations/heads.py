"""The two heads: logits to a heart rate with its expected error, or to a class with its probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.c_records import CRecord
from hwmodels.network.graph import Op
from hwmodels.network.heads import belief_tables, class_head, heart_rate_constants, heart_rate_head, min_probability_q15
from hwmodels.network.integer_model import ClassSettings, HeartRateSettings
from hwmodels.network.operation_kind import KernelVariant, Operands, OperationKind, UnsupportedOpError, register

_BELIEF_BYTES = 64
_BELIEF_LAYOUT = "16H16H"


class Head(OperationKind):
    """Reads the logits of one position, or one logit of each position, and ends the graph."""

    is_head = True

    def complaint(self, op: Op) -> str:
        """One position."""
        return "" if op.length_in == 1 and op.length_out == 1 else "reads the logits of one position"

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """Its kernel, for as many logits as that takes."""
        if not 2 <= op.channels_in <= 256:
            raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): takes 2 to 256 logits, got {op.channels_in}")
        return self.kernels

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Any number of logits."""
        logits = int(rng.integers(2, 257))
        return Op("op", self.name, 1, logits, 1, logits)

    @staticmethod
    def _belief(given: Operands) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(table.tolist()) for table in belief_tables(given.grids[0].scale))


class HeartRateHead(Head):
    """Logits are a belief over heart rates."""

    name = "heart_rate_head"
    head_settings = HeartRateSettings
    kernels = (KernelVariant("heart_rate", "ppgnet_heart_rate", frozenset({"ppgnet_read_belief"})),)

    def compute(self, op: Op, operands: Sequence[NDArray[np.int8]], given: Operands) -> NDArray[np.int32]:
        """The belief's median and spread."""
        if not isinstance(given.head, HeartRateSettings):
            return super().compute(op, operands, given)
        return heart_rate_head(operands[0].reshape(len(operands[0]), -1), given.grids[0].scale, given.head)

    def scratch_bytes(self, op: Op) -> int:
        """The belief."""
        return -(-2 * op.channels_in // 4) * 4

    def record_bytes(self, op: Op) -> int:
        """Bins and tables."""
        return 16 + _BELIEF_BYTES

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """Where the bins lie, and the exponential's tables."""
        assert isinstance(given.head, HeartRateSettings)
        made = heart_rate_constants(given.head, op.channels_in)
        members = (made.first_q8, made.step_q16, made.max_spread_q8, op.channels_in, self._belief(given))
        return CRecord("ppgnet_heart_rate_parameters", "iiiI" + _BELIEF_LAYOUT, members)


class ClassHead(Head):
    """Logits are a belief over classes."""

    name = "class_head"
    head_settings = ClassSettings
    kernels = (KernelVariant("class", "ppgnet_class"),)

    def compute(self, op: Op, operands: Sequence[NDArray[np.int8]], given: Operands) -> NDArray[np.int32]:
        """The likeliest class and its probability."""
        if not isinstance(given.head, ClassSettings):
            return super().compute(op, operands, given)
        return class_head(operands[0].reshape(len(operands[0]), -1), given.grids[0].scale, given.head)

    def record_bytes(self, op: Op) -> int:
        """Threshold and tables."""
        return 8 + _BELIEF_BYTES

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """The least probability that counts, and the exponential's tables."""
        assert isinstance(given.head, ClassSettings)
        members = (min_probability_q15(given.head), op.channels_in, self._belief(given))
        return CRecord("ppgnet_class_parameters", "iI" + _BELIEF_LAYOUT, members)


register(HeartRateHead())
register(ClassHead())
