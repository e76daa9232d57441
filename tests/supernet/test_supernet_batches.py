"""Batches and tasks: normalization, variations that keep label and signal together, estimates of a belief."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.basics.errors import InputError
from hwmodels.network.preparation import normalized_windows
from supernet.distillation.losses.soft_labels import soft_label_loss
from supernet.tasks.task import HeartRateTask, RhythmTask
from supernet.windows.training_set import (
    NO_AUGMENTATION,
    Augmentation,
    Draw,
    TrainingSet,
    corrupt,
    epoch_order,
    normalize_windows,
)
from tests.supernet.supernet_sets import sines

TASK = HeartRateTask()
STRETCHED = Augmentation(stretch_share=1.0, noise=0.0)


def frequency_bpm(x: torch.Tensor, rate_hz: int) -> np.ndarray:
    """The strongest frequency of each row in BPM, by a zero-padded spectrum."""
    spectrum = np.abs(np.fft.rfft(x.numpy() * np.hanning(x.shape[1]), 8192, axis=1))
    return np.asarray(spectrum.argmax(axis=1) * 60.0 * rate_hz / 8192)


@pytest.mark.parametrize("rate_hz", [16, 32, 50])
def test_normalizing_agrees_with_what_is_deployed(rate_hz: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (5, 4, 128)).astype(np.float32)
    x[:, 0] += 4 * x[:, 2]
    x[1, 1:], x[2, 0] = 0.0, 5.0
    found = normalize_windows(torch.from_numpy(x), rate_hz).numpy()
    expected = normalized_windows(x[:, 0], x[:, 1:].transpose(0, 2, 1), rate_hz).transpose(0, 2, 1)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("rate_hz", [16, 32])
def test_the_label_follows_a_stretched_window(rate_hz: int) -> None:
    training = sines(200)
    draw = Draw(training, STRETCHED, TASK, seed=0, number=0)
    assert draw.factor.min() < 0.8 and draw.factor.max() > 1.25
    x = draw.inputs(np.arange(200))[rate_hz]
    assert np.abs(frequency_bpm(x[:, 0], rate_hz) - draw.targets.numpy()).max() < 4.0
    assert (draw.targets <= TASK.last_bpm).all() and (draw.targets >= TASK.first_bpm).all()


def test_both_rates_of_a_draw_show_the_same_window() -> None:
    x = Draw(sines(20), STRETCHED, TASK, 0, 0).inputs(np.arange(20))
    fine, coarse = x[32][:, :1], x[16][:, :1]
    between = (fine[..., ::2] + fine[..., 1::2]) / 2
    assert (between - coarse).abs().max() < 0.15 * coarse.abs().max()


def test_without_augmentation_a_draw_is_the_normalized_window() -> None:
    training = sines(10)
    draw = Draw(training, NO_AUGMENTATION, TASK, 0, 0)
    for rate in (16, 32):
        difference = draw.inputs(np.arange(10))[rate] - training.windows(rate)
        assert difference.abs().max() < 1e-4
    assert (draw.targets.numpy() == training.targets).all()


def test_draws_depend_on_seed_and_number_alone_and_not_on_the_batch() -> None:
    training = sines(30)
    whole = Draw(training, STRETCHED, TASK, 3, 1).inputs(np.arange(30))[32]
    part = Draw(training, STRETCHED, TASK, 3, 1).inputs(np.array([4, 17]))[32]
    assert torch.equal(whole[[4, 17]], part)
    assert not torch.equal(whole, Draw(training, STRETCHED, TASK, 3, 2).inputs(np.arange(30))[32])
    assert not torch.equal(whole, Draw(training, STRETCHED, TASK, 4, 1).inputs(np.arange(30))[32])


def test_noise_reaches_the_pulse_and_its_remainder_alone() -> None:
    inputs = sines(64).normalized()
    corrupted = corrupt(inputs, Augmentation(noise=0.5), 0, 0, 0)
    for rate in (16, 32):
        added = corrupted[rate] - inputs[rate]
        assert 0.1 < float(added[:, 0].std()) < 0.5 and not added[:, 2:].any()
        torch.testing.assert_close(added[:, 0], added[:, 1], atol=1e-5, rtol=0.0)
    assert torch.equal(inputs[16], sines(64).normalized()[16])


def test_an_epoch_visits_each_window_at_most_once_and_shuffles() -> None:
    steps = list(epoch_order(100, 16, 0, 0))
    assert [len(step) for step in steps] == [16] * 6
    assert len(np.unique(np.concatenate(steps))) == 96
    assert not np.array_equal(steps[0], next(iter(epoch_order(100, 16, 0, 1))))
    assert [len(step) for step in epoch_order(5, 16, 0, 0)] == [5]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_estimate_minimises_the_expected_absolute_error(seed: int) -> None:
    """Oracle: the best of a fine grid, for the belief spread evenly inside each bin."""
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (1, TASK.bins)))
    estimate, spread = TASK.estimate(logits)
    belief, parts = logits.softmax(1)[0].numpy(), 41
    inside = (np.arange(parts) + 0.5) / parts - 0.5
    points = TASK.centres().numpy()[:, None] + TASK.step_bpm * inside
    grid = np.linspace(28, 222, 1941)
    expected = np.array([(belief[:, None] / parts * np.abs(points - guess)).sum() for guess in grid])
    ours = (belief[:, None] / parts * np.abs(points - float(estimate))).sum()
    assert ours <= expected.min() + 1e-3
    assert float(spread) == pytest.approx(ours, abs=TASK.step_bpm)


def test_a_sharp_belief_is_estimated_at_its_bin() -> None:
    logits = torch.full((1, 96), -50.0)
    logits[0, 40] = 50.0
    estimate, spread = TASK.estimate(logits)
    assert float(estimate) == pytest.approx(30 + 80.0, abs=1e-3) and float(spread) < 1e-3


def test_soft_labels_average_to_the_heart_rate() -> None:
    targets = torch.tensor([60.0, 81.3, 150.7])
    labels = TASK.soft_labels(targets)
    torch.testing.assert_close(labels @ TASK.centres(), targets, atol=1e-3, rtol=0)


def test_error_is_the_mean_over_subjects() -> None:
    found = TASK.error(np.array([1.0, 1.0, 5.0]), np.zeros(3), np.array(["a", "a", "b"]))
    assert found == pytest.approx(3.0)


def test_rhythm_error_is_one_minus_macro_f1() -> None:
    task = RhythmTask(("sinus", "AF", "other"))
    assert task.error(np.array([0, 1, 1, 2]), np.array([0, 1, 1, 2])) == 0.0
    assert task.error(np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])) == pytest.approx(1 - (2 / 3) / 2)
    index, doubt = task.estimate(torch.tensor([[0.0, 9.0, 0.0]]))
    assert int(index) == 1 and float(doubt) < 0.01


def test_soft_label_loss_is_the_divergence_and_vanishes_at_the_teacher() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 7, generator=generator)
    p, q = (teacher / 3).softmax(1), (student / 3).softmax(1)
    expected = 9 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(soft_label_loss(student, teacher, 3.0), expected)
    assert abs(float(soft_label_loss(teacher, teacher, 3.0))) < 1e-6


def test_faulty_training_sets_are_refused() -> None:
    good = sines(8)
    for faulty in (
        {"inputs": {16: good.inputs[32]}},
        {"targets": np.full(8, np.nan)},
        {"targets": np.zeros(0)},
    ):
        with pytest.raises(InputError):
            TrainingSet(**{**vars(good), **faulty})
