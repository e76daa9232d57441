"""SuperNet: the weights of all architectures of a space; the architecture is an argument, never state.

It walks the LayerGraph that the architecture deploys and takes each operation's weights from a
bank. Banks are shared over widths, depths, expansions and kernel sizes, but not over dilations,
sampling rates or sensor sets: a kernel that must mean the same at several dilations ruins a network
whose task is periodicity (docs/explanation/supernet.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import kind_of
from supernet.network.banks import Axes, bank_shapes, stream_dims
from supernet.network.context import filter_steps, is_rectified, with_passing
from supernet.network.convolution import convolve, convolve_and_normalize
from supernet.network.elastic import ElasticConvolution, LayerWeights, random_weight
from supernet.network.subnet import Statistics, execute, normalize_and_activate
from supernet.space.arch import Arch
from supernet.space.lowering import lowered
from supernet.space.search_space import SearchSpace


class SuperNet(nn.Module):
    """All weights of `space`. `SuperNet(space)(x, arch)` gives logits (batch, outputs).

    x: float32 (batch, channels, samples), normalized, at the rate and with the sensors of `arch`:
    PPG first, then the accelerometer axes.
    """

    def __init__(self, space: SearchSpace, rng: np.random.Generator | None = None) -> None:
        super().__init__()
        rng = rng or np.random.default_rng(0)
        self.space = space
        self.banks = nn.ModuleDict()
        self.axes: dict[str, Axes] = {}
        for key, part in bank_shapes(space).items():
            padding = "causal" if part.op.remembers else space.padding
            channels_in = 1 if kind_of(part.op).is_channelwise else part.op.channels_in
            self.banks[key] = ElasticConvolution(part.op.filters, channels_in, tuple(part.kernels), padding, rng)
            self.axes[key] = part.axes
        # Over spectra the logits are a convolution like any other, and these stay empty.
        outputs = 0 if space.reads == "spectrum" else space.outputs
        if not outputs:
            nn.init.constant_(self.bank("logits").scale, _LOGITS_DEVIATION)
        before = max(space.stages[-1].widths)
        self.logits_weight = nn.Parameter(random_weight((outputs, before), rng) / 2**0.5)
        self.logits_bias = nn.Parameter(torch.zeros(outputs))
        self.logits_axis = stream_dims(space)[-1] if outputs else None

    def forward(
        self, x: Tensor, arch: Arch, statistics: Statistics | None = None, past: Tensor | None = None
    ) -> Tensor:
        """Logits of `arch`. Norms use the batch's own statistics, or `statistics` when given.

        past: (batch,) steps before each window in the batch, for members that remember (supernet/network/context.py).
        Raises ValueError when x does not have the shape that `arch` reads.
        """
        graph, banks = lowered(self.space, arch)

        def layer(op: Op, tensor: Tensor) -> Tensor:
            if op.kind == "fully_connected":
                weight = self.logits_weight[:, : op.channels_in]
                return functional.linear(tensor.flatten(1), weight, self.logits_bias)[:, :, None, None]
            weights = self.weights(op, banks)
            known = None if statistics is None else statistics[op.name]
            if op.remembers:
                y = filter_steps(tensor, weights.weight, op, past)
                y = normalize_and_activate(op, y, weights.scale, weights.shift, known)
                return with_passing(functional.relu_(y) if is_rectified(graph, op) else y, tensor)
            if statistics is None and torch.is_grad_enabled():
                return convolve_and_normalize(tensor, *weights, op)
            y = convolve(tensor, weights.weight, op)
            return normalize_and_activate(op, y, weights.scale, weights.shift, known)

        return execute(graph, x, layer)

    def weights(self, op: Op, banks: Mapping[str, str]) -> LayerWeights:
        """The weights that a convolution of a member runs with (views of the shared ones); banks: as lowered."""
        channels_in = 1 if kind_of(op).is_channelwise else op.channels_in
        return self.bank(banks[op.name]).select(op.filters, channels_in, op.kernel)

    def bank(self, key: str) -> ElasticConvolution:
        """The bank of shared weights named `key`."""
        bank = self.banks[key]
        assert isinstance(bank, ElasticConvolution)
        return bank


_LOGITS_DEVIATION = 3.0
"""What normalized logits over spectra start with: a belief that has a peak."""
