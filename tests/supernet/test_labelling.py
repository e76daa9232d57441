"""A teacher's labels on windows without any: weighted by its confidence, within a share, and learnt from so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwmodels.basics.errors import InputError
from supernet.distillation.observation import Observation
from supernet.tasks.task import HeartRateTask, RhythmTask
from supernet.teachers.networks.two_sided import TwoSidedNetwork
from supernet.training.labelling import joined, labelled_by
from supernet.training.teaching import Teaching
from tests.supernet.supernet_sets import sines

TASK = HeartRateTask(bins=24, sigma_bpm=8.0)
TEACHER = Teaching(TwoSidedNetwork(24, width=8, seed=3), 32)
ORDERED = replace(sines(64), steps=np.arange(64), block=32)


def test_weight_falls_with_the_expected_error_to_nothing() -> None:
    taught = labelled_by(TEACHER, ORDERED, TASK, floor_bpm=1000.0)
    assert taught.weights is not None and (taught.weights > 0).all() and (taught.weights < 1).all()
    expected = (1 - taught.weights) * 1000.0
    floor = float(np.median(expected))
    halved = labelled_by(TEACHER, ORDERED, TASK, floor_bpm=floor)
    assert halved.weights is not None and np.array_equal(halved.weights == 0, expected >= floor)


def test_labels_of_the_bare_windows_do_not_matter() -> None:
    other = replace(ORDERED, targets=np.zeros(64, np.float32))
    first, second = (labelled_by(TEACHER, one, TASK, 1000.0) for one in (ORDERED, other))
    assert np.array_equal(first.targets, second.targets)


def test_a_teacher_that_is_sure_of_nothing_and_one_of_rhythms_are_refused() -> None:
    with pytest.raises(InputError, match=r"raise teacher\.floor_bpm"):
        labelled_by(TEACHER, ORDERED, TASK, floor_bpm=1e-3)
    with pytest.raises(InputError, match="not rhythms"):
        labelled_by(TEACHER, ORDERED, RhythmTask(("a", "b")), floor_bpm=8.0)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_taught_windows_have_at_most_their_share_and_follow_no_labelled_one(share: float) -> None:
    both = joined(ORDERED, labelled_by(TEACHER, ORDERED, TASK, 1000.0), share)
    assert both.weights is not None and len(both) == 128 and (both.weights[:64] == 1).all()
    assert both.weights[64:].sum() / both.weights.sum() <= share + 1e-4
    past = both.past()
    assert past is not None and past[63] == 63 and past[64] == 0


def test_a_weight_multiplies_the_gradient_of_its_window_alone() -> None:
    logits = torch.randn(4, 24, requires_grad=True)
    weights = torch.tensor([1.0, 0.5, 0.0, 1.0])
    seen = Observation(logits).weighted(weights)
    assert torch.allclose(seen.logits, logits)
    plain, weighted = (torch.autograd.grad(x.square().sum(), logits)[0] for x in (logits, seen.logits))
    assert torch.allclose(weighted, weights[:, None] * plain)
