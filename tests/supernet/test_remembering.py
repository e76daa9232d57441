"""Networks that remember: the same logits however windows are batched, shared or extracted, quantized or not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import yaml

from hwmodels.basics.shipped import named_or_shipped
from hwmodels.network.interpreter import HeartRateSettings, InputSettings, run
from hwmodels.network.preparation import on_input_grid
from hwmodels.signals.spectrum import POSITIONS, position_bpm
from nas.compress.fake_quantization import FakeQuantNetwork
from supernet.network.calibrate import calibrate
from supernet.network.extract import extract
from supernet.network.shared_prefixes import SharedPrefixes
from supernet.network.supernet import SuperNet
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch
from supernet.space.search_space import SearchSpace
from supernet.tasks.task import HeartRateTask
from supernet.training.methods import Sandwich
from supernet.training.trainer import fit
from supernet.training.window_outputs import calibration_inputs, logits_of, ready_subnet
from supernet.windows.step_numbers import step_numbers
from supernet.windows.steps import Windows, blocks_of, past_of
from supernet.windows.training_set import TrainingSet, input_of

CONTENT = yaml.safe_load(named_or_shipped("context", "spaces").read_text())
SPACE = SearchSpace(**CONTENT, outputs=POSITIONS)
TASK = HeartRateTask(30.0, position_bpm(POSITIONS - 1), POSITIONS)
RNG = np.random.default_rng(5)
ARCHS = [SPACE.largest(), *SPACE.decode(SPACE.sample(4, RNG))]
PAST = torch.cat([torch.arange(33), torch.arange(14)])
"""Two recordings, or one with a gap."""


def spectra(arch: Arch, seed: int = 0, count: int = 47) -> torch.Tensor:
    """Windows (count, channels, positions) as `arch` reads them."""
    return torch.randn(count, arch.channels, POSITIONS, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def supernet() -> SuperNet:
    """Random weights."""
    return SuperNet(SPACE, np.random.default_rng(2)).eval()


@pytest.fixture(scope="module")
def recordings() -> TrainingSet:
    """Two recordings of 48 windows with a pulse that rises."""
    bpm = np.tile(np.linspace(70.0, 150.0, 48), 2)
    time = np.arange(8 * 16 + 2 * 24) / 16
    x = np.random.default_rng(1).normal(0, 0.3, (96, 4, time.size)).astype(np.float32)
    x[:, 0] += np.sin(2 * np.pi * bpm[:, None] / 60 * time).astype(np.float32)
    steps = step_numbers(np.repeat([0, 1], 48), np.tile(2.0 * np.arange(48), 2))
    return TrainingSet({16: x}, np.ones(96, bool), bpm, 8.0, 1.5, np.repeat(["a", "b"], 48), steps=steps, block=16)


def test_steps_follow_where_recordings_do() -> None:
    recording = np.array([0, 0, 0, 0, 1, 1])
    start_s = np.array([0.0, 2.0, 6.0, 8.0, 10.0, 12.05])
    numbers = step_numbers(recording, start_s)
    past = past_of(numbers)
    assert past is not None
    assert past.tolist() == [0, 1, 0, 1, 0, 1]
    assert numbers[2] - numbers[1] == 2
    late = past_of(step_numbers(recording, start_s + np.array([0, 0, 0, 0.7, 0, 0])))
    assert late is not None
    assert late.tolist() == [0, 1, 0, 0, 0, 1]


def test_blocks_hold_every_row_once() -> None:
    for count, block, phase in ((47, 16, 5), (48, 16, 0), (3, 16, 9)):
        assert np.concatenate(blocks_of(count, block, phase)).tolist() == list(range(count))


@pytest.mark.parametrize("arch", ARCHS, ids=str)
def test_one_network_whoever_computes_it(supernet: SuperNet, arch: Arch) -> None:
    x, windows = spectra(arch), partial(Windows, past=PAST)
    subnet = extract(supernet, arch)
    calibrate(subnet, [windows(x)])
    with torch.no_grad():
        whole = subnet(x, PAST)
        assert torch.allclose(supernet(x, arch, subnet.statistics(), PAST), whole, atol=1e-5)
        assert torch.allclose(logits_of(subnet, windows(x), batch=7), whole, atol=1e-4)
        alone = torch.cat([subnet(x[:33], PAST[:33]), subnet(x[33:], PAST[33:])])
        assert torch.allclose(alone, whole, atol=1e-4)
        subnet.fold_norms()
        assert torch.allclose(subnet(x, PAST), whole, atol=1e-3)
        cold = subnet(x)
    remembers = arch.remembered_steps > 0
    assert remembers == (not torch.allclose(cold, whole, atol=1e-3))
    assert torch.allclose(cold[:1], whole[:1], atol=1e-3)


def test_what_comes_later_changes_nothing(supernet: SuperNet) -> None:
    arch = SPACE.largest()
    x, subnet = spectra(arch), extract(supernet, SPACE.largest())
    calibrate(subnet, [Windows(x, PAST)])
    changed = x.clone()
    changed[20:] = 0.0
    with torch.no_grad():
        before, after = subnet(x, PAST), subnet(changed, PAST)
    assert torch.allclose(before[:20], after[:20], atol=1e-5)
    assert not torch.allclose(before[20:], after[20:], atol=1e-3)


@pytest.mark.parametrize("arch", ARCHS[:3], ids=str)
def test_quantized_in_training_is_the_integer_network(supernet: SuperNet, arch: Arch) -> None:
    x, subnet = spectra(arch), extract(supernet, arch)
    calibrate(subnet, [Windows(x, PAST)])
    network = FakeQuantNetwork(subnet)
    network.calibrate([Windows(x, PAST)])
    settings = InputSettings(16, 8, arch.sensors, (0.4, 5.0), 0.5, reads="spectrum", positions=POSITIONS)
    model = network.eval().export(HeartRateSettings(TASK.first_bpm, TASK.last_bpm), settings)
    q = on_input_grid(model.quantization["input"], x.numpy()).astype(np.int8).transpose(0, 2, 1)
    tensors = run(model, np.ascontiguousarray(q), past=PAST.numpy())
    for name, mine in network.integer_tensors(x, PAST).items():
        assert np.array_equal(mine[:, :, 0].transpose(1, 2).numpy(), tensors[name]), name
    with torch.no_grad():
        assert torch.equal(logits_of(network, Windows(x, PAST), 256), logits_of(network, Windows(x, PAST), 5))


def test_shared_prefixes_give_what_each_subnet_gives(supernet: SuperNet, recordings: TrainingSet) -> None:
    inputs = recordings.normalized()
    shared = SharedPrefixes(supernet, calibration_inputs(recordings, 64), inputs, batch=96)
    for arch in ARCHS:
        subnet = ready_subnet(supernet, arch, recordings, 64)
        with torch.no_grad():
            alone = logits_of(subnet, Windows(input_of(inputs, arch), inputs.past))
        assert torch.allclose(shared.logits(arch), alone, atol=1e-3)


def test_a_sandwich_learns_in_blocks(recordings: TrainingSet) -> None:
    def trained() -> SuperNet:
        network = SuperNet(SPACE, np.random.default_rng(0))
        fit(Sandwich(network, TASK), recordings, TASK, TrainSettings(epochs=1, batch=32, random_subnets=1))
        return network

    first, second = trained().state_dict(), trained().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    moved = SuperNet(SPACE, np.random.default_rng(0)).state_dict()
    contexts = [name for name in first if "/context/" in name and name.endswith("weight")]
    assert contexts
    assert any(not torch.equal(first[name], moved[name]) for name in contexts)


def test_what_a_space_cannot_remember_is_refused() -> None:
    narrow = yaml.safe_load(yaml.safe_dump(CONTENT))
    narrow["stem_widths"] = [4]
    with pytest.raises(ValueError, match=r"stages\[1\].blocks\[1\].context: 8 channels"):
        SearchSpace(**narrow, outputs=POSITIONS)


def test_ids_of_blocks_without_memory_are_what_they_were() -> None:
    arch = SPACE.largest()
    block = replace(arch.stages[0].blocks[0], remembers=0, taps=0, steps=0)
    assert str(block) == "i7d1e2"
    assert str(arch.stages[0].blocks[0]) == "i7d1e2m8k3s1"
