"""The constants that an operation's kernel is called with, by the fastest kernel that is exact with them.

Where a trained scale breaks a precondition of a fast kernel, a slower one serves, and the reason is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwmodels.kernels.variants import variants_of
from hwmodels.network.c_records import CRecord
from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import FastFormError, KernelVariant, Operands, kind_of


@dataclass(frozen=True, eq=False)
class KernelConstants:
    """What a kernel is called with; `reason` is what ruled a faster one out, empty where nothing was lost."""

    variant: KernelVariant
    record: CRecord
    reason: str = ""


def kernel_constants(op: Op, given: Operands) -> KernelConstants:
    """The constants of `op` for the fastest kernel that is exact with its parameters and grids.

    Raises UnsupportedOpError for an operation without a kernel.
    """
    kind, reason = kind_of(op), ""
    *faster, last = variants_of(op)
    for variant in faster:
        try:
            return KernelConstants(variant, kind.constants(op, variant, given), reason)
        except FastFormError as error:
            reason = str(error)
    return KernelConstants(last, kind.constants(op, last, given), reason)
