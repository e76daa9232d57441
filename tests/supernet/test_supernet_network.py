"""SuperNet, Subnet and what relates them: extraction, sorting, recalibration, the depthwise gradient."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.network.graph import LayerGraph, Op
from supernet.network.calibrate import calibrate
from supernet.network.channel_sorting import channel_order, reorder
from supernet.network.convolution import convolve, convolve_and_normalize
from supernet.network.elastic import ElasticConvolution
from supernet.network.extract import extract
from supernet.network.subnet import Subnet
from supernet.network.supernet import SuperNet
from supernet.space.search_space import load_space
from tests.supernet.supernet_sets import small_space

SPACE = load_space("default")


def perturbed(supernet: SuperNet, seed: int = 0) -> SuperNet:
    """The supernet with every parameter moved, so that norms and transforms are not trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return supernet


SUPERNET = perturbed(SuperNet(SPACE))


def windows(arch, count: int = 6, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, arch.channels, arch.rate_hz * 8, generator=generator)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_an_extracted_subnet_equals_the_supernet(seed: int) -> None:
    arch = SPACE.decode(SPACE.sample(1, np.random.default_rng(seed)))[0]
    subnet = extract(SUPERNET, arch)
    calibrate(subnet, [windows(arch, 12, 1)])
    x = windows(arch)
    with torch.no_grad():
        difference = subnet(x) - SUPERNET(x, arch, subnet.statistics())
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_the_extremes_extract_equally(end: str) -> None:
    arch = getattr(SPACE, end)()
    subnet, x = extract(SUPERNET, arch), windows(arch)
    subnet.train()
    with torch.no_grad():
        assert (subnet(x) - SUPERNET(x, arch)).abs().max() < 1e-5


def test_the_architecture_leaves_no_trace_in_the_supernet() -> None:
    arch, other = SPACE.smallest(), SPACE.largest()
    before = {name: value.clone() for name, value in SUPERNET.state_dict().items()}
    with torch.no_grad():
        first = SUPERNET(windows(arch), arch)
        SUPERNET(windows(other), other)
        again = SUPERNET(windows(arch), arch)
    assert torch.equal(first, again)
    assert all(torch.equal(value, before[name]) for name, value in SUPERNET.state_dict().items())


def test_an_extracted_subnet_shares_no_memory_with_the_supernet() -> None:
    arch = SPACE.smallest()
    subnet = extract(SUPERNET, arch)
    with torch.no_grad():
        before = SUPERNET(windows(arch), arch)
        for parameter in subnet.parameters():
            parameter.zero_()
        assert torch.equal(before, SUPERNET(windows(arch), arch))


def test_sorting_channels_preserves_the_largest_network_and_orders_by_importance() -> None:
    supernet = copy.deepcopy(SUPERNET)
    arch = SPACE.largest()
    x = windows(arch)
    with torch.no_grad():
        before = supernet(x, arch)
        order = channel_order(supernet)
        reorder(supernet, order)
        after = supernet(x, arch)
    assert any((index != torch.arange(len(index))).any() for index in order.values())
    assert (before - after).abs().max() < 1e-4
    for dim, index in channel_order(supernet).items():
        assert torch.equal(index, torch.arange(len(index))), dim


def test_sorting_carries_the_optimizer_along() -> None:
    """Sort, then step, equals step, then the same sort."""
    results = []
    for sorts_first in (True, False):
        supernet = perturbed(SuperNet(small_space()), 3)
        arch = supernet.space.largest()
        optimizer = torch.optim.AdamW(supernet.parameters(), lr=1e-2)
        for number in range(2):
            optimizer.zero_grad()
            supernet(windows(arch, 4, number), arch).square().mean().backward()
            optimizer.step()
            if number == 0:
                order = channel_order(supernet)
            if (number == 0) == sorts_first:
                reorder(supernet, order, optimizer)
        with torch.no_grad():
            results.append(supernet(windows(arch), arch))
    assert (results[0] - results[1]).abs().max() < 1e-3


@given(
    kind=st.sampled_from(["conv", "depthwise"]),
    length=st.integers(1, 20),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 4),
    padding=st.sampled_from(["causal", "centred"]),
    is_normed=st.booleans(),
    activation=st.sampled_from(["none", "relu"]),
)
@settings(max_examples=150, deadline=None)
def test_gradients_of_convolutions_are_those_of_torch(
    kind, length, kernel, stride, dilation, padding, is_normed, activation
) -> None:
    length_out = -(-length // stride)
    op = Op("op", kind, length, 4, length_out, 4, kernel, stride, dilation, padding, activation)
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(2, 4, 1, length, generator=generator, dtype=torch.float64)
    fan_in, groups = (1, 4) if kind == "depthwise" else (4, 1)
    weight = torch.randn(4, fan_in, 1, kernel, generator=generator, dtype=torch.float64)
    vectors = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    found = []
    for is_oracle in (False, True):
        inputs, taps = x.clone().requires_grad_(), weight.clone().requires_grad_()
        scale, shift = (vector.clone().requires_grad_() for vector in vectors)
        if is_oracle:
            reach = (kernel - 1) * dilation
            after = max(0, (length_out - 1) * stride + reach + 1 - length - op.padding_before)
            y = functional.conv1d(
                functional.pad(inputs[:, :, 0], (op.padding_before, after)),
                taps[:, :, 0],
                shift if not is_normed else None,
                stride=stride,
                dilation=dilation,
                groups=groups,
            )[:, :, None, :length_out]
            if is_normed:
                y = functional.batch_norm(y, None, None, scale, shift, training=True)
                y = functional.relu(y) if activation == "relu" else y
        elif is_normed:
            y = convolve_and_normalize(inputs, taps, scale, shift, op)
        else:
            y = convolve(inputs, taps, op, shift)
        (y * torch.arange(y.numel()).reshape(y.shape)).sum().backward()
        found.append((y.detach(), inputs.grad, taps.grad, shift.grad, *([scale.grad] if is_normed else [])))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_causal_kernel_keeps_its_latest_taps_and_a_centred_one_its_middle() -> None:
    rng = np.random.default_rng(0)
    for padding, kept in (("causal", slice(4, 7)), ("centred", slice(2, 5))):
        bank = ElasticConvolution(8, 1, (3, 5, 7), padding, rng)
        assert torch.equal(bank.select(4, 1, 3).weight, bank.weight[:4, :, :, kept])
        assert torch.equal(bank.select(8, 1, 7).weight, bank.weight)


def test_every_shared_weight_is_reached_by_some_member() -> None:
    supernet = SuperNet(small_space())
    space = supernet.space
    for arch in space.decode(space.sample(120, np.random.default_rng(0))):
        supernet(windows(arch, 2), arch).square().sum().backward()
    unused = [name for name, p in supernet.named_parameters() if p.grad is None]
    assert not unused


def test_folding_norms_changes_nothing_in_eval_mode() -> None:
    arch = SPACE.decode(SPACE.sample(1, np.random.default_rng(4)))[0]
    subnet = extract(SUPERNET, arch)
    calibrate(subnet, [windows(arch, 12, 1)])
    folded = copy.deepcopy(subnet)
    folded.fold_norms()
    assert folded.norms() == {}
    with torch.no_grad():
        torch.testing.assert_close(folded(windows(arch)), subnet(windows(arch)), atol=1e-4, rtol=1e-4)


def test_calibration_is_the_plain_average_over_batches() -> None:
    arch = SPACE.smallest()
    subnet = extract(SUPERNET, arch)
    batches = [windows(arch, 8, seed) for seed in range(3)]
    calibrate(subnet, batches)
    stem = subnet.graph["stem"]
    outputs = [
        convolve(x[:, :, None], subnet.layers["stem"].weight.detach(), stem).transpose(0, 1).flatten(1) for x in batches
    ]
    mean, variance = subnet.statistics()["stem"]
    torch.testing.assert_close(mean, torch.stack([y.mean(1) for y in outputs]).mean(0))
    torch.testing.assert_close(variance, torch.stack([y.var(1) for y in outputs]).mean(0))
    assert not subnet.training
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate(subnet, [])


def test_a_window_of_another_shape_is_refused_by_name() -> None:
    subnet = Subnet(SPACE.lower(SPACE.smallest()))
    with pytest.raises(ValueError, match="'input'"):
        subnet(torch.zeros(2, 4, 128))


def test_a_subnet_runs_graphs_that_no_space_holds() -> None:
    graph = LayerGraph(
        [
            (Op("input", "input", 9, 2, 9, 2), ()),
            (Op("a", "conv", 9, 2, 5, 4, kernel=3, stride=2, padding="centred"), ("input",)),
            (Op("b", "conv", 5, 4, 5, 4), ("a",)),
            (Op("sum", "add", 5, 4, 5, 4, activation="relu"), ("b", "a")),
            (Op("pool", "average_pool", 5, 4, 1, 4), ("sum",)),
            (Op("logits", "fully_connected", 1, 4, 1, 3), ("pool",)),
        ]
    )
    assert Subnet(graph)(torch.randn(2, 2, 9)).shape == (2, 3)
