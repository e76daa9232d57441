"""The one trainer: teacher, supernet, single networks. AdamW, cosine schedule, exact resume.

Everything random follows from (seed, epoch, step), so a checkpoint needs weights and moments only.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import AdamW

from hwmodels.basics.errors import InputError
from supernet.compute import accelerator
from supernet.compute.accelerator import CPU
from supernet.compute.allocation import keep_freed_memory
from supernet.settings.training import TrainSettings
from supernet.tasks.task import Task
from supernet.training.batch import Batch
from supernet.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from supernet.training.distributed import ALONE, Team
from supernet.training.methods import Method
from supernet.training.teaching import Teaching
from supernet.windows.training_set import Draw, TrainingSet, corrupt, epoch_order


class DivergedError(InputError):
    """The loss is no longer a number; the message names epoch and step."""


class MemoryExhaustedError(InputError):
    """A training step needs more memory than there is; the message says what to change."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: mean loss, rate, and validation errors by name (empty where none was measured)."""

    epoch: int
    epochs: int
    loss: float
    windows_per_s: float
    seconds: float
    validation: dict[str, float]


def fit(  # noqa: PLR0913 - what training takes part in, by name
    method: Method,
    training: TrainingSet,
    task: Task,
    settings: TrainSettings,
    *,
    validation: TrainingSet | None = None,
    teacher: Teaching | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    team: Team = ALONE,
    device: torch.device | None = None,
) -> list[EpochRecord]:
    """Train `method.module` in place and return one record per epoch.

    With `checkpoint`, every finished epoch is saved there before `on_epoch` is told of it, and an
    existing file is continued from; the end is bit for bit that of an undisturbed training. A `team` of
    processes calls this together: all train alike, its leader alone validates, saves and tells. Windows,
    their variations, networks and losses stay on `device` (default: what accelerator.use chose for the
    process) until the end, when the module is back on the CPU.
    Raises CheckpointError for a damaged or foreign checkpoint, DivergedError when the loss turns NaN and
    MemoryExhaustedError when memory runs out; both leave the last good checkpoint in place.
    """
    keep_freed_memory()
    _require_fitting(method, training, task, settings)
    method.prepare(settings, teacher, training.window_s)
    device = device or accelerator.chosen()
    training = training.on(device)
    validation = None if validation is None else validation.on(device)
    method.module.to(device)
    helpers: list[nn.Parameter] = []
    if method.helpers is not None:
        helpers = list(method.helpers.to(device).parameters())
    groups = _groups(method.module, settings.weight_decay)
    groups += [{"params": helpers, "weight_decay": settings.weight_decay}] if helpers else []
    optimizer = AdamW(groups, lr=settings.learning_rate, fused=device.type == "cuda")
    mark = _fingerprint(method, training, settings, team)
    history: list[EpochRecord] = []
    if checkpoint is not None and checkpoint.exists():
        history = _restored(checkpoint, mark, method, optimizer, bool(helpers))
    epochs = _Epochs(method, training, task, settings, teacher, optimizer, team)
    for epoch in range(len(history), settings.epochs):
        begun = time.perf_counter()
        method.start_epoch(epoch, settings, optimizer)
        with _memory_watched(settings, epoch):
            loss, windows = epochs.train(epoch)
        seconds = time.perf_counter() - begun
        is_last = epoch + 1 == settings.epochs
        is_due = is_last or (settings.validate_every and (epoch + 1) % settings.validate_every == 0)
        is_due = is_due and validation is not None
        errors = method.validate(training, validation) if validation is not None and is_due and team.leads else {}
        errors = team.agree(errors)
        history.append(EpochRecord(epoch, settings.epochs, loss, windows / seconds, seconds, errors))
        if checkpoint is not None and team.leads:
            save_checkpoint(checkpoint, _content(mark, method, optimizer, history, bool(helpers)))
        if on_epoch is not None and team.leads:
            on_epoch(history[-1])
    method.module.to(CPU).eval()
    return history


def _require_fitting(method: Method, training: TrainingSet, task: Task, settings: TrainSettings) -> None:
    """Raise InputError for windows or settings that the network or the task has no use for."""
    missing = set(method.rates) - set(training.inputs)
    if missing:
        raise InputError(f"training set: no windows at {sorted(missing)} Hz, which the network reads")
    if settings.augmentation.rate_share and method.reads != "spectrum":
        raise InputError("augmentation.rate_share: only spectra can be given another heart rate; set it to 0 here")
    if settings.augmentation.pulseless_share and task.band_per_min is None:
        raise InputError("augmentation.pulseless_share: a task of rhythms has no belief for it; set it to 0")


def _content(
    mark: str, method: Method, optimizer: AdamW, history: Sequence[EpochRecord], has_helpers: bool
) -> dict[str, Any]:
    """What a checkpoint holds."""
    content = {
        "fingerprint": mark,
        "module": method.module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [asdict(record) for record in history],
    }
    if has_helpers and method.helpers is not None:
        content["helpers"] = method.helpers.state_dict()
    return content


def _restored(checkpoint: Path, mark: str, method: Method, optimizer: AdamW, has_helpers: bool) -> list[EpochRecord]:
    """Put the state of a checkpoint into networks and optimizer; the epochs before it."""
    content = load_checkpoint(checkpoint, mark)
    try:
        method.module.load_state_dict(content["module"])
        if has_helpers and method.helpers is not None:
            method.helpers.load_state_dict(content["helpers"])
        optimizer.load_state_dict(content["optimizer"])
        return [EpochRecord(**record) for record in content["history"]]
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
        raise CheckpointError(f"{checkpoint}: the checkpoint is damaged; delete it and run again") from None


@contextmanager
def _memory_watched(settings: TrainSettings, epoch: int) -> Iterator[None]:
    """Turn what an allocator says into what a user can do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # The CPU's allocator raises a bare RuntimeError; a GPU's is a class of its own.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise MemoryExhaustedError(
            f"training ran out of memory in epoch {epoch + 1} with a batch of {settings.batch} windows: "
            "give it more memory, and the same command goes on from the last finished epoch; or lower batch "
            "in the configuration and use another folder with --run"
        ) from None


@dataclass(frozen=True, eq=False)
class _Epochs:
    """One training's epochs: what they all go through."""

    method: Method
    training: TrainingSet
    task: Task
    settings: TrainSettings
    teacher: Teaching | None
    optimizer: AdamW
    team: Team

    def train(self, epoch: int) -> tuple[float, int]:
        """Train one epoch; returns the mean loss and the number of windows seen."""
        method, training, settings = self.method, self.training, self.settings
        draw = Draw(training, settings.augmentation, self.task, settings.seed, epoch % settings.draws)
        known = None if self.teacher is None else self.teacher.of(draw, with_maps=method.needs_maps)
        if known is not None and self.teacher is not None and self.teacher.reads == "samples":
            known = replace(known, logits=draw.corrected(known.logits, self.task.band_per_min))
        parameters = list(method.module.parameters())
        parameters += [] if method.helpers is None else list(method.helpers.parameters())
        order = list(epoch_order(len(training), settings.batch, settings.seed, epoch, draw.blocks))
        total, windows = 0.0, 0
        with torch.random.fork_rng(devices=[]):
            for step, chosen in enumerate(order):
                done = (epoch + step / len(order)) / settings.epochs
                for group in self.optimizer.param_groups:
                    group["lr"] = settings.learning_rate * schedule(done, settings.rise_share)
                torch.manual_seed(int(np.random.SeedSequence([settings.seed, epoch, step]).generate_state(1)[0]))
                inputs = corrupt(draw.inputs(chosen, method.rates), settings.augmentation, settings.seed, epoch, step)
                weights = None if training.weights is None else torch.from_numpy(training.weights[chosen])
                weights = None if weights is None else weights.to(training.device)
                batch = Batch(inputs, draw.targets[chosen], None if known is None else known[chosen], weights)
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.team.mean(method.step(self.team.share(batch), settings, epoch, step))
                self.team.average(parameters)
                norm = nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
                if not math.isfinite(loss) or not math.isfinite(float(norm)):
                    raise DivergedError(
                        f"training diverged: loss {loss} in epoch {epoch + 1}, step {step + 1}; lower "
                        "learning_rate or check the data; the last finished epoch's checkpoint is kept"
                    )
                self.optimizer.step()
                total, windows = total + loss * len(chosen), windows + len(chosen)
        return total / windows, windows


def schedule(done: float, rise_share: float) -> float:
    """Factor on the peak learning rate when a share `done` of all steps is done.

    A linear rise, then half a cosine to zero (Loshchilov and Hutter 2017, equation 5).
    """
    if done < rise_share:
        return (done + 0.01) / (rise_share + 0.01)
    return 0.5 * (1.0 + math.cos(math.pi * (done - rise_share) / (1.0 - rise_share)))


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases, norms and kernel transforms do not."""
    decayed = [p for n, p in module.named_parameters() if p.dim() > 1 and "transforms" not in n]
    others = [p for n, p in module.named_parameters() if p.dim() <= 1 or "transforms" in n]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _fingerprint(method: Method, training: TrainingSet, settings: TrainSettings, team: Team) -> str:
    shapes = [[name, list(value.shape)] for name, value in method.module.state_dict().items()]
    facts = [method.name, settings.to_dict(), len(training), float(np.sum(training.targets)), shapes]
    facts += [team.size] if team.size > 1 else []
    facts += [] if training.weights is None else [float(training.weights.sum())]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
