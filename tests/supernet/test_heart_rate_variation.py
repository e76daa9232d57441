"""Training windows given other heart rates, and stretches of them without a pulse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwmodels.basics.errors import InputError
from hwmodels.signals.spectrum import POSITIONS, position_bpm
from supernet.settings.augmentation import Augmentation
from supernet.settings.training import TrainSettings
from supernet.tasks.task import HeartRateTask
from supernet.training.methods import SingleNetwork
from supernet.training.trainer import fit
from supernet.windows.training_set import Draw, TrainingSet, moved

TASK = HeartRateTask(30.0, position_bpm(POSITIONS - 1), POSITIONS)
COUNT, BLOCK = 96, 16
STILL = Augmentation(stretch_share=0.0, noise=0.0)


@pytest.fixture(scope="module")
def pulses() -> TrainingSet:
    """Sines of 60 to 155 BPM at 16 Hz, a window every 2 s, two recordings."""
    bpm = np.linspace(60.0, 155.0, COUNT)
    time = np.arange(8 * 16 + 2 * 24) / 16
    x = np.zeros((COUNT, 4, time.size), np.float32)
    x[:, 0] = np.sin(2 * np.pi * bpm[:, None] / 60 * time)
    steps = np.arange(COUNT) + 1000 * (np.arange(COUNT) >= COUNT // 2)
    return TrainingSet({16: x}, np.zeros(COUNT, bool), bpm, 8.0, 1.5, steps=steps, block=BLOCK)


def test_spectra_peak_where_their_new_label_is(pulses: TrainingSet) -> None:
    draw = Draw(pulses, STILL.with_changes(rate_share=1.0), TASK, 3, 0)
    spectra = draw.inputs(np.arange(COUNT)).spectra()
    # The whole window's power at f, of the pulse.
    peaks = np.array([position_bpm(int(at)) for at in spectra[:, 4].argmax(1)])
    assert np.abs(peaks - draw.targets.numpy()).max() < 4.0
    assert draw.targets.max() / draw.targets.min() > 2.0
    assert draw.scale is not None
    for block in draw.blocks or []:
        assert len(draw.scale[block].unique()) == 1


def test_moving_keeps_what_is_not_moved() -> None:
    x = torch.randn(3, 2, 20)
    assert torch.allclose(moved(x, torch.ones(3), 16), x)


def test_noise_is_believed_alike_everywhere(pulses: TrainingSet) -> None:
    draw = Draw(pulses, STILL.with_changes(pulseless_share=0.5), TASK, 1, 0)
    noise = torch.isnan(draw.targets)
    assert 0 < noise.sum() < COUNT
    beliefs = TASK.beliefs(draw.targets)
    assert torch.allclose(beliefs[noise], torch.full((), 1 / TASK.bins))
    logits = draw.corrected(torch.randn(COUNT, TASK.bins), TASK.band_per_min)
    assert (logits[noise] == 0).all() and (logits[~noise] != 0).any()
    whole, some = draw.inputs(np.arange(COUNT))[16], draw.inputs(np.arange(20, 40))[16]
    assert torch.equal(whole[20:40], some)
    clean = Draw(pulses, STILL, TASK, 1, 0).inputs(np.arange(COUNT))[16]
    changed = (whole != clean).flatten(1).any(1)
    assert torch.equal(changed, noise)


def test_only_spectra_are_given_other_rates(pulses: TrainingSet) -> None:
    network = SingleNetwork(torch.nn.Flatten(), TASK, 16, 1)
    with pytest.raises(InputError, match="rate_share"):
        fit(network, pulses, TASK, TrainSettings(augmentation=Augmentation(rate_share=0.5)))
