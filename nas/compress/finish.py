"""From an arch of the supernet to a subnet fit for deployment: fine-tune, quantize, limit what counts as valid."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hwmodels.firmware.tracker import Tracker, load_tracker, save_tracker
from hwmodels.network.interpreter import IntegerModel, load_model, save_model
from nas.assembly.loading import (
    CHECKPOINT,
    load_network,
    network_files,
    taught_sides,
    train,
    trained_supernet,
    trained_teacher,
    training_task,
    windows_of,
)
from nas.assembly.run_space import space_of
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.compress.quantize import input_settings
from nas.data.windows import WindowSet
from nas.evaluation.estimates import integer_estimates
from nas.evaluation.tracker_fit import fit_tracker, tracked_estimates
from nas.evaluation.verdict import limit_of
from nas.run.config import Config
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest, digest_files, write_json, write_text
from supernet.network.subnet import Subnet
from supernet.settings.training import Training
from supernet.space.arch import Arch
from supernet.training.methods import SingleNetwork
from supernet.training.window_outputs import calibration_batches, predict, ready_subnet

_SHARE_VALID = 0.95
_ERRORS = "errors.json"
_ORIGIN = "made_from"
_TRACKER = "tracker.json"
_AS_LONG = "float_as_long"


def finish_subnet(run: RunDirectory, arch: Arch) -> dict[str, Any]:
    """Finish `arch` into subnets/<id>/{float,int8}; returns its validation errors at each step.

    What is there already, made from the same teacher, supernet, windows and settings, is kept. Only
    training and validation subjects are looked at.
    """
    folder = run.subnet(arch.id)
    settings = run.config.finish
    _keep_if_made_from(folder, _origin(run))
    teacher = trained_teacher(run)
    training, validation = taught_sides(run, teacher)
    task = training_task(run, training)
    subnet = ready_subnet(trained_supernet(run), arch, training)
    inputs = validation.read(arch)

    def error(network: torch.nn.Module) -> float:
        estimate, _ = predict(network.eval(), inputs, task)
        return round(task.error(estimate, validation.targets, validation.subjects), 4)

    def trained(network: torch.nn.Module, step: str, name: str, own: Training) -> None:
        method = SingleNetwork(network, task, arch.rate_hz, arch.channels, f"{step} {arch.id}", arch.reads)
        if own.epochs and not _is_trained(folder / name, network):
            train(run, method.name, folder / name, method, (training, validation), task, own, teacher)

    errors = {"inherited": error(subnet)}
    trained(subnet, "fine-tuning", "float", settings.fine_tuning)
    errors["fine_tuned"] = error(subnet)
    network = FakeQuantNetwork(subnet)
    network.calibrate(list(calibration_batches(training, arch)))
    errors["post_training_quantized"] = error(network)
    trained(network, "quantization", "int8", settings.quantization)
    windows = windows_of(run, "validation")
    head = run.config.task_kind.head_settings(run.config.task)
    model = with_limit(run.config, network.eval().export(head, input_settings(run.config, arch)), windows)
    estimates = integer_estimates(model, windows)
    targets = run.config.task_kind.targets(windows)
    errors["int8"] = round(task.error(estimates.estimate, targets, windows.subject), 4)
    save_model(model, folder / "int8" / "model.npz")
    if run.config.task_kind.tracks:
        tracker = fit_tracker(model, windows_of(run, "train"), windows)
        tracked = tracked_estimates(model, tracker, windows)
        errors["int8_tracked"] = round(task.error(tracked.estimate, targets, windows.subject), 4)
        save_tracker(tracker, folder / "int8" / _TRACKER)
    write_json(folder / _ERRORS, errors)
    for name in ("float", "int8"):
        (folder / name / CHECKPOINT).unlink(missing_ok=True)
    return errors


def train_float_as_long(run: RunDirectory, arch: Arch) -> float | None:
    """Train a finished float subnet for the epochs that quantization took besides; its validation error.

    The float network that figures compare with the int8 one has then learned as long. None where quantization
    is not trained.
    """
    settings = run.config.finish.quantization
    if not settings.epochs:
        return None
    folder = run.subnet(arch.id) / _AS_LONG
    teacher = trained_teacher(run)
    training, validation = taught_sides(run, teacher)
    task, subnet = training_task(run, training), finished_float(run, arch)
    title = f"float subnet as long, {arch.id}"
    method = SingleNetwork(subnet, task, arch.rate_hz, arch.channels, title, arch.reads)
    if not _is_trained(folder, subnet):
        train(run, title, folder, method, (training, validation), task, settings, teacher)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    estimate, _ = predict(subnet.eval(), validation.read(arch), task)
    return round(task.error(estimate, validation.targets, validation.subjects), 4)


def compared_float(run: RunDirectory, arch: Arch) -> Subnet:
    """The float subnet that was trained as long as the int8 one, where there is one, else the fine-tuned."""
    path = run.subnet(arch.id) / _AS_LONG / "model.pt"
    subnet = finished_float(run, arch)
    return load_network(subnet, path) if path.exists() else subnet


def compared_files(run: RunDirectory, arch_id: str) -> tuple[Path, ...]:
    """What `train_float_as_long` leaves."""
    return network_files(run.subnet(arch_id) / _AS_LONG) if run.config.finish.quantization.epochs else ()


def finished_float(run: RunDirectory, arch: Arch) -> Subnet:
    """The fine-tuned float subnet of a finished arch."""
    subnet = Subnet(space_of(run.config).lower(arch))
    return load_network(subnet, run.subnet(arch.id) / "float" / "model.pt")


def finished_quantized(run: RunDirectory, arch: Arch) -> FakeQuantNetwork | None:
    """The module that `finished_model` was exported of; None where quantization was not trained."""
    if not (run.subnet(arch.id) / "int8" / "model.pt").exists():
        return None
    network = FakeQuantNetwork(finished_float(run, arch))
    load_network(network, run.subnet(arch.id) / "int8" / "model.pt")
    network.settle()
    return network.eval()


def finished_model(run: RunDirectory, arch: Arch) -> IntegerModel:
    """The integer network of a finished arch."""
    return load_model(run.subnet(arch.id) / "int8" / "model.npz")


def finished_tracker(run: RunDirectory, arch: Arch) -> Tracker | None:
    """The causal tracker fitted behind a finished arch; None where the task is not heart rates."""
    path = run.subnet(arch.id) / "int8" / _TRACKER
    return load_tracker(path) if run.config.task_kind.tracks else None


def is_finished(run: RunDirectory, arch: Arch) -> bool:
    """Whether `finish_subnet` has come to its end for `arch` and its files are still there."""
    folder = run.subnet(arch.id)
    is_whole = all(path.exists() for path in (*finished_files(run, arch.id), folder / _ERRORS))
    return is_whole and _read_origin(folder) == _origin(run)


def finished_files(run: RunDirectory, arch_id: str) -> tuple[Path, ...]:
    """The networks that finishing leaves."""
    folder = run.subnet(arch_id)
    files = *network_files(folder / "float"), folder / "int8" / "model.npz"
    return (*files, folder / "int8" / _TRACKER) if run.config.task_kind.tracks else files


def _is_trained(folder: Path, module: torch.nn.Module) -> bool:
    """Load a training that had ended before; False where there is none."""
    if not all(path.exists() for path in network_files(folder)):
        return False
    load_network(module, folder / "model.pt")
    return True


def _origin(run: RunDirectory) -> str:
    """A digest of everything that the finished networks follow from."""
    files = [run.path / "data" / "windows.npz"]
    files += [run.path / name / "model.pt" for name in ("teacher", "supernet")]
    section = run.config.finish.model_dump(include={"fine_tuning", "quantization"})
    return digest(digest_files(files), section, run.config.task.model_dump(), run.config.seed)


def _read_origin(folder: Path) -> str | None:
    try:
        return (folder / _ORIGIN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _keep_if_made_from(folder: Path, origin: str) -> None:
    """Keep finished and half-finished networks of this origin; remove those of another."""
    if _read_origin(folder) != origin:
        for name in ("float", "int8", _AS_LONG):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / _ERRORS).unlink(missing_ok=True)
        write_text(folder / _ORIGIN, origin)


def with_limit(config: Config, model: IntegerModel, windows: WindowSet) -> IntegerModel:
    """Set what counts as invalid, where nothing is set: of rhythms so that 95 % of the validation windows pass."""
    if config.task_kind.tracks:
        limit = limit_of(lambda some: _estimated(model, some), windows, round(model.input.rate_hz))
    else:
        limit = float(np.quantile(integer_estimates(model, windows).spread, _SHARE_VALID))
    return dataclasses.replace(model, head=config.task_kind.with_limit(model.head, limit))


def _estimated(model: IntegerModel, windows: WindowSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found = integer_estimates(model, windows)
    return found.estimate, found.spread
