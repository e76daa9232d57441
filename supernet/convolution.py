"""Convolutions over time as (1 x T) 2-D ones in channels-last memory, the layout that is fastest on a CPU.

The depthwise one carries its own backward pass, faster than the built-in one on one thread
(docs/supernet.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from hwmodels.graph import Op


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution of an already padded (batch, channels, 1, time) tensor.

    The gradient of the input is itself a depthwise convolution with the flipped kernel, and that of
    each tap the sum of one product: both run as fast as the forward pass.
    """

    @staticmethod
    def forward(ctx: Any, padded: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(padded, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return functional.conv2d(
            padded, weight, stride=(1, stride), dilation=(1, dilation), groups=weight.shape[0]
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        padded, weight = ctx.saved_tensors
        stride, dilation, channels = ctx.stride, ctx.dilation, weight.shape[0]
        length, taps = gradient.shape[-1], weight.shape[-1]
        reach, span = (taps - 1) * dilation, (length - 1) * stride + 1
        tap_gradients = [
            (gradient * padded[..., tap * dilation : tap * dilation + span : stride]).sum((0, 2, 3))
            for tap in range(taps)
        ]
        weight_gradient = torch.stack(tap_gradients, -1)[:, None, None]
        if not ctx.needs_input_grad[0]:
            return None, weight_gradient, None, None
        if stride > 1:
            spread = gradient.new_zeros(gradient.shape[0], 1, span, channels).permute(0, 3, 1, 2)
            spread[..., ::stride] = gradient
            gradient = spread
        after = padded.shape[-1] - span
        flipped = functional.pad(gradient, (reach, after))
        input_gradient = functional.conv2d(flipped, weight.flip(-1), dilation=(1, dilation), groups=channels)
        return input_gradient, weight_gradient, None, None


def convolve(x: Tensor, weight: Tensor, op: Op, bias: Tensor | None = None) -> Tensor:
    """Run the convolution of `op` ("conv" or "depthwise") without norm or activation.

    x: (batch, channels_in, 1, length_in); weight: (channels_out, channels_in or 1, 1, kernel); bias:
    (channels_out,). Returns (batch, channels_out, 1, length_out), padded as `op` says.
    """
    reach = (op.kernel - 1) * op.dilation
    before = op.padding_before
    after = max(0, (op.length_out - 1) * op.stride + reach + 1 - op.length_in - before)
    padded = _pad(x, before, after) if before or after else x
    if op.kind == "depthwise" and torch.is_grad_enabled():
        result: Tensor = _Depthwise.apply(padded, weight, op.stride, op.dilation)
        return result if bias is None else result + bias[:, None, None]
    groups = op.channels_in if op.kind == "depthwise" else 1
    return functional.conv2d(
        padded, weight, bias, stride=(1, op.stride), dilation=(1, op.dilation), groups=groups
    )


def _pad(x: Tensor, before: int, after: int) -> Tensor:
    """Zeros before and after x in time; without gradients only they are written besides the copy."""
    if torch.is_grad_enabled():
        return functional.pad(x, (before, after))
    batch, channels, _, length = x.shape
    shape = (batch, channels, 1, before + length + after)
    padded = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    padded[..., :before] = 0.0
    padded[..., before : before + length] = x
    padded[..., before + length :] = 0.0
    return padded
