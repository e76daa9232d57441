"""Statistics of norms follow from the windows alone: no dropout, no generator, the same in every process."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from supernet.network.calibrate import calibrate
from supernet.teachers.networks.cnn_lstm import ConvolutionalRecurrent
from supernet.teachers.networks.resnet import ResNet
from supernet.teachers.networks.spectral import SpectralNetwork

TEACHERS = {
    "spectral": lambda: SpectralNetwork(24, width=8, blocks=1, dropout=0.5),
    "resnet": lambda: ResNet(24, width=4, blocks=(1,), dropout=0.5),
    "cnn_lstm": lambda: ConvolutionalRecurrent(24, width=8, hidden=4, dropout=0.5),
}


@pytest.mark.parametrize("kind", TEACHERS)
def test_statistics_do_not_hang_on_the_state_of_the_random_generator(kind: str) -> None:
    windows = [torch.randn(16, 4, 256, generator=torch.Generator().manual_seed(part)) for part in range(3)]
    states = []
    for seed in (0, 1):
        network: nn.Module = TEACHERS[kind]()
        torch.manual_seed(seed)
        calibrate(network, windows)
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        assert not network.training
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_every_norm_becomes_the_plain_average_of_the_batches() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    batches = [torch.randn(40, 3, 7, generator=torch.Generator().manual_seed(part)) + part for part in range(4)]
    calibrate(network, batches)
    mean = network[0].running_mean
    assert mean is not None
    assert torch.allclose(mean, torch.stack([batch.mean((0, 2)) for batch in batches]).mean(0), atol=1e-6)
