"""What every kind of block must hold; for those that come with the program, and for anybody's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from supernet.network.calibrate import calibrate
from supernet.network.channel_sorting import channel_order, reorder
from supernet.network.extract import extract
from supernet.network.supernet import SuperNet
from supernet.space.arch import parse_arch
from supernet.space.block_kind import BLOCK_KINDS
from supernet.space.search_space import SearchSpace

_DRAWS, _WINDOWS = 12, 4
_DILATIONS = (1, 2)


def check_block(kind: str, **choices: Sequence[int]) -> None:
    """Build spaces of one kind of block, between blocks of another, and compare what must agree.

    choices: what a space's file lists of it, by default kernels 3 and 5. Raises AssertionError.
    """
    letters = [other.letter for other in BLOCK_KINDS.values()]
    assert letters.count(BLOCK_KINDS[kind].letter) == 1, "its letter must be its own"
    listed = {"kernels": (3, 5), "dilations": _DILATIONS, **choices}
    for space in (_space(kind, listed, stride=2), _space(kind, listed, stride=1)):
        rng = np.random.default_rng(0)
        archs = [space.smallest(), space.largest(), *space.decode(space.sample(_DRAWS, rng))]
        assert [parse_arch(str(arch)) for arch in archs] == archs, "its options must differ in their text"
        supernet = SuperNet(space, rng)
        x = torch.from_numpy(rng.standard_normal((_WINDOWS, 4, space.input_length(16))).astype(np.float32))
        for arch in archs:
            _check_member(supernet, arch, x)
        largest = space.largest()
        with torch.no_grad():
            before = supernet(x, largest)
            reorder(supernet, channel_order(supernet))
            assert torch.allclose(before, supernet(x, largest), atol=1e-4), (
                "sorted channels must compute the same: every inner tensor's channels are one operation's outputs"
            )
        for small, large in pairwise(_by_kernel(space, kind)):
            assert space.lower(small).macs < space.lower(large).macs, "options must be listed smallest first"


def _check_member(supernet: SuperNet, arch: Any, x: torch.Tensor) -> None:
    subnet = extract(supernet, arch)
    calibrate(subnet, [x])
    with torch.no_grad():
        shared = supernet(x, arch, subnet.statistics())
        assert torch.allclose(subnet(x), shared, atol=1e-5), "an extracted subnet must compute what the supernet does"
    supernet.zero_grad()
    supernet(x, arch).square().sum().backward()
    used = {name for name, weight in supernet.named_parameters() if weight.grad is not None}
    assert used, "a member must be trained by its loss"


def _space(kind: str, listed: Mapping[str, Sequence[int]], stride: int) -> SearchSpace:
    """Two stages of which each position may hold the kind, or a dilated convolution."""
    position = {kind: listed}
    if kind != "dilated":
        position["dilated"] = {"kernels": (3,), "dilations": _DILATIONS}
    stages = [
        {"stride": stride, "widths": (8, 16), "min_depth": 1, "blocks": [position, position]},
        {"stride": 1, "widths": (8, 16), "min_depth": 1, "blocks": [position]},
    ]
    stems = [{"rate_hz": 16, "kernel": 5, "stride": 1}]
    head = {"name": "conformance", "sensors": ("ppg_acc",), "stems": stems, "stem_widths": (8, 16)}
    return SearchSpace.model_validate({**head, "stages": stages})


def _by_kernel(space: SearchSpace, kind: str) -> list[Any]:
    """The largest member with each of the kind's options of one dilation and expansion in its last place, in order."""
    column = space.block_columns[-1]
    own = [(pick, option) for pick, option in enumerate(column.options, 1) if option.kind == kind]
    last = own[-1][1]
    picks = [pick for pick, o in own if (o.dilation, o.expansion) == (last.dilation, last.expansion)]
    rows = np.repeat(space.encode([space.largest()]), len(picks), axis=0)
    rows[:, column.column] = picks
    return space.decode(rows)
