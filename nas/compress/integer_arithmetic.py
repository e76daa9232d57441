"""The deployed integers in torch: what a fake-quantized network computes once it is not being trained.

Written apart from hwmodels.network.interpreter, in another form of TFLite's rounding, and held against it by
tests: it is the witness `qat`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.interpreter import IntegerParameters, Quantization, compute
from hwmodels.network.operation_kind import kind_of
from hwmodels.network.operations.add import add_factors
from supernet.network.context import filter_steps, with_passing
from supernet.network.convolution import convolve

_ADD_LEFT_SHIFT = 20
_LARGEST_EXACT_FLOAT = 1 << 24
OnSteps = Callable[[Op, Tensor], Tensor]


@torch.no_grad()
def integer_tensors(
    graph: LayerGraph,
    quantization: Mapping[str, Quantization],
    parameters: Mapping[str, IntegerParameters],
    x: Tensor,
    then: OnSteps = lambda op, q: q,
    past: Tensor | None = None,
) -> dict[str, Tensor]:
    """Every int8 tensor, as int64 (batch, channels, 1, length) by op name; heads are left out.

    x: the input on its grid, (batch, channels, samples). `then` may cut each output to a part of it. past: (batch,)
    steps before each window in the batch.
    """
    tensors: dict[str, Tensor] = {}
    for op, sources in graph.nodes():
        operands = [tensors[name] for name in sources]
        if not sources:
            q = x.long()[:, :, None]
        elif op.kind == "add":
            grids = (quantization[sources[0]], quantization[sources[1]], quantization[op.name])
            q = _sum(operands[0], operands[1], grids)
        elif op.kind == "average_pool":
            q = _mean(operands[0].unflatten(3, (op.length_out, -1)))
        elif op.has_parameters:
            given, zero_point = parameters[op.name], quantization[sources[0]].zero_point
            multiplier, shift = (_by_channel(v) for v in (given.multiplier, given.shift))
            scaled = requantized(_accumulated(op, given, operands[0] - zero_point, past), multiplier, shift)
            q = scaled + quantization[op.name].zero_point
            q = with_passing(q, operands[0]) if op.remembers else q
        elif op.output_bytes:
            q = _by_its_record(op, operands, [quantization[name] for name in (*sources, op.name)])
        else:
            continue
        lowest = quantization[op.name].zero_point if op.activation == "relu" else -128
        tensors[op.name] = then(op, q.clamp(lowest, 127))
    return tensors


def requantized(total: Tensor, multiplier: Tensor, shift: Tensor) -> Tensor:
    """Whole numbers times multiplier / 2^31 * 2^shift, rounded twice, as TFLite's reference kernels do.

    The high multiplication rounds half up, the division by a power of two half away from zero.
    """
    left, right = shift.clamp(min=0), (-shift).clamp(min=0)
    high = (total * (multiplier << left)).add_(1 << 30).bitwise_right_shift_(31)
    below = high >> 63
    if (right == 0).any():
        below &= -(right > 0).long()
    return high.add_((1 << right) >> 1).add_(below).bitwise_right_shift_(right)


def _accumulated(op: Op, given: IntegerParameters, steps: Tensor, past: Tensor | None) -> Tensor:
    """Sums of products and bias; single precision holds them exactly where none can pass 2^24."""
    weight = torch.from_numpy(given.weight)
    if kind_of(op).is_channelwise:
        weight = weight.T[:, None, None]
    else:
        weight = weight.reshape(op.channels_out, op.kernel, op.channels_in).transpose(1, 2)[:, :, None]
    largest = 255 * int(weight.long().abs().flatten(1).sum(1).max())
    kind = torch.float32 if largest <= _LARGEST_EXACT_FLOAT else torch.float64
    x = steps.to(kind).contiguous(memory_format=torch.channels_last)
    total = filter_steps(x, weight.to(kind), op, past) if op.remembers else convolve(x, weight.to(kind), op)
    return total.long() + _by_channel(given.bias)


def _sum(first: Tensor, second: Tensor, grids: tuple[Quantization, Quantization, Quantization]) -> Tensor:
    factors = [(torch.tensor(multiplier), torch.tensor(shift)) for multiplier, shift in add_factors(grids)]
    total = sum(
        requantized(operand - grid.zero_point << _ADD_LEFT_SHIFT, *factor)
        for operand, grid, factor in zip((first, second), grids[:2], factors[:2], strict=True)
    )
    assert isinstance(total, Tensor)
    return requantized(total, *factors[2]) + grids[2].zero_point


def _mean(segments: Tensor) -> Tensor:
    """Means over the last axis, half away from zero."""
    total, count = segments.sum(4), segments.shape[4]
    return total.sign() * ((total.abs() + count // 2) // count)


def _by_its_record(op: Op, operands: Sequence[Tensor], grids: Sequence[Quantization]) -> Tensor:
    """A kind that is not written apart here: what its record computes."""
    rows = [operand[:, :, 0].transpose(1, 2).numpy().astype(np.int8) for operand in operands]
    return torch.from_numpy(compute(op, rows, grids)).long().transpose(1, 2)[:, :, None]


def _by_channel(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))[:, None, None]
