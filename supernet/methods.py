"""What one training step does: a network by itself, or a supernet by the sandwich rule.

`fit` in train.py owns the loop, the optimizer and the checkpoints; a method owns losses and gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from supernet.arch import Arch
from supernet.batches import Batch, Draw, TrainingSet, input_of
from supernet.calibrate import calibrate
from supernet.distillation import blend, soft_label_loss
from supernet.evaluate import predict, ready_subnet, subnet_error
from supernet.network import SuperNet
from supernet.settings import TrainSettings
from supernet.sorting import channel_order, reorder
from supernet.tasks import Task

_SUBNETS = 11


class Method(Protocol):
    """One way to train; `name` stands in checkpoints."""

    name: str

    @property
    def module(self) -> nn.Module:
        """What holds the parameters."""

    @property
    def rates(self) -> tuple[int, ...]:
        """The sampling rates in Hz that it reads."""

    def start_epoch(self, epoch: int, settings: TrainSettings, optimizer: Optimizer) -> None:
        """Prepare for an epoch (counted from 0)."""

    def step(self, batch: Batch, settings: TrainSettings, epoch: int, step: int) -> float:
        """Add gradients of one batch to the parameters; returns the loss."""

    def validate(self, training: TrainingSet, validation: TrainingSet) -> dict[str, float]:
        """Errors on validation windows, by name; "error" is the one to report."""


@dataclass
class SingleNetwork:
    """Train one network (teacher, subnet, student) that reads `channels` channels at `rate_hz`."""

    module: nn.Module
    task: Task
    rate_hz: int
    channels: int
    name: str = "network"

    @property
    def rates(self) -> tuple[int, ...]:
        """The one rate it reads."""
        return (self.rate_hz,)

    def start_epoch(self, epoch: int, settings: TrainSettings, optimizer: Optimizer) -> None:
        """Training mode: batch statistics."""
        self.module.train()

    def step(self, batch: Batch, settings: TrainSettings, epoch: int, step: int) -> float:
        """One backward pass on the blended loss."""
        logits = self.module(batch.inputs[self.rate_hz][:, : self.channels])
        loss = _loss(self.task, logits, batch.targets, batch.teacher_logits, settings)
        loss.backward()
        return float(loss.detach())

    def validate(self, training: TrainingSet, validation: TrainingSet) -> dict[str, float]:
        """Recalibrate its norms, then the error on all validation windows."""
        self.calibrate(training)
        inputs = validation.windows(self.rate_hz)[:, : self.channels]
        estimate, _ = predict(self.module, inputs, self.task)
        return {"error": self.task.error(estimate, validation.targets, validation.subjects)}

    def calibrate(self, training: TrainingSet, windows: int = 1024, batch: int = 128) -> None:
        """Re-estimate the norms on unvaried training windows; leaves eval mode."""
        count = min(windows, len(training))
        chosen = np.random.default_rng(7).choice(len(training), count, replace=False)
        parts = [chosen[i : i + batch] for i in range(0, count, batch)]
        calibrate(
            self.module,
            (training.windows(self.rate_hz, part)[:, : self.channels] for part in parts if len(part) > 1),
        )


@dataclass
class Sandwich:
    """Train a supernet by the sandwich rule: random subnets, and now and then the largest and smallest.

    The largest learns from labels and teacher; the others from labels and from the beliefs of the
    teacher and the largest (Yu and Huang 2019, section 3). In the first `warmup_epochs` only full
    width, depth and expansion is trained, with random kernels, dilations and inputs; then channels
    are sorted by importance.
    """

    supernet: SuperNet
    task: Task
    name: str = "sandwich"
    _largest: Arch = field(init=False)
    _smallest: Arch = field(init=False)

    def __post_init__(self) -> None:
        self._largest, self._smallest = self.supernet.space.largest(), self.supernet.space.smallest()

    @property
    def module(self) -> nn.Module:
        """The supernet."""
        return self.supernet

    @property
    def rates(self) -> tuple[int, ...]:
        """Every rate of the space."""
        return self.supernet.space.rates

    def start_epoch(self, epoch: int, settings: TrainSettings, optimizer: Optimizer) -> None:
        """Sort channels when warm-up ends."""
        self.supernet.train()
        if epoch and epoch == settings.warmup_epochs:
            reorder(self.supernet, channel_order(self.supernet), optimizer)

    def step(self, batch: Batch, settings: TrainSettings, epoch: int, step: int) -> float:
        """Gradients of the largest subnet, then of the others; their mean loss is returned."""
        guide, losses = batch.teacher_logits, []
        archs = self._randoms(settings, epoch, step)
        if step % settings.extremes_every == 0:
            logits, loss = self._backward(self._largest, batch, batch.teacher_logits, settings)
            guide = _joint_belief(logits, batch.teacher_logits, settings)
            losses.append(loss)
            if epoch >= settings.warmup_epochs:
                archs = [self._smallest, *archs]
        losses += [self._backward(arch, batch, guide, settings)[1] for arch in archs]
        return float(np.mean(losses))

    def _backward(
        self, arch: Arch, batch: Batch, guide: Tensor | None, settings: TrainSettings
    ) -> tuple[Tensor, float]:
        logits = self.supernet(input_of(batch.inputs, arch), arch)
        loss = _loss(self.task, logits, batch.targets, guide, settings)
        loss.backward()
        return logits.detach(), float(loss.detach())

    def _randoms(self, settings: TrainSettings, epoch: int, step: int) -> list[Arch]:
        rng = np.random.default_rng([settings.seed, _SUBNETS, epoch, step])
        space = self.supernet.space
        warms_up = epoch < settings.warmup_epochs
        genes = space.sample(1 if warms_up else settings.random_subnets, rng)
        reads_all = rng.random(len(genes)) < settings.all_sensors_share
        all_sensors = space.encode([self._largest])[0, 1]
        others = [gene for gene in range(len(space.sensors)) if gene != all_sensors] or [all_sensors]
        genes[:, 1] = np.where(reads_all, all_sensors, rng.choice(others, len(genes)))
        return space.decode(widest(self.supernet, genes, rng) if warms_up else genes)

    def validate(self, training: TrainingSet, validation: TrainingSet) -> dict[str, float]:
        """Errors of the largest, the smallest and the mean over eight random subnets ("error")."""
        space = self.supernet.space
        inputs = validation.normalized()

        def error(arch: Arch) -> float:
            subnet = ready_subnet(self.supernet, arch, training)
            return subnet_error(subnet, arch, inputs, validation.targets, self.task, validation.subjects)

        randoms = [error(arch) for arch in space.decode(space.sample(8, np.random.default_rng(0)))]
        return {
            "error": float(np.mean(randoms)),
            "largest": error(self._largest),
            "smallest": error(self._smallest),
        }


class TeacherLogits:
    """A frozen teacher's logits for every window of a draw, computed once per draw and kept.

    They are computed in the order of the windows, so that they do not depend on how batches fall.
    """

    def __init__(self, teacher: nn.Module, rate_hz: int, channels: int = 4) -> None:
        self.teacher, self.rate_hz, self.channels = teacher.eval(), rate_hz, channels
        self._training: TrainingSet | None = None
        self._known: dict[object, Tensor] = {}

    def of(self, draw: Draw, batch: int = 256) -> Tensor:
        """Logits (n, outputs) for the windows of a draw."""
        if draw.training is not self._training:
            self._training = draw.training
            self._known.clear()
        if draw.identity not in self._known:
            parts = []
            with torch.no_grad():
                for start in range(0, len(draw.training), batch):
                    chosen = np.arange(start, min(start + batch, len(draw.training)))
                    inputs = draw.inputs(chosen, (self.rate_hz,))[self.rate_hz]
                    parts.append(self.teacher(inputs[:, : self.channels]))
            self._known[draw.identity] = torch.cat(parts)
        return self._known[draw.identity]


def widest(supernet: SuperNet, genes: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """The genes with full widths and depths, and every inverted residual at its largest expansion."""
    space = supernet.space
    full = np.array(genes, copy=True)
    full[:, 2] = space.highs[2]
    for column in space.width_columns:
        full[:, column] = space.highs[column]
    for block in space.block_columns:
        top = max((option.expansion for option in block.options), default=0)
        allowed = [i for i, o in enumerate(block.options, 1) if o.kind == "dilated" or o.expansion == top]
        full[:, block.column] = rng.choice(allowed, len(full))
    return space.canonical(full)


def _loss(
    task: Task, logits: Tensor, targets: Tensor, guide: Tensor | None, settings: TrainSettings
) -> Tensor:
    hard = task.loss(logits, targets)
    soft = None if guide is None else soft_label_loss(logits, guide, settings.temperature)
    return blend(hard, soft, settings.distillation_alpha)


def _joint_belief(largest: Tensor, teacher: Tensor | None, settings: TrainSettings) -> Tensor:
    """Log of both beliefs' mixture: `in_place_share` of it the largest subnet's, the rest the teacher's."""
    if teacher is None:
        return largest
    share = settings.in_place_share
    return torch.log(share * largest.softmax(1) + (1.0 - share) * teacher.softmax(1) + 1e-12)
