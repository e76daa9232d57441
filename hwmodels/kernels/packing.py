"""Weights and requantization laid out as the kernels read them, and the proof that their fast form is exact.

Where a trained scale breaks a precondition the packers say so, and the code generator takes the exact kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.kernels.variants import (
    KernelVariant,
    is_matrix,
    padded_depth,
    series_classes,
    series_spacing,
    variants_of,
)
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import IntegerParameters, Quantization, lowest_output
from hwmodels.network.interpreter import add_factors, add_int8
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier

_SLOPES = (0.0, *(sign * 2.0**-power for power in range(20, 11, -1) for sign in (1, -1)))
_NUDGES = 300


class FastFormError(InputError):
    """A precondition of a fast kernel that these parameters break; the message is the reason."""


@dataclass(frozen=True)
class _Requantization:
    """Per channel: weights, twice the bias with the input's zero point folded in, multiplier, right shift less
    one, and the largest magnitude that the accumulator can reach.
    """

    rows: NDArray[np.int64]
    bias: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    reach: NDArray[np.int64]


def pack(
    op: Op, parameters: IntegerParameters, grids: tuple[Quantization, Quantization], variant: KernelVariant
) -> NDArray[np.uint32]:
    """The stream of weights and requantization that `variant` reads for `op`.

    `grids` are those of input and output. Raises FastFormError when the variant would not be exact.
    """
    if is_matrix(variant):
        return _pack_matrix(op, parameters, grids, variant)
    return _pack_depthwise(op, parameters, grids)


def fast_form(
    op: Op, parameters: IntegerParameters, grids: tuple[Quantization, Quantization]
) -> tuple[KernelVariant, NDArray[np.uint32] | None, str]:
    """The fastest variant that is exact with these parameters, its stream, and what ruled out a faster one.

    The stream is None for the exact kernel; the reason is empty where nothing was lost.
    """
    reason = ""
    for variant in variants_of(op)[:-1]:
        try:
            return variant, pack(op, parameters, grids, variant), reason
        except FastFormError as error:
            reason = str(error)
    return variants_of(op)[-1], None, reason


def _pack_matrix(
    op: Op, parameters: IntegerParameters, grids: tuple[Quantization, Quantization], variant: KernelVariant
) -> NDArray[np.uint32]:
    """For each pair of outputs (256 * b1 + b0), b0, packed weights, multipliers and shifts less one.

    Inputs are read as 2 * (x + 128), which b makes up for.
    """
    rows = parameters.weight.reshape(op.channels_out, -1).astype(np.int64)
    requantization = _requantization(op, parameters, rows, grids)
    rows = requantization.rows
    if requantization.reach[1::2].max(initial=0) >= 1 << 22:
        raise FastFormError("an accumulator can reach 2^22")
    bias = requantization.bias - 256 * rows.sum(axis=1)
    shift = requantization.shift.copy()
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
    first, multiplier, shifts = (
        np.pad(values, (0, odd)).reshape(-1, 2) for values in (bias, requantization.multiplier, shift)
    )
    packed = 256 * first[:, 1:] + first[:, :1]
    stream = [packed, first[:, :1], words, multiplier, shifts[:, :1] | shifts[:, 1:] << 8]
    return (np.concatenate(stream, axis=1) & 0xFFFFFFFF).astype(np.uint32).ravel()


def _pack_depthwise(
    op: Op, parameters: IntegerParameters, grids: tuple[Quantization, Quantization]
) -> NDArray[np.uint32]:
    """The records of ppgnet_depthwise: bias, multiplier, shift and weights as bytes."""
    rows = parameters.weight.T.astype(np.int64)
    requantization = _requantization(op, parameters, rows, grids)
    quads = np.zeros((op.channels_out, 4 * (op.kernel // 4 + 1)), np.uint8)
    quads[:, : op.kernel] = requantization.rows & 0xFF
    quads = np.ascontiguousarray(quads.reshape(-1, 4)[:, [0, 2, 1, 3]]).reshape(len(quads), -1)
    quads[:, -1] = requantization.shift
    head = np.stack([requantization.bias, requantization.multiplier], axis=1) & 0xFFFFFFFF
    records = np.concatenate([head.astype("<u4"), quads.view("<u4")], axis=1).ravel()
    layout = series_classes(op) | series_spacing(op) << 16
    return np.concatenate([np.array([layout], "<u4"), records])


def _requantization(
    op: Op, parameters: IntegerParameters, rows: NDArray[np.int64], grids: tuple[Quantization, Quantization]
) -> _Requantization:
    if op.activation == "relu" and grids[1].zero_point != -128:
        raise FastFormError(f"relu with output zero point {grids[1].zero_point}, not -128")
    bias = parameters.bias.astype(np.int64) - grids[0].zero_point * rows.sum(axis=1)
    multiplier, shift = parameters.multiplier.astype(np.int64), -parameters.shift.astype(np.int64)
    ends = np.stack([rows * -128, rows * 127])
    lowest, highest = bias + ends.min(axis=0).sum(axis=1), bias + ends.max(axis=0).sum(axis=1)
    is_constant, steps = _constant_outputs(op, parameters, lowest, highest, grids[1])
    # what reaches one output alone is served as a bias: 4 * steps, times 1/2, shifted right by 1
    rows = np.where(is_constant[:, None], 0, rows)
    multiplier, shift = np.where(is_constant, 1 << 30, multiplier), np.where(is_constant, 1, shift)
    bias, lowest, highest = (np.where(is_constant, 4 * steps, sums) for sums in (bias, lowest, highest))
    if shift.min() < 1 or shift.max() > 22:
        raise FastFormError(f"requantization shifts {shift.min()} to {shift.max()} leave 1 to 22")
    if multiplier.min() < 0:
        raise FastFormError("a requantization multiplier is negative")
    reach = np.maximum(-lowest, highest)
    if reach.max() >= 1 << 30:
        raise FastFormError("an accumulator can reach 2^30")
    return _Requantization(rows, 2 * bias, multiplier, shift - 1, reach)


def _constant_outputs(
    op: Op,
    parameters: IntegerParameters,
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
    grid: Quantization,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which filters make one output whatever they read, as those of zeros do, and that output less its zero point.

    `lowest` and `highest` are the ends of what their accumulators reach; requantization keeps their order unless
    it multiplies by a negative number or shifts bits out to the left.
    """
    scaled = [
        multiply_by_quantized_multiplier(end, parameters.multiplier, parameters.shift) for end in (lowest, highest)
    ]
    outputs = [clamp_int8(end + grid.zero_point, lowest_output(op, grid)).astype(np.int64) for end in scaled]
    keeps_order = (parameters.multiplier >= 0) & (parameters.shift <= 0)
    keeps_order &= np.maximum(-lowest, highest) < 1 << 31
    is_constant = (outputs[0] == outputs[1]) & (keeps_order | (lowest == highest))
    return is_constant, outputs[0] - grid.zero_point


def add_constants(grids: tuple[Quantization, Quantization, Quantization]) -> tuple[int, int, int]:
    """Factors and offset (a, b, c) with which saturate((c + (a*x >> 8) + (b*y >> 8)) >> 20) is the ADD.

    For given factors all 65,536 pairs together say which offsets are right, so what is returned is proven.
    `grids` are those of both operands and the sum. Raises FastFormError when none serve.
    """
    values = np.arange(-128, 128, dtype=np.int64)
    first, second = np.meshgrid(values, values, indexing="ij")
    truth = add_int8(first.astype(np.int8), second.astype(np.int8), grids, -128).astype(np.int64)
    lowest = np.where(truth == -128, -(1 << 11), truth) << 20
    highest = (np.where(truth == 127, (1 << 11) - 1, truth) + 1 << 20) - 1
    ratios = [grid.scale / grids[2].scale for grid in grids[:2]]
    if max(ratios) >= 7:
        raise FastFormError("an operand's scale is 7 times that of the sum or more")
    near = np.random.default_rng(0).integers(-2048, 2049, (_NUDGES, 2)).tolist()
    tried = [(slope, 0, 0) for slope in _SLOPES] + [(0.0, *nudge) for nudge in near]
    for slope, *nudges in tried:
        a, b = (round(r * (1 + slope) * (1 << 28)) + nudge for r, nudge in zip(ratios, nudges, strict=True))
        total = (a * values >> 8)[:, None] + (b * values >> 8)[None]
        offset_from, offset_to = int((lowest - total).max()), int((highest - total).min())
        if offset_from <= offset_to and max(abs(offset_from), abs(offset_to)) < 1 << 31:
            return a, b, (offset_from + offset_to) // 2
    raise FastFormError("no constants reproduce TFLite's ADD on all inputs")


def add_exact_fields(
    grids: tuple[Quantization, Quantization, Quantization],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Zero points, multipliers and shifts of both operands and the sum, for ppgnet_add_exact."""
    factors = add_factors(grids)
    return tuple(g.zero_point for g in grids), tuple(m for m, _ in factors), tuple(s for _, s in factors)
