"""From an arch of the supernet to a subnet fit for deployment: fine-tune, quantize, settle the verdicts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwmodels.integer import (
    ClassSettings,
    HeadSettings,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    load_model,
    save_model,
)
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.data.preprocess import BAND_HZ
from nas.data.windows import ACC_SCALE_G, WindowSet
from nas.estimates import Estimates, integer_estimates
from nas.files import replace_file, write_json
from nas.run_directory import RunDirectory
from nas.stages.loading import (
    sides,
    train,
    trained_supernet,
    trained_teacher,
    training_task,
    windows_of,
)
from nas.tasks import targets_of
from supernet.arch import Arch
from supernet.checkpoint import load_checkpoint
from supernet.evaluate import calibration_batches, predict, ready_subnet
from supernet.methods import SingleNetwork
from supernet.subnet import Subnet

_SHARE_VALID = 0.95


def finish_subnet(run: RunDirectory, arch: Arch) -> dict[str, Any]:
    """Finish `arch` into subnets/<id>/{float,int8}; returns its validation errors at each step.

    What is there already is kept. Only training and validation subjects are looked at.
    """
    folder = run.subnet(arch.id)
    settings = run.config.finish
    training, validation = sides(run)
    task = training_task(run, training)
    teacher = trained_teacher(run)
    subnet = ready_subnet(trained_supernet(run), arch, training)
    inputs = validation.windows(arch.rate_hz)[:, : arch.channels]

    def error(network: torch.nn.Module) -> float:
        estimate, _ = predict(network.eval(), inputs, task)
        return round(task.error(estimate, validation.targets, validation.subjects), 4)

    errors = {"inherited": error(subnet)}
    method = SingleNetwork(subnet, task, arch.rate_hz, arch.channels, name=f"fine-tuning {arch.id}")
    if not _is_trained(folder / "float", subnet):
        train(run, f"fine-tuning {arch.id}", folder / "float", method, (training, validation), task,
              settings.fine_tuning, teacher)  # fmt: skip
    errors["fine_tuned"] = error(subnet)

    network = FakeQuantNetwork(subnet)
    network.calibrate(list(calibration_batches(training, arch)))
    errors["post_training_quantized"] = error(network)
    method = SingleNetwork(network, task, arch.rate_hz, arch.channels, name=f"quantization {arch.id}")
    if settings.quantization.epochs and not _is_trained(folder / "int8", network):
        train(run, f"quantization {arch.id}", folder / "int8", method, (training, validation), task,
              settings.quantization, teacher)  # fmt: skip
    windows = windows_of(run, "validation")
    model = _with_verdicts(network.eval().export(_open_head(run), input_settings(run, arch)), windows)
    estimates = integer_estimates(model, windows)
    errors["int8"] = round(task.error(estimates.estimate, targets_of(windows), windows.subject), 4)
    replace_file(folder / "int8" / "model.npz", lambda path: save_model(model, path))
    write_json(folder / "errors.json", errors)
    return errors


def finished_float(run: RunDirectory, arch: Arch) -> Subnet:
    """The fine-tuned float subnet of a finished arch."""
    subnet = Subnet(trained_supernet(run).space.lower(arch))
    subnet.load_state_dict(load_checkpoint(run.subnet(arch.id) / "float" / "model.pt")["module"])
    return subnet.eval()


def finished_model(run: RunDirectory, arch: Arch) -> IntegerModel:
    """The integer network of a finished arch."""
    return load_model(run.subnet(arch.id) / "int8" / "model.npz")


def is_finished(run: RunDirectory, arch: Arch) -> bool:
    """Whether `finish_subnet` has come to its end for `arch`."""
    return (run.subnet(arch.id) / "errors.json").exists()


def input_settings(run: RunDirectory, arch: Arch) -> InputSettings:
    """What the deployed network's input stands for."""
    return InputSettings(arch.rate_hz, run.config.data.window_s, arch.sensors, BAND_HZ, ACC_SCALE_G)


def _is_trained(folder: Path, module: torch.nn.Module) -> bool:
    """Load a training that had ended before; False where there is none."""
    if not (folder / "model.pt").exists():
        return False
    module.load_state_dict(load_checkpoint(folder / "model.pt")["module"])
    return True


def _open_head(run: RunDirectory) -> HeadSettings:
    """The head with a verdict that lets every window pass, unless the configuration sets one."""
    task = run.config.task
    if task.kind == "heart_rate":
        return HeartRateSettings(task.first_bpm, task.last_bpm, task.max_spread_bpm or 1000.0)
    return ClassSettings(task.classes, task.min_probability or 0.0)


def _with_verdicts(model: IntegerModel, windows: WindowSet) -> IntegerModel:
    """Set what counts as invalid so that 95 % of the validation windows pass, where nothing is set."""
    found: Estimates = integer_estimates(model, windows)
    limit = float(np.quantile(found.spread, _SHARE_VALID))
    head = model.head
    if isinstance(head, HeartRateSettings) and head.max_spread_bpm == 1000.0:
        head = dataclasses.replace(head, max_spread_bpm=round(limit, 2))
    elif isinstance(head, ClassSettings) and head.min_probability == 0.0:
        head = dataclasses.replace(head, min_probability=round(1.0 - limit, 3))
    return dataclasses.replace(model, head=head)
