"""Convolutions over time as (1 x T) 2-D ones in channels-last memory, the layout that is fastest on a CPU.

Gradients are our own: each is asked of the library in the form in which its kernels run fastest
(docs/explanation/supernet.md). A supernet in training runs a convolution, its norm and its activation as one node.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

from hwmodels.network.graph import Op

# oneDNN compiles a kernel for every shape and forgets all but the last 1024, and a supernet has more.
PRIMITIVE_CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
os.environ.setdefault(PRIMITIVE_CAPACITY, "16384")

NORM_EPSILON = 1e-5
_FEW_TAPS = 3
"""Of up to so many taps a depthwise weight gradient is fastest along the width; of more, along the height."""
_LAST = torch.channels_last


class _Geometry(NamedTuple):
    """How a convolution lies over time: zeros before and after the input, steps, groups of channels."""

    before: int
    after: int
    stride: int
    dilation: int
    groups: int

    def pad(self, x: Tensor) -> Tensor:
        """Zeros before and after x in time; only they are written besides the copy."""
        if not (self.before or self.after):
            return x
        batch, channels, _, length = x.shape
        shape = (batch, channels, 1, self.before + length + self.after)
        padded = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_LAST)
        padded[..., : self.before] = 0.0
        padded[..., self.before : self.before + length] = x
        padded[..., self.before + length :] = 0.0
        return padded

    def is_product(self, weight: Tensor) -> bool:
        """Whether it is one product of matrices, of which each row is a moment."""
        return self.groups == self.stride == weight.shape[-1] == 1

    def in_training(self, padded: Tensor, weight: Tensor) -> Tensor:
        """`forward` in the way that is fastest before `backward`; equal up to the last digits."""
        if not self.is_product(weight):
            return self.forward(padded, weight)
        return _moments(_rows(padded) @ weight.flatten(1).T, len(padded))

    def forward(self, padded: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution of what `pad` gave."""
        steps, spread = (1, self.stride), (1, self.dilation)
        return functional.conv2d(padded, weight, bias, steps, dilation=spread, groups=self.groups)

    def backward(
        self, gradient: Tensor, padded: Tensor, weight: Tensor, *, is_wanted: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Gradients of the input, where it is wanted, and of the weight."""
        gradient = gradient.contiguous(memory_format=_LAST)
        if self.is_product(weight):
            rows = _rows(gradient)
            of_input = _moments(rows @ weight.flatten(1), len(gradient)) if is_wanted else None
            return of_input, (rows.T @ _rows(padded)).view_as(weight)
        if self.groups == 1:
            of_padded, of_weight = self._library(gradient, padded, weight, is_wanted, True)
        elif self.dilation > 1:
            of_padded, of_weight = self._dilated_backward(gradient, padded, weight)
        elif weight.shape[-1] <= _FEW_TAPS:
            of_padded, of_weight = self._library(gradient, padded, weight, is_wanted, True)
        else:
            of_padded, _ = self._library(gradient, padded, weight, is_wanted, False)
            _, of_weight = self._library(gradient.mT, padded.mT, weight.mT, False, True, is_tall=True)
            of_weight = of_weight.mT
        if of_padded is not None and (self.before or self.after):
            of_padded = of_padded[..., self.before : of_padded.shape[-1] - self.after]
        return of_padded, of_weight

    def _library(
        self,
        gradient: Tensor,
        padded: Tensor,
        weight: Tensor,
        input_too: bool,
        weight_too: bool,
        *,
        is_tall: bool = False,
    ) -> tuple[Any, Any]:
        """The library's gradients of what was padded and of the weight, with time along width or height."""
        steps = [self.stride, 1] if is_tall else [1, self.stride]
        spread = [1, 1] if is_tall else [1, self.dilation]
        wanted = [input_too, weight_too, False]
        return torch.ops.aten.convolution_backward(
            gradient, padded, weight, None, steps, [0, 0], spread, False, [0, 0], self.groups, wanted
        )[:2]

    def _dilated_backward(self, gradient: Tensor, padded: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Of a dilated depthwise convolution: time in rows of `dilation` moments makes it one without.

        The rows are the same memory. What strides leave out, and what a last row lacks, are zeros.
        """
        length, lacking = padded.shape[-1], -padded.shape[-1] % self.dilation
        outputs = length - (weight.shape[-1] - 1) * self.dilation
        if self.stride > 1 or lacking:
            whole = gradient.new_zeros(*gradient.shape[:3], outputs + lacking).contiguous(memory_format=_LAST)
            whole[..., : outputs : self.stride] = gradient
            gradient, padded = whole, functional.pad(padded, (0, lacking))
        gradient, padded = (x.unflatten(3, (-1, self.dilation))[:, :, 0] for x in (gradient, padded))
        plain = self._replace(stride=1, dilation=1)
        of_padded, of_weight = plain._library(gradient, padded, weight.mT, True, True, is_tall=True)
        return of_padded.flatten(2)[:, :, None, :length], of_weight.mT


def _rows(x: Tensor) -> Tensor:
    """(batch, channels, 1, time) -> (batch * time, channels), the same memory."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _moments(rows: Tensor, batch: int) -> Tensor:
    """(batch * time, channels) -> (batch, channels, 1, time), the same memory."""
    return rows.unflatten(0, (batch, 1, -1)).permute(0, 3, 1, 2)


@lru_cache(maxsize=4096)
def _geometry(op: Op) -> _Geometry:
    reach = (op.kernel - 1) * op.dilation
    before = op.padding_before
    after = max(0, (op.length_out - 1) * op.stride + reach + 1 - op.length_in - before)
    return _Geometry(before, after, op.stride, op.dilation, op.channels_in if op.kind == "depthwise" else 1)


class _Convolution(torch.autograd.Function):
    """A convolution (batch, channels, 1, time) by our own gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        padded = geometry.pad(x)
        ctx.save_for_backward(padded, weight)
        ctx.geometry = geometry
        return geometry.forward(padded, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        of_input, of_weight = ctx.geometry.backward(gradients[0], padded, weight, is_wanted=ctx.needs_input_grad[0])
        of_bias = gradients[0].sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_input, of_weight, of_bias, None


class _NormedConvolution(torch.autograd.Function):
    """A convolution, batch norm by the batch's own statistics and, if asked for, a ReLU."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        scale: Tensor,
        shift: Tensor,
        geometry: _Geometry,
        is_rectified: bool,
    ) -> Tensor:
        padded = geometry.pad(x)
        y = geometry.in_training(padded, weight)
        normed, mean, inverse = torch.native_batch_norm(y, scale, shift, None, None, True, 0.0, NORM_EPSILON)
        if is_rectified:
            normed.relu_()
        ctx.save_for_backward(padded, weight, y, scale, mean, inverse, normed if is_rectified else None)
        ctx.geometry = geometry
        return normed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight, y, scale, mean, inverse, rectified = ctx.saved_tensors
        gradient = gradients[0]
        if rectified is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
        gradient, of_scale, of_shift = torch.ops.aten.native_batch_norm_backward(
            gradient, y, scale, None, None, mean, inverse, True, NORM_EPSILON, [True, True, True]
        )
        wanted = ctx.needs_input_grad[0]
        of_input, of_weight = ctx.geometry.backward(gradient, padded, weight, is_wanted=wanted)
        return of_input, of_weight, of_scale, of_shift, None, None


def convolve(x: Tensor, weight: Tensor, op: Op, bias: Tensor | None = None) -> Tensor:
    """Run the convolution of `op` ("conv" or "depthwise") without norm or activation.

    x: (batch, channels_in, 1, length_in); weight: (channels_out, channels_in or 1, 1, kernel); bias:
    (channels_out,). Returns (batch, channels_out, 1, length_out), padded as `op` says.
    """
    geometry = _geometry(op)
    if not torch.is_grad_enabled():
        return geometry.forward(geometry.pad(x), weight, bias)
    result: Tensor = _Convolution.apply(x, weight, bias, geometry)
    return result


def convolve_and_normalize(x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, op: Op) -> Tensor:
    """`convolve`, batch norm by the statistics of the batch, and the activation of `op`, in training.

    scale, shift: (channels_out,); the rest as in `convolve`.
    """
    result: Tensor = _NormedConvolution.apply(x, weight, scale, shift, _geometry(op), op.activation == "relu")
    return result
