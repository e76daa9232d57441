"""A two-sided teacher reads past and future of a window, none across gaps, and the same in batches as at once."""

import numpy as np
import pytest
import torch

from supernet.settings.augmentation import Augmentation
from supernet.tasks.task import HeartRateTask
from supernet.teachers.networks.two_sided import TwoSidedNetwork
from supernet.training.teaching import Teaching
from supernet.training.window_outputs import logits_of
from supernet.windows.steps import Windows, past_of
from supernet.windows.training_set import Draw
from tests.supernet.supernet_sets import sines

TASK = HeartRateTask(bins=24)
STEPS = 60
GAP = 35


@pytest.fixture
def network() -> TwoSidedNetwork:
    return TwoSidedNetwork(24, channels=4, rate_hz=32, width=8, seed=3).eval()


def recording() -> Windows:
    numbers = np.arange(STEPS) + np.where(np.arange(STEPS) < GAP, 0, 5)
    x = torch.randn(STEPS, 4, 256, generator=torch.Generator().manual_seed(0))
    return Windows(x, past_of(numbers))


@pytest.mark.parametrize("changed", [2, 20, GAP - 1, GAP, 50])
def test_a_window_is_heard_on_both_sides_but_not_across_a_gap(network: TwoSidedNetwork, changed: int) -> None:
    before = recording()
    x = before.x.clone()
    x[changed] += 1.0
    moved = (logits_of(network, before) - logits_of(network, Windows(x, before.past))).abs().amax(1) > 0
    rows = np.arange(STEPS)
    near = np.abs(rows - changed) <= network.remembered_steps
    assert moved.numpy().tolist() == (near & ((rows < GAP) == (changed < GAP))).tolist()


@pytest.mark.parametrize("batch", [7, 16, 60])
def test_batches_do_not_show(network: TwoSidedNetwork, batch: int) -> None:
    whole = network(recording().x, recording().past).detach()
    assert torch.allclose(logits_of(network, recording(), batch), whole, atol=1e-5)


def test_beliefs_are_kept_and_depend_on_what_follows_what(network: TwoSidedNetwork, tmp_path: object) -> None:
    from dataclasses import replace
    from pathlib import Path

    alone = sines(64)
    ordered = replace(alone, steps=np.arange(64), block=32)
    apart = replace(alone, steps=2 * np.arange(64), block=32)
    folder = Path(str(tmp_path))

    def said(training: object) -> torch.Tensor:
        teaching = Teaching(network, 32, folder=folder)
        return teaching.of(Draw(training, Augmentation(), TASK, 0, 0)).logits  # type: ignore[arg-type]

    assert torch.equal(said(ordered), said(ordered))
    assert not torch.allclose(said(ordered), said(apart))
    assert len(list(folder.iterdir())) == 2
