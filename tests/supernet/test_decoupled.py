"""Decoupled distillation is classic distillation when weighted so, the paper's formula for one target, and ordered."""

import pytest
import torch

from supernet.distillation.loss_kind import Comparison
from supernet.distillation.losses.decoupled import Decoupling, decoupled_loss, target_of
from supernet.distillation.losses.soft_labels import soft_label_loss
from supernet.distillation.observation import Observation
from supernet.settings.losses import Term
from supernet.tasks.task import HeartRateTask, RhythmTask, Task

CLASSIC = Decoupling(alpha=1.0, beta=None)


def logits(seed: int, outputs: int = 24) -> torch.Tensor:
    return 3.0 * torch.randn(8, outputs, generator=torch.Generator().manual_seed(seed))


def target(task: Task, targets: torch.Tensor, reach: int, outputs: int = 24) -> torch.Tensor:
    seen = Observation(logits(0, outputs))
    return target_of(Comparison(seen, seen, targets, task, Term(kind="decoupled")), reach)


@pytest.mark.parametrize("reach", [0, 1, 3])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_weighted_by_the_mass_off_the_target_it_is_classic_distillation(reach: int, temperature: float) -> None:
    student, teacher = logits(1).requires_grad_(), logits(2)
    is_target = target(HeartRateTask(bins=24), torch.linspace(32, 218, 8), reach)
    whole = decoupled_loss(student, teacher, is_target, CLASSIC, temperature)
    classic = soft_label_loss(student, teacher, temperature)
    assert torch.allclose(whole, classic, rtol=1e-4)
    for one, other in zip(*(torch.autograd.grad(loss, student) for loss in (whole, classic)), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_one_target_gives_the_formula_of_the_paper() -> None:
    student, teacher = logits(1, 3), logits(2, 3)
    classes = torch.arange(8) % 3
    is_target = target(RhythmTask(("a", "b", "c")), classes, 1, 3)
    p, q = teacher.double().softmax(1), student.double().softmax(1)
    total = torch.zeros((), dtype=torch.float64)
    for row, one in enumerate(classes.tolist()):
        others = [k for k in range(3) if k != one]
        t, s = p[row, one], q[row, one]
        binary = t * (t / s).log() + (1 - t) * ((1 - t) / (1 - s)).log()
        among = sum(p[row, k] / (1 - t) * ((p[row, k] / (1 - t)) / (q[row, k] / (1 - s))).log() for k in others)
        total = total + 1.5 * binary + 8.0 * among
    loss = decoupled_loss(student, teacher, is_target, Decoupling(alpha=1.5, beta=8.0), 1.0)
    assert float(loss) == pytest.approx(float(total / 8), rel=1e-4)


def test_the_target_of_a_heart_rate_is_the_bins_about_it() -> None:
    chosen = target(HeartRateTask(bins=20, first_bpm=30, last_bpm=220), torch.tensor([30.0, 101.0, 300.0]), 1, 20)
    assert [row.nonzero()[:, 0].tolist() for row in chosen] == [[0, 1], [6, 7, 8], [18, 19]]


def test_a_teacher_that_is_certain_gives_a_finite_gradient() -> None:
    student = logits(1).requires_grad_()
    teacher = torch.zeros(8, 24)
    teacher[:, 5] = 200.0
    is_target = target(HeartRateTask(bins=24), torch.linspace(40, 180, 8), 1)
    decoupled_loss(student, teacher, is_target, Decoupling(), 1.0).backward()
    assert torch.isfinite(student.grad).all()  # type: ignore[arg-type]
