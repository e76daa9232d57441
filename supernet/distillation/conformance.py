"""What every distillation loss must hold; for those that come with the program, and for anybody's own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernet.distillation.distiller import Distiller
from supernet.distillation.observation import Observation, attention_map
from supernet.settings.losses import LOSSES, Term
from supernet.tasks.task import HeartRateTask, RhythmTask, Task

_WINDOWS, _STUDENT, _TEACHER = 8, 6, 9
"""Windows, and channels of the features."""


def check_loss(term: Term) -> None:
    """Compare made-up observations by one loss, for every task that it serves. Raises AssertionError."""
    kind = LOSSES[term.kind]
    heart_rate = HeartRateTask(bins=24)
    _check(term, heart_rate, torch.linspace(60, 150, _WINDOWS))
    if not kind.needs_bins:
        _check(term, RhythmTask(("a", "b", "c")), torch.arange(_WINDOWS) % 3)


def _check(term: Term, task: Task, targets: Tensor) -> None:
    def distiller() -> Distiller:
        return Distiller([term], task, student_channels=_STUDENT, teacher_channels=_TEACHER)

    student, teacher = _observation(task, 0, _STUDENT), _observation(task, 1, _TEACHER)
    compared = distiller()
    loss = compared(student, teacher, targets)
    assert loss.shape == () and torch.isfinite(loss), "a loss must be one finite number"
    assert torch.equal(loss, distiller()(student, teacher, targets)), "a loss must not depend on chance"
    loss.backward()
    parts = student.tensors()
    reads = LOSSES[term.kind].reads
    assert _moves(parts[reads]), f"a loss that reads {reads} must move the student's"
    unread = [name for name, value in parts.items() if name != reads and _moves(value)]
    assert not unread, f"says that it reads {reads}, but moves {', '.join(unread)}"
    assert not any(map(_moves, teacher.tensors().values())), "a loss must leave the teacher alone"
    if LOSSES[term.kind].adaptor is not None:
        taught = [weight.grad is not None for weight in compared.adaptors.parameters()]
        assert taught and all(taught), "an adaptor must be trained by its loss"


def _observation(task: Task, seed: int, channels: int) -> Observation:
    """Random logits, features and attention of some windows, with gradients."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(_WINDOWS, channels, 40, generator=generator)
    logits = torch.randn(_WINDOWS, task.outputs, generator=generator)
    parts: Mapping[str, Tensor] = {"logits": logits, "features": maps.mean(2), "attention": attention_map(maps)}
    return Observation.of({name: value.clone().requires_grad_() for name, value in parts.items()})


def _moves(value: Tensor | None) -> bool:
    return value is not None and value.grad is not None and bool(value.grad.abs().sum() > 0)
