"""Trainings on another processor: everything that a step computes with is there.

There is no GPU here. Tensors of torch's "meta" processor hold no values; `OneProcessor` refuses, as a GPU
would, to compute with some of the CPU's and some of another's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.cli import main
from supernet.compute import accelerator
from supernet.compute.accelerator import CPU, AcceleratorError
from supernet.network.subnet import Subnet
from supernet.network.supernet import SuperNet
from supernet.settings.augmentation import Augmentation
from supernet.settings.losses import LOSSES, Term
from supernet.settings.training import TrainSettings
from supernet.space.search_space import load_space
from supernet.tasks.task import HeartRateTask, RhythmTask
from supernet.teachers.ensemble import Ensemble
from supernet.teachers.networks.cnn_lstm import ConvolutionalRecurrent
from supernet.teachers.networks.resnet import ResNet
from supernet.teachers.networks.spectral import SpectralNetwork
from supernet.teachers.networks.transformer import PatchTransformer
from supernet.training.methods import Sandwich, SingleNetwork
from supernet.training.shrinking import ProgressiveShrinking
from supernet.training.teaching import Teaching
from supernet.training.trainer import fit
from tests.supernet.supernet_sets import sines, small_space

META = torch.device("meta")
TASK = HeartRateTask(bins=24, sigma_bpm=8.0)
SPECTRAL_TASK = HeartRateTask(bins=104, last_bpm=223.125)
MOVES = ("aten::_to_copy", "aten::copy_", "aten::index.Tensor")


class OneProcessor(TorchDispatchMode):
    """Raises where tensors of two processors meet; single numbers may come from anywhere, as on a GPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        held = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor) and x.dim()]
        if len({x.device for x in held}) > 1 and not func.name().startswith(MOVES):
            raise AssertionError(f"{func.name()} computes with tensors of two processors")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A processor of its own, whose values are read as zeros."""
    moved, module_moved = Tensor.to, nn.Module.to

    def to(self: Tensor, *given: Any, **named: Any) -> Tensor:
        leaves = self.device == META and given == (CPU,)
        return torch.zeros(self.shape, dtype=self.dtype) if leaves else moved(self, *given, **named)

    def module_to(self: nn.Module, device: torch.device) -> nn.Module:
        return module_moved(self, device) if device == META else self.to_empty(device=device)

    monkeypatch.setattr(Tensor, "__float__", lambda _: 0.5)
    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(Tensor, "cpu", lambda self: to(self, CPU))
    monkeypatch.setattr(nn.Module, "to", module_to)
    with OneProcessor():
        yield META


def single(network: nn.Module) -> SingleNetwork:
    return SingleNetwork(network, TASK, 32, 4)


def supernet_over_spectra() -> Sandwich:
    return Sandwich(SuperNet(load_space("spectral")), SPECTRAL_TASK)


METHODS = {
    "sandwich": lambda: Sandwich(SuperNet(small_space()), TASK),
    "sandwich over spectra": supernet_over_spectra,
    "progressive shrinking": lambda: ProgressiveShrinking(SuperNet(small_space()), TASK),
    "subnet": lambda: single(Subnet(small_space().lower(small_space().largest()))),
    "resnet": lambda: single(ResNet(24, width=4, blocks=(1, 1), kernel=3)),
    "spectral": lambda: single(SpectralNetwork(24, width=8, blocks=1)),
    "transformer": lambda: single(PatchTransformer(24, width=16, heads=2, blocks=1)),
    "recurrent": lambda: single(ConvolutionalRecurrent(24, 4, width=8, hidden=8)),
}


@pytest.mark.parametrize("name", METHODS)
def test_everything_of_a_training_step_is_on_its_processor(name: str, elsewhere: torch.device) -> None:
    method = METHODS[name]()
    disturbed = Augmentation(motion_share=0.5, contact_share=0.5, gain=0.2, silence_share=0.3)
    settings = TrainSettings(epochs=2, batch=8, draws=1, random_subnets=1, augmentation=disturbed)
    training, validation = sines(16), sines(8, seed=1)
    teacher = Teaching(SpectralNetwork(method.task.outputs, width=8, blocks=1), 32)
    fit(method, training, method.task, settings, validation=validation, teacher=teacher, device=elsewhere)
    assert training.device == CPU
    assert {parameter.device for parameter in method.module.parameters()} == {CPU}


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_is_computed_where_its_networks_are(kind: str, elsewhere: torch.device) -> None:
    settings = TrainSettings(epochs=1, batch=8, draws=1, distillation=(Term(kind=kind),))
    members = [SpectralNetwork(24, width=8, blocks=1), ResNet(24, width=4, blocks=(1, 1), kernel=3)]
    student = single(Subnet(small_space().lower(small_space().largest())))
    teacher = Teaching(Ensemble(members), 32)
    history = fit(student, sines(16), TASK, settings, teacher=teacher, device=elsewhere)
    assert len(history) == 1 and history[0].loss == 0.5


def test_rhythms_are_learnt_elsewhere_too(elsewhere: torch.device) -> None:
    task = RhythmTask(("sinus", "AF"), weights=(1.0, 2.0))
    method = SingleNetwork(SpectralNetwork(2, width=8, blocks=1, pools=True), task, 32, 4)
    history = fit(method, sines(16), task, TrainSettings(epochs=1, batch=8), device=elsewhere)
    assert len(history) == 1 and history[0].loss == 0.5


def test_tensors_of_two_processors_are_refused(elsewhere: torch.device) -> None:
    with pytest.raises(AssertionError, match="two processors"):
        torch.zeros(2, 3, device=elsewhere) @ torch.zeros(3, 2)


def test_the_processor_is_the_gpu_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "_chosen", CPU)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert accelerator.use("auto") == accelerator.use("cpu") == accelerator.chosen() == CPU
    with pytest.raises(AcceleratorError, match="no GPU"):
        accelerator.use("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    precision = torch.get_float32_matmul_precision()
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    assert accelerator.use("auto") == torch.device("cuda:1")
    torch.set_float32_matmul_precision(precision)


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    config = "configs/demo.yaml"
    assert main(["run", config, "--run", str(tmp_path / "run"), "--accelerator", "cuda"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("ppg-nas: error: accelerator: cuda: torch sees no GPU")
