"""Fake quantization computes what the exported integer network computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwmodels.codegen.network_source import fallbacks
from hwmodels.network.graph import Op
from hwmodels.network.interpreter import HeartRateSettings, InputSettings, Quantization, quantize, quantize_input, run
from hwmodels.network.rounding import multiply_by_quantized_multiplier
from nas.compress.fake_quantization import FakeQuantNetwork, _on_weight_grid, on_grid
from nas.compress.integer_arithmetic import requantized
from supernet.network.calibrate import calibrate
from supernet.network.subnet import Subnet
from supernet.space.arch import Arch
from supernet.space.search_space import load_space

SPACE = load_space("default")
ARCHS = SPACE.decode(SPACE.sample(5, np.random.default_rng(3)))
HEAD = HeartRateSettings(30.0, 220.0, 10.0)


def quantized(arch: Arch, seed: int) -> tuple[FakeQuantNetwork, torch.Tensor]:
    rng = np.random.default_rng(seed)
    subnet = Subnet(SPACE.lower(arch), rng)
    samples = arch.rate_hz * SPACE.window_s
    x = torch.from_numpy(rng.standard_normal((48, arch.channels, samples), dtype=np.float32))
    calibrate(subnet, [x[:32], x[16:]])
    network = FakeQuantNetwork(subnet)
    network.calibrate([x])
    return network.eval(), x


def export(network: FakeQuantNetwork, arch: Arch):
    settings = InputSettings(arch.rate_hz, SPACE.window_s, arch.sensors, (0.4, 8.0), 0.3)
    return network.export(HEAD, settings)


@pytest.mark.parametrize("arch", ARCHS, ids=str)
def test_in_eval_mode_every_element_is_the_integer_networks(arch: Arch) -> None:
    network, x = quantized(arch, 0)
    model = export(network, arch)
    extremes = torch.tensor([-1e9, 1e9, 0.0])[:, None, None].expand(3, *x.shape[1:])
    alternating = torch.where(torch.arange(x.shape[2]) % 2 == 0, 50.0, -50.0).expand(1, *x.shape[1:])
    x = torch.cat([x, 20 * x[:8], extremes, alternating])
    integers = run(model, quantize_input(model, x.numpy().transpose(0, 2, 1)))
    found = network.integer_tensors(x)
    assert set(found) == {op.name for op in model.graph if op.output_bytes}
    for name, values in found.items():
        assert np.array_equal(values[:, :, 0].permute(0, 2, 1).numpy(), integers[name]), name
    with torch.no_grad():
        logits = network(x) / model.quantization["logits"].scale + model.quantization["logits"].zero_point
    assert np.array_equal(logits.numpy().round(), integers["logits"][:, 0])


def test_requantization_equals_tflites_two_roundings() -> None:
    rng = np.random.default_rng(0)
    total = np.concatenate([rng.integers(-(1 << 25), 1 << 25, 4000), np.arange(-600, 600)])
    for shift in (1, 0, -1, -2, -7, -20):
        multiplier = rng.integers(1 << 30, 1 << 31, total.size)
        multiplier[-1200:] = 1 << 30
        expected = multiply_by_quantized_multiplier(total, multiplier, shift)
        given = (torch.from_numpy(total), torch.from_numpy(multiplier), torch.tensor(shift))
        assert np.array_equal(requantized(*given).numpy(), expected)


@pytest.mark.parametrize("arch", ARCHS, ids=str)
def test_every_operation_rounds_as_the_integer_network_does(arch: Arch) -> None:
    network, x = quantized(arch, 0)
    model = export(network, arch)
    q = quantize_input(model, x.numpy().transpose(0, 2, 1))
    integers = run(model, q)
    grids = network.grids()
    shares = {}

    def compare(op: Op, y: torch.Tensor) -> torch.Tensor:
        own = model.quantization[op.name]
        mine = (on_grid(y, grids[op.name]) / own.scale + own.zero_point).round()
        theirs = torch.from_numpy(integers[op.name].astype(np.float32))
        theirs = theirs.reshape(len(x), op.length_out, op.channels_out).permute(0, 2, 1)[:, :, None]
        difference = (mine - theirs).abs()
        assert difference.max() <= 1, op.name
        shares[op.name] = float((difference == 0).float().mean())
        return (theirs - own.zero_point) * own.scale  # the next operation starts from equal inputs

    with torch.no_grad():
        network.subnet(x, None, _on_weight_grid, compare)
    # Float and integer may part where a value falls on the edge between two steps.
    assert min(shares.values()) > 0.97, shares


def test_quantization_keeps_the_float_network_in_sight() -> None:
    network, x = quantized(ARCHS[0], 1)
    with torch.no_grad():
        rounded, exact = network(x), network.subnet(x)
    noise = (rounded - exact).std() / exact.std()
    assert 0 < noise < 0.2


def test_gradients_reach_every_weight_and_every_range() -> None:
    network, x = quantized(ARCHS[0], 2)
    network.train()(x).square().sum().backward()
    missing = [
        name for name, parameter in network.named_parameters() if parameter.grad is None and not name.endswith(".low")
    ]
    assert not missing


def test_zero_is_always_on_the_grid() -> None:
    network, _ = quantized(ARCHS[1], 4)
    for found in network.quantizations().values():
        assert -128 <= found.zero_point <= 127


@pytest.mark.parametrize("arch", ARCHS, ids=str)
def test_narrow_ranges_are_kept_inside_the_fast_kernels(arch: Arch) -> None:
    network, _ = quantized(arch, 6)
    rng = np.random.default_rng(0)
    for learned in network.ranges.values():
        learned.widen(float(rng.uniform(0.05, 1.0)))
    assert fallbacks(export(network, arch)) == {}


def test_without_the_bound_narrow_ranges_would_leave_them() -> None:
    network, _ = quantized(ARCHS[0], 6)
    narrow = {name: replace(grid, scale=grid.scale * 0.01) for name, grid in network.quantizations().items()}
    settings = InputSettings(ARCHS[0].rate_hz, SPACE.window_s, ARCHS[0].sensors, (0.4, 8.0), 0.3)
    model = quantize(
        network.graph, network.float_parameters(), {**narrow, "input": Quantization(1.0, 0)}, HEAD, settings
    )
    assert fallbacks(model)
