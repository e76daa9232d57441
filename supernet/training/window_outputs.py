"""Networks applied to many windows: logits, estimates, errors, always with statistics of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.network.calibrate import calibrate
from supernet.network.extract import extract
from supernet.network.subnet import Subnet
from supernet.network.supernet import SuperNet
from supernet.space.arch import Arch
from supernet.tasks.task import Task
from supernet.windows.steps import Given, Windows, call, drawn_rows, following_steps, given, remembered_steps
from supernet.windows.training_set import Inputs, TrainingSet, input_of

NetworkFunction = Callable[[Tensor], Tensor]


def logits_of(network: NetworkFunction, inputs: Given, batch: int = 256) -> Tensor:
    """Logits (n, outputs) of windows (n, channels, samples), batch by batch, without gradients.

    A network that remembers, or looks ahead, is shown what lies beside a batch once more.
    """
    lead, trail = remembered_steps(network), following_steps(network)
    with torch.no_grad():
        return torch.cat(
            [call(network, part)[known : known + batch] for part, known in given(inputs).parts(batch, lead, trail)]
        )


def predict(
    network: NetworkFunction, inputs: Given, task: Task, batch: int = 256
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Estimates and spreads, (n,) each, of normalized windows (n, channels, samples)."""
    estimate, spread = task.estimate(logits_of(network, inputs, batch))
    return estimate.cpu().numpy(), spread.cpu().numpy()


def calibration_batches(training: TrainingSet, arch: Arch, windows: int = 512) -> Iterator[Windows]:
    """Batches of unvaried training windows, the same for all, as `arch` reads them."""
    for part in _calibration_parts(training, windows):
        yield training.read(arch, part)


def calibration_inputs(training: TrainingSet, windows: int = 512) -> list[Inputs]:
    """The windows of `calibration_batches` at every rate, for any arch to read."""
    return [training.normalized(part) for part in _calibration_parts(training, windows)]


def _calibration_parts(
    training: TrainingSet, windows: int, batch: int = 128, seed: int = 0
) -> Iterator[npt.NDArray[np.intp]]:
    rows = np.concatenate(list(drawn_rows(len(training), windows, training.block, np.random.default_rng([seed, 7]))))
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        if len(part) > 1:
            yield part


def ready_subnet(supernet: SuperNet, arch: Arch, training: TrainingSet, windows: int = 512) -> Subnet:
    """The subnet of `arch` with its own statistics, estimated on `windows` training windows."""
    subnet = extract(supernet, arch)
    calibrate(subnet, calibration_batches(training, arch, windows))
    return subnet


def subnet_error(
    subnet: Subnet,
    arch: Arch,
    inputs: Inputs,
    targets: npt.NDArray[Any],
    task: Task,
    subjects: npt.NDArray[np.str_] | None = None,
) -> float:
    """The task's error of a calibrated subnet on normalized windows."""
    estimate, _ = predict(subnet, Windows(input_of(inputs, arch), inputs.past), task)
    return task.error(estimate, targets, subjects)
