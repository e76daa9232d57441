"""The trainer: deterministic, resumed bit for bit, safe against damaged checkpoints and diverging losses."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from supernet.network.subnet import Subnet
from supernet.network.supernet import SuperNet
from supernet.settings.training import TrainSettings
from supernet.tasks.task import HeartRateTask
from supernet.teachers.networks.resnet import ResNet
from supernet.training.checkpoint import CheckpointError, load_checkpoint
from supernet.training.methods import Sandwich, SingleNetwork
from supernet.training.teaching import Teaching
from supernet.training.trainer import DivergedError, EpochRecord, MemoryExhaustedError, fit, schedule
from supernet.training.window_outputs import predict
from tests.supernet.supernet_sets import sines, small_space

TASK = HeartRateTask(bins=24, sigma_bpm=8.0)
TRAINING, VALIDATION = sines(96), sines(32, seed=1)
SETTINGS = TrainSettings(
    epochs=4, batch=16, learning_rate=5e-3, draws=2, warmup_epochs=2, random_subnets=1, validate_every=2
)


class InterruptionError(Exception):
    """Stands for whatever ends a process."""


def student() -> SingleNetwork:
    """A fresh small network of its own."""
    space = small_space()
    arch = space.decode(space.sample(1, np.random.default_rng(1)))[0]
    subnet = Subnet(space.lower(arch), np.random.default_rng(2))
    return SingleNetwork(subnet, TASK, arch.rate_hz, arch.channels)


def sandwich() -> Sandwich:
    """A fresh small supernet."""
    return Sandwich(SuperNet(small_space(), np.random.default_rng(2)), TASK)


def teacher() -> Teaching:
    """A small teacher; dropout makes its training depend on torch's generator."""
    return Teaching(ResNet(24, width=4, blocks=(1, 1), kernel=3), 32)


def teacher_training() -> SingleNetwork:
    """The same network, to be trained."""
    return SingleNetwork(ResNet(24, width=4, blocks=(1, 1), kernel=3), TASK, 32, 4, name="teacher")


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("make", [student, sandwich, teacher_training])
def test_a_resumed_training_ends_bit_for_bit_like_an_undisturbed_one(make, tmp_path: Path) -> None:
    undisturbed = make()
    expected = fit(undisturbed, TRAINING, TASK, SETTINGS, validation=VALIDATION, teacher=teacher())

    def interrupt(record: EpochRecord) -> None:
        if record.epoch in (0, 2):
            raise InterruptionError

    path = tmp_path / "checkpoint.pt"
    for _ in range(2):
        with pytest.raises(InterruptionError):
            fit(
                make(),
                TRAINING,
                TASK,
                SETTINGS,
                validation=VALIDATION,
                teacher=teacher(),
                checkpoint=path,
                on_epoch=interrupt,
            )
    resumed = make()
    history = fit(resumed, TRAINING, TASK, SETTINGS, validation=VALIDATION, teacher=teacher(), checkpoint=path)
    assert [record.epoch for record in history] == [0, 1, 2, 3]
    assert [(r.loss, r.validation) for r in history] == [(r.loss, r.validation) for r in expected]
    for name, value in undisturbed.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name
    torch.random.manual_seed(0)


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    fit(teacher_training(), TRAINING, TASK, SETTINGS.with_changes(epochs=1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_seed_trains_another_network() -> None:
    networks = []
    for seed in (0, 1):
        method = student()
        fit(method, TRAINING, TASK, SETTINGS.with_changes(seed=seed, epochs=1))
        networks.append(state_of(method.module))
    assert any(not torch.equal(value, networks[1][name]) for name, value in networks[0].items())


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    first, again = student(), student()
    fit(first, TRAINING, TASK, SETTINGS, checkpoint=path)
    seen: list[EpochRecord] = []
    history = fit(again, TRAINING, TASK, SETTINGS, checkpoint=path, on_epoch=seen.append)
    assert not seen and len(history) == SETTINGS.epochs
    for name, value in first.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name])


@pytest.mark.parametrize("damage", [0, 100, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_with_the_remedy(tmp_path: Path, damage: float) -> None:
    path = tmp_path / "checkpoint.pt"
    fit(student(), TRAINING, TASK, SETTINGS.with_changes(epochs=1), checkpoint=path)
    content = path.read_bytes()
    path.write_bytes(content[: int(damage * len(content)) if 0 < damage < 1 else int(damage)])
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt.*delete it") as caught:
        fit(student(), TRAINING, TASK, SETTINGS.with_changes(epochs=1), checkpoint=path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    fit(student(), TRAINING, TASK, SETTINGS.with_changes(epochs=1), checkpoint=path)
    with pytest.raises(CheckpointError, match="other settings"):
        fit(student(), TRAINING, TASK, SETTINGS.with_changes(epochs=2), checkpoint=path)


def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",)

    torch.save({"module": Trap()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "sprung").exists()


@dataclass(frozen=True)
class FailingTask(HeartRateTask):
    """A heart-rate task whose loss is NaN for windows faster than 170 BPM."""

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """NaN for one batch of the second epoch on."""
        loss = super().loss(logits, targets)
        return loss * float("nan") if float(targets.max()) > self.last_bpm else loss


def test_a_loss_that_turns_nan_stops_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    method = student()
    method.task = FailingTask(bins=24)

    def poison(record: EpochRecord) -> None:
        if record.epoch == 1:
            method.task = FailingTask(bins=24, last_bpm=60.0)

    with pytest.raises(DivergedError, match="epoch 3, step 1"):
        fit(method, TRAINING, TASK, SETTINGS, checkpoint=path, on_epoch=poison)
    content = load_checkpoint(path)
    assert len(content["history"]) == 2
    assert all(torch.isfinite(value).all() for value in content["module"].values())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_running_out_of_memory_names_the_remedy_and_loses_nothing(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "checkpoint.pt"
    method = student()

    def exhaust(record: EpochRecord) -> None:
        def step(*_: object) -> float:
            raise error

        method.step = step  # type: ignore[method-assign,assignment]

    with pytest.raises(MemoryExhaustedError, match=r"epoch 2 with a batch of 16 .*lower batch") as caught:
        fit(method, TRAINING, TASK, SETTINGS, checkpoint=path, on_epoch=exhaust)
    assert "\n" not in str(caught.value) and len(load_checkpoint(path)["history"]) == 1
    assert len(fit(student(), TRAINING, TASK, SETTINGS, checkpoint=path)) == SETTINGS.epochs


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    method = student()
    method.step = lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ"))  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(method, TRAINING, TASK, SETTINGS)


def test_a_small_network_learns_the_frequency_of_sines() -> None:
    method = student()
    settings = TrainSettings(epochs=25, batch=32, learning_rate=1e-2)
    training, validation = sines(512), sines(128, seed=9)
    history = fit(method, training, TASK, settings, validation=validation)
    inputs = validation.windows(method.rate_hz)[:, : method.channels]
    estimate, spread = predict(method.module, inputs, TASK)
    error = np.abs(estimate - validation.targets)
    assert history[-1].validation["error"] < 10
    assert np.abs(estimate.mean() - validation.targets).mean() > 20
    assert (spread > 0).all() and np.isfinite(error).all()


def test_supernet_training_improves_every_kind_of_subnet() -> None:
    method = sandwich()
    before = method.validate(TRAINING, VALIDATION)
    settings = SETTINGS.with_changes(
        epochs=16, learning_rate=1e-2, random_subnets=3, extremes_every=1, validate_every=0
    )
    history = fit(method, sines(256), TASK, settings, validation=VALIDATION)
    after = history[-1].validation
    assert set(after) == {"error", "largest", "smallest"}
    assert after["largest"] < before["largest"] / 2 and after["error"] < 0.9 * before["error"]


def test_the_schedule_rises_and_then_falls_to_zero() -> None:
    factors = [schedule(done, 0.05) for done in np.linspace(0, 1, 201)]
    assert max(factors) == pytest.approx(1.0, abs=1e-3) and factors[-1] == pytest.approx(0.0)
    assert np.argmax(factors) == 10 and factors[0] < 0.2
