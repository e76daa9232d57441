"""The training benchmark compares like with like."""

import numpy as np
import pytest
import torch

from benchmarks.speed.training import plain_forward
from supernet.network.supernet import SuperNet
from supernet.space.search_space import SearchSpace, load_space
from tests.supernet.supernet_sets import small_space


@pytest.mark.parametrize("space", [small_space(), load_space("spectral")], ids=["samples", "spectra"])
def test_the_plain_network_computes_the_same(space: SearchSpace) -> None:
    supernet = SuperNet(space, np.random.default_rng(0)).double().train()
    rng = np.random.default_rng(1)
    for arch in [space.largest(), space.smallest(), *space.decode(space.sample(6, rng))]:
        samples = space.lower(arch).input.length_in
        x = torch.from_numpy(rng.standard_normal((4, arch.channels, samples)))
        found = []
        for forward in (supernet, lambda *given: plain_forward(supernet, *given)):
            supernet.zero_grad()
            logits = forward(x, arch)
            logits.square().sum().backward()
            held = [p.grad.flatten() for p in supernet.parameters() if p.grad is not None]
            found.append((logits.detach(), torch.cat(held)))
        torch.testing.assert_close(*found, rtol=1e-6, atol=1e-9)
