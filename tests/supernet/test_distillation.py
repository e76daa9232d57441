"""Each distillation loss is what its source says, they compose, and trainings with them resume exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch

from supernet.distillation.distiller import DistillationError, Distiller
from supernet.distillation.losses.attention import attention_loss
from supernet.distillation.losses.relations import relational_loss
from supernet.distillation.observation import POSITIONS, Observation, attention_map, observe
from supernet.distillation.progressive import train_in_turn
from supernet.network.subnet import Subnet
from supernet.network.supernet import SuperNet
from supernet.settings.losses import LOSSES, Term, losses_on_logits
from supernet.settings.training import TrainSettings
from supernet.space.search_space import load_space
from supernet.space.students import spectral_cnn
from supernet.tasks.task import HeartRateTask, RhythmTask
from supernet.teachers.ensemble import Ensemble
from supernet.teachers.networks.cnn_lstm import ConvolutionalRecurrent
from supernet.teachers.networks.resnet import ResNet
from supernet.teachers.networks.spectral import SpectralNetwork
from supernet.teachers.networks.transformer import PatchTransformer
from supernet.training.methods import Sandwich, SingleNetwork
from supernet.training.teaching import Teaching
from supernet.training.trainer import EpochRecord, fit
from tests.supernet.supernet_sets import sines, small_space

TASK = HeartRateTask(bins=24, sigma_bpm=8.0)
TRAINING = sines(64)
SETTINGS = TrainSettings(epochs=2, batch=16, learning_rate=5e-3, draws=2)


def seen(seed: int, features: int = 6) -> Observation:
    """Random logits, features and attention of eight windows."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(8, features, 40, generator=generator)
    return Observation(torch.randn(8, 24, generator=generator), maps.mean(2), attention_map(maps))


def watched(held: Observation) -> Observation:
    """The same with gradients."""
    return Observation.of({k: v.clone().requires_grad_() for k, v in held.tensors().items() if v is not None})


def labels() -> torch.Tensor:
    return torch.linspace(60, 150, 8)


def teacher(**changes: object) -> Teaching:
    return Teaching(ResNet(24, width=4, blocks=(1,), kernel=3), 32, **changes)  # type: ignore[arg-type]


def student(seed: int = 2) -> SingleNetwork:
    space = small_space()
    arch = space.decode(space.sample(1, np.random.default_rng(1)))[0]
    subnet = Subnet(space.lower(arch), np.random.default_rng(seed))
    return SingleNetwork(subnet, TASK, arch.rate_hz, arch.channels)


@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind not in ("features", "bins")])
def test_a_student_that_equals_its_teacher_has_nothing_to_learn(kind: str) -> None:
    distiller = Distiller([Term(kind=kind)], TASK, student_channels=6, teacher_channels=6)  # type: ignore[arg-type]
    assert float(distiller(seen(0), seen(0), labels())) == pytest.approx(0.0, abs=1e-5)
    assert float(distiller(seen(0), seen(1), labels())) > 1e-3


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_moves_the_student_and_not_the_teacher(kind: str) -> None:
    distiller = Distiller([Term(kind=kind)], TASK, student_channels=6, teacher_channels=9)  # type: ignore[arg-type]
    own, other = watched(seen(0, 6)), watched(seen(1, 9))
    distiller(own, other, labels()).backward()
    looked_at = {"features": own.features, "relations": own.features, "attention": own.attention}
    moved = looked_at.get(kind, own.logits)
    assert moved is not None and moved.grad is not None and float(moved.grad.abs().sum()) > 0
    assert all(value is None or value.grad is None for value in other.tensors().values())


def test_a_blurred_belief_is_learnt_best_by_that_very_belief() -> None:
    distiller = Distiller([Term(kind="bins", blur_bins=2.0)], TASK)
    sharp = torch.full((1, 24), -20.0)
    sharp[0, 10] = 20.0
    gaussian = (-0.5 * ((torch.arange(24) - 10) / 2.0) ** 2)[None]
    near = float(distiller(Observation(gaussian), Observation(sharp), labels()[:1]))
    assert (
        near == pytest.approx(0.0, abs=5e-3)
        and float(distiller(Observation(sharp), Observation(sharp), labels()[:1])) > 1
    )


def test_the_regression_loss_is_quadratic_near_and_linear_far() -> None:
    distiller = Distiller([Term(kind="regression", delta_bpm=10.0)], TASK)
    at = {int(b): Observation(torch.nn.functional.one_hot(torch.tensor([b]), 24) * 100.0) for b in (5, 6, 20)}
    step = TASK.step_bpm / 10.0
    assert float(distiller(at[5], at[6], labels()[:1])) == pytest.approx(0.5 * step**2, rel=1e-3)
    assert float(distiller(at[5], at[20], labels()[:1])) == pytest.approx(15 * step - 0.5, rel=1e-3)


def test_attention_does_not_know_how_loud_and_relations_not_how_turned_a_network_is() -> None:
    maps = torch.randn(4, 5, 64)
    assert attention_map(maps).shape == (4, POSITIONS)
    assert float(attention_loss(attention_map(maps), attention_map(3.0 * maps))) == pytest.approx(0, abs=1e-9)
    features = torch.randn(6, 5)
    turn = torch.linalg.qr(torch.randn(5, 5)).Q
    assert float(relational_loss(4.0 * features @ turn, features)) == pytest.approx(0, abs=1e-6)


def test_features_that_are_a_linear_map_of_the_teachers_are_learnt() -> None:
    generator = torch.Generator().manual_seed(3)
    own = torch.randn(64, 6, generator=generator)
    known = Observation(torch.zeros(64, 24), own @ torch.randn(6, 9, generator=generator))
    distiller = Distiller([Term(kind="features")], TASK, student_channels=6, teacher_channels=9)
    optimizer = torch.optim.Adam(distiller.parameters(), 0.1)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = distiller(Observation(torch.zeros(64, 24), own), known, labels())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.5 and losses[-1] < 0.02


def test_windows_that_the_teacher_did_not_know_count_less_across_modalities() -> None:
    rates = torch.full((8,), 80.0)
    truth = TASK.beliefs(rates).log()
    lost = truth.flip(1)
    weighted = Distiller([Term(kind="cross_modal")], TASK)
    flat = Observation(torch.zeros(8, 24, requires_grad=True))
    weighted(flat, Observation(torch.cat([truth[:4], lost[4:]])), rates).backward()
    assert flat.logits.grad is not None
    strength = flat.logits.grad.abs().sum(1)
    assert float(strength[4:].sum()) < 0.3 * float(strength[:4].sum())


def test_the_sum_is_weighted() -> None:
    def alone(kind: str) -> float:
        return float(Distiller([Term(kind=kind)], TASK)(seen(0), seen(1), labels()))  # type: ignore[arg-type]

    both = Distiller([Term(kind="soft_labels", weight=0.25), Term(kind="regression", weight=2.0)], TASK)
    expected = 0.25 * alone("soft_labels") + 2.0 * alone("regression")
    assert float(both(seen(0), seen(1), labels())) == pytest.approx(expected)


def test_losses_that_cannot_be_had_are_refused_with_the_reason() -> None:
    with pytest.raises(DistillationError, match="looks along"):
        Distiller([Term(kind="attention")], TASK, student_channels=4, has_attention=False)
    with pytest.raises(DistillationError, match="features"):
        Distiller([Term(kind="features")], TASK)
    with pytest.raises(DistillationError, match="for heart rates"):
        Distiller([Term(kind="regression")], RhythmTask(("a", "b")))
    supernet = Sandwich(SuperNet(small_space()), TASK)
    with pytest.raises(DistillationError, match=r"finish\.fine_tuning"):
        supernet.prepare(SETTINGS.with_changes(distillation=(Term(kind="relations"),)), None, 8.0)


@pytest.mark.parametrize("kind", [*LOSSES, "soft_labels+features"])
def test_a_training_with_any_loss_resumes_bit_for_bit(kind: str, tmp_path: Path) -> None:
    terms = tuple(Term(kind=name) for name in kind.split("+"))  # type: ignore[arg-type]
    settings = SETTINGS.with_changes(distillation=terms)
    undisturbed, resumed = student(), student()
    expected = fit(undisturbed, TRAINING, TASK, settings, teacher=teacher())

    def interrupt(record: EpochRecord) -> None:
        if record.epoch == 0:
            raise InterruptedError

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(InterruptedError):
        fit(student(), TRAINING, TASK, settings, teacher=teacher(), checkpoint=path, on_epoch=interrupt)
    history = fit(resumed, TRAINING, TASK, settings, teacher=teacher(), checkpoint=path)
    assert [record.loss for record in history] == [record.loss for record in expected]
    for name, value in undisturbed.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def test_a_supernet_learns_by_losses_on_logits() -> None:
    terms = tuple(Term(kind=kind) for kind in losses_on_logits())
    method = Sandwich(SuperNet(small_space()), TASK)
    history = fit(method, TRAINING, TASK, SETTINGS.with_changes(distillation=terms), teacher=teacher())
    assert np.isfinite(history[-1].loss)


def test_each_pupil_is_taught_by_the_one_before() -> None:
    told: list[tuple[str, str]] = []

    def train(pupil: str, master: str) -> str:
        told.append((pupil, master))
        return pupil

    assert train_in_turn(["medium", "small"], "teacher", train) == "small"
    assert told == [("medium", "teacher"), ("small", "medium")]


def test_every_network_shows_what_it_knows() -> None:
    x = torch.randn(3, 4, 256)
    members = [
        ResNet(24, width=4, blocks=(1,)),
        SpectralNetwork(24, width=8, blocks=1),
        ConvolutionalRecurrent(24, width=8, hidden=4),
        PatchTransformer(24, width=12, heads=2, blocks=1),
    ]
    for network in members:
        found = observe(network.eval(), x)
        assert torch.equal(found.logits, network(x)) and found.features is not None
        assert (found.attention is None) == isinstance(network, SpectralNetwork)
        assert (found.spectral_attention is None) == (found.attention is not None)
    both = observe(Ensemble([members[1], members[0]]).eval(), x)
    assert both.features is not None and both.features.shape == (3, 8 + 16) and both.attention is not None
    own = student()
    found = observe(own.module.eval(), x[:, : own.channels, :: 256 // (8 * own.rate_hz)])
    assert found.attention is not None and found.logits.shape == (3, 24)
    spectral = load_space("spectral", outputs=104)
    found = observe(Subnet(spectral.lower(spectral_cnn())).eval(), torch.randn(3, spectral_cnn().channels, 104))
    assert found.attention is None and found.features is not None and found.features.shape == (3, 20)
    assert found.spectral_attention is not None and found.spectral_attention.shape == (3, 32)
