"""What every kind of teacher must hold; for those that come with the program, and for anybody's own."""

from __future__ import annotations

import torch
from torch import nn

from supernet.settings.teachers import TeacherNetwork
from supernet.tasks.task import HeartRateTask, RhythmTask, Task
from supernet.teachers.teacher_kind import TeacherInput, TeacherKind

_WINDOWS = 3


def check_teacher(kind: TeacherKind, settings: TeacherNetwork) -> None:
    """Build small teachers of a kind for either sort of task, one channel and four, two rates. Raises AssertionError.

    settings: of a network that is small enough to be built eight times.
    """
    tasks: tuple[Task, ...] = (HeartRateTask(bins=24), RhythmTask(("a", "b", "c")))
    for task in tasks:
        for channels, rate_hz in ((1, 32), (4, 16)):
            _check_network(kind, settings, TeacherInput(task, channels, rate_hz, 8.0, seed=1))


def _check_network(kind: TeacherKind, settings: TeacherNetwork, given: TeacherInput) -> None:
    before = torch.get_rng_state()
    network, same, other = (kind.build(settings, _seeded(given, seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state()), "building a teacher must leave torch's own generator alone"
    assert _equal(network, same), "the same seed must give the same weights"
    assert not _equal(network, other), "another seed must give other weights"
    x = torch.randn(_WINDOWS, given.channels, given.samples, generator=torch.Generator().manual_seed(0))
    network.train()(x).square().sum().backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert not idle, f"weights that nothing teaches: {', '.join(idle)}"
    with torch.no_grad():
        logits = network.eval()(x)
        assert logits.shape == (_WINDOWS, given.task.outputs), f"logits are {tuple(logits.shape)}"
        assert torch.isfinite(logits).all(), "logits must be finite"
        assert torch.allclose(logits[:1], network(x[:1]), atol=1e-4), "a window's logits must not depend on others"
        same.load_state_dict(network.state_dict())
        assert torch.equal(logits, same.eval()(x)), "a network must be what its state_dict says"
        _check_maps(kind, network, x, logits)


def _check_maps(kind: TeacherKind, network: nn.Module, x: torch.Tensor, logits: torch.Tensor) -> None:
    assert hasattr(network, "observe") == bool(kind.positions_along), "observe goes with positions_along"
    if not kind.positions_along:
        return
    assert network.positions_along == kind.positions_along, "network and kind must name the same positions"
    shown, maps = network.observe(x)  # type: ignore[operator]
    assert torch.equal(shown, logits), "observe must give the network's logits"
    assert maps.dim() == 3 and len(maps) == len(x), "maps must be (batch, channels, positions)"


def _seeded(given: TeacherInput, seed: int) -> TeacherInput:
    return TeacherInput(given.task, given.channels, given.rate_hz, given.window_s, seed)


def _equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)
