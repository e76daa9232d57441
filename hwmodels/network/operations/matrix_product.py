"""Kernels that are a matrix product of packed weights, four positions by two outputs at once or one by two: which
there are, how their weights are packed, and the proof that they are exact. Convolutions and fully connected layers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import STEP_BYTES, FastFormError, KernelVariant, Operands
from hwmodels.network.operations.weighted import LAYER_BYTES, WeightedKind, requantization

LARGEST_BIAS = (1 << 21) - 1
"""Kernels of matrix products add two outputs in one register, which leaves each 22 bits and a sign."""
TILE_POSITIONS = 4
_REQUANTIZATION_WORDS = 5
_TILE_HELPERS = ("ppgnet_run_matrix", "ppgnet_gather", "ppgnet_gather_loosely", "ppgnet_widen_rows", "ppgnet_widen")


def _tiled(form: str, pairs: int) -> KernelVariant:
    tail = f"{form}_{pairs or 'any'}"
    return KernelVariant(f"matrix_{tail}", f"ppgnet_matrix_{tail}", frozenset({f"ppgnet_tile_{tail}", *_TILE_HELPERS}))


_UNROLLED_PAIRS = {"relu": (3, 4, 5, 6, 8, 10, 12, 16), "linear": (4, 8, 12, 16)}
_TILED = {(form, pairs): _tiled(form, pairs) for form, unrolled in _UNROLLED_PAIRS.items() for pairs in (*unrolled, 0)}
_PAIRS = {variant: pairs for (_, pairs), variant in _TILED.items()}
TILED = tuple(_PAIRS)
DENSE = KernelVariant(
    "dense", "ppgnet_dense", frozenset({"ppgnet_gather_one", "ppgnet_gather_loosely", "ppgnet_dense_row"})
)


def is_matrix(variant: KernelVariant) -> bool:
    """Whether a kernel is a matrix product of packed weights."""
    return variant == DENSE or variant in _PAIRS


def tiled_variant(op: Op, form: str) -> KernelVariant:
    """The tiled kernel with a fused ReLU or linear: unrolled for the op's depth where there is one close to it."""
    needed = -(-op.kernel * op.channels_in // 2)
    unrolled = next((pairs for pairs in _UNROLLED_PAIRS[form] if pairs >= needed), 0)
    is_close = unrolled - needed <= needed % 2 or unrolled == _UNROLLED_PAIRS[form][0]
    return _TILED[form, unrolled if is_close and op.code == "fast" else 0]


def depth_of(variant: KernelVariant | None) -> int:
    """Products per output that a tiled kernel is unrolled for, 0 for any number."""
    return 2 * _PAIRS.get(variant, 0) if variant else 0


def padded_depth(op: Op, variant: KernelVariant) -> int:
    """Products per output of a matrix kernel, filled up to what it is unrolled for."""
    depth = op.kernel * op.channels_in
    if variant == DENSE:
        return -(-depth // 8) * 8
    return depth_of(variant) or max(8, -(-depth // 4) * 4)


class MatrixProduct(WeightedKind):
    """A weighted operation whose every output reads all input channels."""

    keeps_channels = False
    largest_bias = LARGEST_BIAS
    slow_cycles_per_mac = 2.5

    def packed(self, op: Op, variant: KernelVariant, given: Operands) -> NDArray[np.uint32]:
        """Pairs of outputs in one word; see `pack_matrix`."""
        return pack_matrix(op, variant, given)

    def scratch_bytes(self, op: Op) -> int:
        """Widened columns, and a row of padding."""
        variants = self.variants(op)
        if variants[0] == DENSE:
            return 2 * padded_depth(op, DENSE) + 8
        padding = -(-op.channels_in // 4) * 4 if op.kernel > 1 else 0
        return 8 * max(padded_depth(op, made) for made in variants if made in _PAIRS) + max(8, padding)

    def data_bytes(self, op: Op) -> int:
        """Shape and stream."""
        words = padded_depth(op, self.variants(op)[0]) // 2 + _REQUANTIZATION_WORDS
        return STEP_BYTES + LAYER_BYTES + -(-op.channels_out // 2) * 4 * words


def pack_matrix(op: Op, variant: KernelVariant, given: Operands) -> NDArray[np.uint32]:
    """For each pair of outputs (256 * b1 + b0), b0, packed weights, multipliers and shifts less one.

    Inputs are read as 2 * (x + 128), which b makes up for. Raises FastFormError.
    """
    assert given.parameters is not None
    rows = given.parameters.weight.reshape(op.channels_out, -1).astype(np.int64)
    made = requantization(op, given.parameters, rows, given.grids)
    rows = made.rows
    if made.reach[1::2].max(initial=0) >= 1 << 22:
        raise FastFormError("an accumulator can reach 2^22")
    bias = made.bias - 256 * rows.sum(axis=1)
    shift = made.shift.copy()
    if "relu" in variant.name:
        if shift[1::2].max(initial=0) > 14:
            raise FastFormError(f"a requantization shift of {shift.max() + 1} exceeds 15")
        shift[1::2] += 8
    depth = padded_depth(op, variant)
    if op.channels_in % 4 == 0:
        rows = rows.reshape(op.channels_out, -1, 4)[:, :, [0, 2, 1, 3]].reshape(op.channels_out, -1)
    odd = op.channels_out % 2
    padded = np.pad(rows, ((0, odd), (0, depth - rows.shape[1])))
    lanes = (256 * padded[1::2] + padded[0::2]) & 0xFFFF
    words = lanes[:, 0::2] | lanes[:, 1::2] << 16
    first, multiplier, shifts = (np.pad(values, (0, odd)).reshape(-1, 2) for values in (bias, made.multiplier, shift))
    packed = 256 * first[:, 1:] + first[:, :1]
    stream = [packed, first[:, :1], words, multiplier, shifts[:, :1] | shifts[:, 1:] << 8]
    return (np.concatenate(stream, axis=1) & 0xFFFFFFFF).astype(np.uint32).ravel()
