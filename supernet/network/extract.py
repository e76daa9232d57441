"""SuperNet + Arch -> Subnet: a network of its own with a copy of the shared weights."""

from __future__ import annotations

import torch

from supernet.network.subnet import Subnet
from supernet.network.supernet import SuperNet
from supernet.space.arch import Arch
from supernet.space.lowering import lowered


def extract(supernet: SuperNet, arch: Arch) -> Subnet:
    """The subnet of `arch`, in eval mode; its output equals `supernet(x, arch)` on the same statistics.

    Its running statistics are unset (mean 0, variance 1): `calibrate` it before use.
    Raises SpaceError when `arch` is not in the space.
    """
    supernet.space.encode([arch])
    graph, banks = lowered(supernet.space, arch)
    subnet = Subnet(graph).to(supernet.logits_weight.device)
    with torch.no_grad():
        for name, layer in subnet.layers.items():
            if layer.norm is None:
                assert layer.bias is not None
                layer.weight.copy_(supernet.logits_weight[:, : layer.op.channels_in])
                layer.bias.copy_(supernet.logits_bias)
                continue
            weights = supernet.weights(graph[name], banks)
            layer.weight.copy_(weights.weight)
            layer.norm.weight.copy_(weights.scale)
            layer.norm.bias.copy_(weights.shift)
    return subnet.eval()
