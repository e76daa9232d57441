"""What one training step does: a network by itself, or a supernet by the sandwich rule.

`fit` in train.py owns the loop, the optimizer and the checkpoints; a method owns losses and gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from hwmodels.network.graph import Reads
from hwmodels.signals.spectrum import POSITIONS
from supernet.distillation.distiller import DistillationError, Distiller
from supernet.distillation.in_place import joint_belief
from supernet.distillation.losses.soft_labels import blend
from supernet.distillation.observation import Observation, observe
from supernet.network.calibrate import calibrate
from supernet.network.channel_sorting import channel_order, reorder
from supernet.network.supernet import SuperNet
from supernet.settings.losses import LOSSES, Term, losses_on_logits
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch
from supernet.space.search_space import Genes, SearchSpace
from supernet.tasks.task import Task
from supernet.training.batch import Batch
from supernet.training.teaching import Teaching, distiller_of
from supernet.training.window_outputs import predict, ready_subnet, subnet_error
from supernet.windows.steps import Windows, call, drawn_rows
from supernet.windows.training_set import TrainingSet, input_of

_SUBNETS = 11
_POOL = 2000


class Method(Protocol):
    """One way to train; `name` stands in checkpoints."""

    name: str

    @property
    def module(self) -> nn.Module:
        """What holds the parameters."""

    @property
    def rates(self) -> tuple[int, ...]:
        """The sampling rates in Hz that it reads."""

    @property
    def reads(self) -> Reads:
        """Samples or spectra."""

    @property
    def helpers(self) -> nn.Module | None:
        """What is trained beside the module and thrown away; None or empty where nothing is."""

    def prepare(self, settings: TrainSettings, teacher: Teaching | None, window_s: float) -> None:
        """Make ready for a training by this teacher, before its first epoch."""

    @property
    def needs_maps(self) -> bool:
        """Whether it compares more of a teacher than its logits."""

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
    reads: Reads = "samples"
    _distiller: Distiller | None = field(default=None, init=False)

    @property
    def rates(self) -> tuple[int, ...]:
        """The one rate it reads."""
        return (self.rate_hz,)

    @property
    def helpers(self) -> nn.Module | None:
        """Adaptors from its features to the teacher's."""
        return self._distiller

    @property
    def needs_maps(self) -> bool:
        """Whether a loss looks at features or attention."""
        return self._distiller is not None and self._distiller.needs_maps

    def prepare(self, settings: TrainSettings, teacher: Teaching | None, window_s: float) -> None:
        """Compose the losses of the settings."""
        if teacher is None or not settings.distillation:
            self._distiller = Distiller(_terms(settings), self.task)
            return
        samples = POSITIONS if self.reads == "spectrum" else round(window_s * self.rate_hz)
        self._distiller = distiller_of(
            settings.distillation, self.task, self.module, self.channels, samples, teacher, window_s
        )

    def start_epoch(self, epoch: int, settings: TrainSettings, optimizer: Optimizer) -> None:
        """Training mode: batch statistics."""
        self.module.train()

    def step(self, batch: Batch, settings: TrainSettings, epoch: int, step: int) -> float:
        """One backward pass on the blended loss."""
        assert self._distiller is not None, "fit prepares it"
        x = input_of(batch.inputs, self)
        windows = Windows(x, batch.inputs.past)
        student = observe(self.module, windows) if self.needs_maps else Observation(call(self.module, windows))
        student = student.weighted(batch.weights)
        loss = _loss(self.task, self._distiller, student, batch.targets, batch.teacher, settings)
        loss.backward()
        return float(loss.detach())

    def validate(self, training: TrainingSet, validation: TrainingSet) -> dict[str, float]:
        """Recalibrate its norms, then the error on all validation windows."""
        self.calibrate(training)
        estimate, _ = predict(self.module, validation.read(self), self.task)
        return {"error": self.task.error(estimate, validation.targets, validation.subjects)}

    def calibrate(self, training: TrainingSet, windows: int = 1024, batch: int = 128) -> None:
        """Re-estimate the norms on unvaried training windows; leaves eval mode."""
        drawn = drawn_rows(len(training), windows, training.block, np.random.default_rng(7))
        chosen = np.concatenate(list(drawn))
        parts = [chosen[i : i + batch] for i in range(0, len(chosen), batch)]
        calibrate(
            self.module,
            (training.read(self, part) for part in parts if len(part) > 1),
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
    needs_maps = False
    _distiller: Distiller | None = field(default=None, init=False)
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

    @property
    def reads(self) -> Reads:
        """What the space says."""
        return self.supernet.space.reads

    @property
    def helpers(self) -> nn.Module | None:
        """None: subnets of all widths share no adaptor."""
        return None

    def prepare(self, settings: TrainSettings, teacher: Teaching | None, window_s: float) -> None:
        """Compose the losses. Raises DistillationError for one that needs more than logits."""
        for term in settings.distillation:
            if LOSSES[term.kind].reads != "logits":
                raise DistillationError(
                    f"supernet.distillation, {term.kind}: subnets of all widths share no features; "
                    f"use {', '.join(losses_on_logits())} here, and {term.kind} in finish.fine_tuning"
                )
        self._distiller = Distiller(_terms(settings), self.task)

    def start_epoch(self, epoch: int, settings: TrainSettings, optimizer: Optimizer) -> None:
        """Sort channels when warm-up ends."""
        self.supernet.train()
        if epoch and epoch == settings.warmup_epochs:
            reorder(self.supernet, channel_order(self.supernet), optimizer)

    def step(self, batch: Batch, settings: TrainSettings, epoch: int, step: int) -> float:
        """Gradients of the largest subnet, then of the others; their mean loss is returned."""
        guide, losses = batch.teacher, []
        archs = self._randoms(settings, epoch, step)
        if step % settings.extremes_every == 0:
            logits, loss = self._backward(self._largest, batch, batch.teacher, settings)
            known = None if batch.teacher is None else batch.teacher.logits
            guide = Observation(joint_belief(logits, known, settings.in_place_share))
            losses.append(loss)
            if self._has_smallest(settings, epoch):
                archs = [self._smallest, *archs]
        losses += [self._backward(arch, batch, guide, settings)[1] for arch in archs]
        return float(np.mean(losses))

    def _has_smallest(self, settings: TrainSettings, epoch: int) -> bool:
        """Whether the smallest subnet is trained in this epoch."""
        return epoch >= settings.warmup_epochs

    def _backward(
        self, arch: Arch, batch: Batch, guide: Observation | None, settings: TrainSettings
    ) -> tuple[Tensor, float]:
        assert self._distiller is not None, "fit prepares it"
        logits = self.supernet(input_of(batch.inputs, arch), arch, past=batch.inputs.past)
        student = Observation(logits).weighted(batch.weights)
        loss = _loss(self.task, self._distiller, student, batch.targets, guide, settings)
        loss.backward()
        return logits.detach(), float(loss.detach())

    def _randoms(self, settings: TrainSettings, epoch: int, step: int) -> list[Arch]:
        rng = np.random.default_rng([settings.seed, _SUBNETS, epoch, step])
        space = self.supernet.space
        warms_up = epoch < settings.warmup_epochs
        genes = self._drawn(1 if warms_up else settings.random_subnets, settings, rng)
        return space.decode(restricted(space, genes, rng) if warms_up else genes)

    def _drawn(self, count: int, settings: TrainSettings, rng: np.random.Generator) -> Genes:
        """Random genes: anything of the space, or one from each of `count` ranges of cost."""
        space = self.supernet.space
        genes = space.sample(count, rng)
        if settings.sampling == "cost_bins" and count > 1:
            bins = np.array_split(self._by_cost, count)
            genes = np.stack([held[rng.integers(len(held))] for held in bins])
        reads_all = rng.random(len(genes)) < settings.all_sensors_share
        all_sensors = space.encode([self._largest])[0, 1]
        others = [gene for gene in range(len(space.sensors)) if gene != all_sensors] or [all_sensors]
        genes[:, 1] = np.where(reads_all, all_sensors, rng.choice(others, len(genes)))
        return genes

    @cached_property
    def _by_cost(self) -> Genes:
        """Random members in the order of their multiply-accumulates."""
        space = self.supernet.space
        genes = space.sample(_POOL, np.random.default_rng(_SUBNETS))
        return genes[np.argsort([space.lower(arch).macs for arch in space.decode(genes)], kind="stable")]

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


def restricted(
    space: SearchSpace,
    genes: Genes,
    rng: np.random.Generator,
    *,
    is_deepest: bool = True,
    has_largest_kernels: bool = False,
) -> Genes:
    """The genes with full widths and expansions, and unless told otherwise with all blocks.

    Kinds and dilations, whose weights are their own, stay random.
    """
    full = np.array(genes, copy=True)
    full[:, 2] = space.highs[2]
    for column in space.width_columns:
        full[:, column] = space.highs[column]
    for block in space.block_columns:
        top: dict[str, tuple[int, int]] = {}
        for option in block.options:
            expansion, kernel = top.get(option.kind, (0, 0))
            top[option.kind] = max(expansion, option.expansion), max(kernel, option.kernel)
        allowed = [i for i, option in enumerate(block.options, 1) if option.expansion == top[option.kind][0]]
        if has_largest_kernels:
            allowed = [i for i in allowed if block.options[i - 1].kernel == top[block.options[i - 1].kind][1]]
        picked = rng.choice(allowed, len(full))
        full[:, block.column] = picked if is_deepest else np.where(full[:, block.column], picked, 0)
    return space.canonical(full)


def _loss(
    task: Task,
    distiller: Distiller,
    student: Observation,
    targets: Tensor,
    guide: Observation | None,
    settings: TrainSettings,
) -> Tensor:
    hard = task.loss(student.logits, targets)
    soft = None if guide is None else distiller(student, guide, targets)
    return blend(hard, soft, settings.distillation_alpha)


def _terms(settings: TrainSettings) -> tuple[Term, ...]:
    """The losses of the settings, or soft labels alone."""
    return settings.distillation or (Term(kind="soft_labels", temperature=settings.temperature),)
