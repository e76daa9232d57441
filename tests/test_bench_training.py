"""The training benchmark compares like with like."""

import numpy as np
import pytest
import torch

from hwmodels.graph import Op
from nas.bench.training import plain_conv1d
from supernet.convolution import convolve


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (5, 2, 1), (7, 1, 4)])
def test_plain_conv1d_computes_the_same(kind: str, kernel: int, stride: int, dilation: int) -> None:
    out = 8 if kind == "depthwise" else 12
    op = Op("op", kind, 50, 8, -(-50 // stride), out, kernel, stride, dilation)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((3, 8, 1, 50), np.float32))
    weight = torch.from_numpy(rng.standard_normal((out, 8 if kind == "conv" else 1, 1, kernel), np.float32))
    torch.testing.assert_close(plain_conv1d(x, weight, op), convolve(x, weight, op), rtol=1e-4, atol=1e-4)
