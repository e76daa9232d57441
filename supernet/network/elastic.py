"""Elastic convolutions: one set of weights that serves every width and kernel size of one position.

Channels are nested (a narrow layer uses the first channels of the wide one) and kernels are made
from the largest one step by step: crop, then a learned matrix over the taps, as in Once-for-All
(Cai et al. 2020, section 3.3). The crop keeps the same lags: the latest taps when causal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hwmodels.network.graph import Padding


class LayerWeights(NamedTuple):
    """What one convolution runs with: weight (out, in or 1, 1, kernel), norm scale and shift (out,)."""

    weight: Tensor
    scale: Tensor
    shift: Tensor


def random_weight(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Normal weights with variance 2 / fan-in (He et al. 2015), float32, shape (out, in, ...)."""
    deviation = math.sqrt(2.0 / math.prod(shape[1:]))
    return torch.from_numpy(rng.normal(0.0, deviation, shape).astype(np.float32))


class ElasticConvolution(nn.Module):
    """Weights of a convolution with elastic width and kernel.

    `channels_in` is 1 for a depthwise convolution. `kernels` are the sizes on offer, in samples.
    """

    def __init__(
        self,
        channels_out: int,
        channels_in: int,
        kernels: tuple[int, ...],
        padding: Padding,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.kernels = tuple(sorted(set(kernels), reverse=True))
        self.padding = padding
        self.weight = nn.Parameter(random_weight((channels_out, channels_in, 1, self.kernels[0]), rng))
        self.scale = nn.Parameter(torch.ones(channels_out))
        self.shift = nn.Parameter(torch.zeros(channels_out))
        self.transforms = nn.ParameterList(torch.eye(kernel) for kernel in self.kernels[1:])

    def select(self, channels_out: int, channels_in: int, kernel: int) -> LayerWeights:
        """The weights of a member: its first channels, its kernel made from the largest one."""
        weight = self.weight[:channels_out, :channels_in]
        for smaller, transform in zip(self.kernels[1:], self.transforms, strict=True):
            if weight.shape[-1] == kernel:
                break
            excess = weight.shape[-1] - smaller
            first = excess if self.padding == "causal" else excess // 2
            weight = weight[..., first : first + smaller] @ transform
        if weight.shape[-1] != kernel:
            raise ValueError(f"kernel {kernel} is not one of {self.kernels}")
        weight = weight.contiguous(memory_format=torch.channels_last)
        return LayerWeights(weight, self.scale[:channels_out], self.shift[:channels_out])
