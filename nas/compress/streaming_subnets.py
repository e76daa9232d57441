"""Fine-tuning for incremental mode: the quantized subnet learns with features from before its window.

Reads a finished subnet and unbroken stretches of training windows; hands back an integer network for
hwmodels.schedule.step_graph, with the verdict's limit of the finished one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwmodels.basics.errors import InputError
from hwmodels.firmware.tracker import Tracker, load_tracker, save_tracker
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.interpreter import IntegerModel, load_model, save_model
from hwmodels.schedule.step_graph import lengthened, streaming_step
from nas.assembly.loading import load_network, trained_teacher, windows_of
from nas.assembly.run_space import space_of
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.compress.finish import finished_float, finished_model
from nas.data.windows import WindowSet
from nas.evaluation.streamed_windows import streaming_logits, streams
from nas.evaluation.tracker_fit import fit_tracker
from nas.run.run_directory import RunDirectory
from supernet.distillation.losses.soft_labels import blend, soft_label_loss
from supernet.settings.training import Training
from supernet.space.arch import Arch
from supernet.training.trainer import schedule
from supernet.training.window_outputs import logits_of

_MODEL = "streaming.npz"
_TRACKER = "streaming_tracker.json"
_NOISE = 0.05
_GRADIENT_CLIP = 5.0
_RISE_SHARE = 0.05


class Streamed(nn.Module):
    """A quantized subnet over a window and `context` samples before it, whose features are then left out."""

    def __init__(self, network: FakeQuantNetwork, context: int) -> None:
        super().__init__()
        self.network = network
        window: LayerGraph = network.graph
        self._graph = lengthened(window, window.input.length_in + context)
        pool = next(op for op in window if op.kind == "average_pool" and op.length_out == 1)
        self._features, self._rows = window.sources(pool.name)[0], pool.length_in

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of normalized samples (batch, channels, context + window)."""

        def kept(op: Op, y: Tensor) -> Tensor:
            return y[..., -self._rows :] if op.name == self._features else y

        return self.network.on_graph(self._graph, x, kept)


@dataclasses.dataclass(frozen=True, eq=False)
class Stretches:
    """Unbroken stretches of windows as a streaming network reads them, and every window's place in them.

    signals: normalized samples (channels, T) of each stretch. stretch, end: (n,) where a window lies and
    ends; window: (n,) its index in the WindowSet. Windows without a whole context are left out.
    """

    signals: tuple[NDArray[np.float32], ...]
    stretch: NDArray[np.int64]
    end: NDArray[np.int64]
    window: NDArray[np.int64]
    samples: int

    def batch(self, chosen: NDArray[np.int64]) -> Tensor:
        """Samples (n, channels, context + window) of the chosen windows."""
        places = zip(self.stretch[chosen], self.end[chosen], strict=True)
        return torch.from_numpy(np.stack([self.signals[at][:, end - self.samples : end] for at, end in places]))


def stretches_of(windows: WindowSet, rate_hz: int, channels: int, step_s: float, context: int) -> Stretches:
    """See `Stretches`; windows with doubtful labels are context only."""
    normalized = windows.normalized(rate_hz)[:, :channels]
    new, length = round(step_s * rate_hz), normalized.shape[2]
    signals, places = [], []
    for number, stretch in enumerate(streams(windows, step_s)):
        later = [normalized[index][:, -new:] for index in stretch[1:]]
        signals.append(np.concatenate([normalized[stretch[0]], *later], axis=1))
        for position, index in enumerate(stretch):
            end = length + position * new
            if end >= length + context and windows.trusted[index]:
                places.append((number, end, index))
    stretch, end, window = np.array(places, np.int64).reshape(-1, 3).T
    return Stretches(tuple(signals), stretch, end, window, length + context)


SETTINGS = Training(epochs=6, batch=32, learning_rate=1e-3)
"""Two minutes on one core for 23 people; chosen on validation subjects."""


def require_streamable(run: RunDirectory, arch: Arch) -> None:
    """Raise InputError, or StreamingError naming the operation, when `arch` has no incremental mode."""
    if run.config.task.kind != "heart_rate":
        raise InputError(f"{run.path}: only heart rates are streamed, this run's task is {run.config.task.kind}")
    streaming_step(space_of(run.config).lower(arch), round(run.config.data.step_s * arch.rate_hz))


def adapted_model(run: RunDirectory, arch: Arch) -> IntegerModel | None:
    """The window form of a subnet that was fine-tuned for incremental mode before; None when it was not."""
    path = run.subnet(arch.id) / "int8" / _MODEL
    return load_model(path) if path.exists() else None


def save_adapted(run: RunDirectory, arch: Arch, model: IntegerModel) -> None:
    """Keep it beside the quantized subnet, to go when that goes; an earlier one's tracker goes now."""
    (run.subnet(arch.id) / "int8" / _TRACKER).unlink(missing_ok=True)
    save_model(model, run.subnet(arch.id) / "int8" / _MODEL)


def adapted_tracker(run: RunDirectory, arch: Arch, model: IntegerModel) -> Tracker:
    """The tracker behind the steps of `model`, which `adapted_model` gave; fitted the first time and kept.

    Its settings are chosen as those of window mode (nas/evaluation/tracker_fit.py), on the logits of steps.
    """
    path = run.subnet(arch.id) / "int8" / _TRACKER
    if not path.exists():
        read = partial(streaming_logits, step_s=run.config.data.step_s)
        save_tracker(fit_tracker(model, windows_of(run, "train"), windows_of(run, "validation"), read), path)
    return load_tracker(path)


def adapt_to_streaming(run: RunDirectory, arch: Arch, settings: Training) -> IntegerModel:
    """Fine-tune the finished quantized subnet of `arch` for incremental mode, on training subjects alone.

    Samples are normalized as in streaming; noise is added.
    Deterministic for the run's seed.
    """
    require_streamable(run, arch)
    torch.set_num_threads(run.config.threads)
    step_s, task, seed = run.config.data.step_s, run.config.task_kind.training(run.config.task), run.config.seed
    new = round(step_s * arch.rate_hz)
    reach = round(space_of(run.config).receptive_field_s(arch) * arch.rate_hz)
    windows = windows_of(run, "train")
    data = stretches_of(windows, arch.rate_hz, arch.channels, step_s, -(-reach // new) * new)
    network = FakeQuantNetwork(finished_float(run, arch))
    load_network(network, run.subnet(arch.id) / "int8" / "model.pt")
    teacher = trained_teacher(run)
    guide = logits_of(teacher.network, torch.from_numpy(windows.normalized(teacher.rate_hz)[:, : teacher.channels]))[
        data.window
    ]
    targets = torch.from_numpy(windows.heart_rate_bpm[data.window])
    streamed = Streamed(network.train(), data.samples - windows.normalized(arch.rate_hz).shape[2])
    if not len(targets):
        raise InputError(f"{run.path}: no training recording is long enough for streaming's context")
    optimizer = torch.optim.AdamW(streamed.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * max(1, len(targets) // settings.batch)
    for number, (chosen, rng) in enumerate(_batches(len(targets), settings, seed)):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(number / steps, _RISE_SHARE)
        logits = streamed(_varied(data.batch(chosen), rng))
        soft = soft_label_loss(logits, guide[chosen], settings.temperature)
        loss = blend(task.loss(logits, targets[chosen]), soft, settings.distillation_alpha)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(streamed.parameters(), _GRADIENT_CLIP)
        optimizer.step()
    before = finished_model(run, arch)
    return network.eval().export(before.head, before.input)


def _batches(count: int, settings: Training, seed: int) -> Iterator[tuple[NDArray[np.int64], np.random.Generator]]:
    for epoch in range(settings.epochs):
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(count)
        for step in range(max(1, count // settings.batch)):
            yield order[step * settings.batch : (step + 1) * settings.batch], rng


def _varied(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise on the pulse, and the same on what cancelling leaves of it."""
    level = torch.from_numpy(rng.random((len(x), 1, 1), dtype=np.float32)) * _NOISE
    noise = torch.from_numpy(rng.standard_normal((len(x), 1, x.shape[2]), dtype=np.float32))
    return torch.cat([x[:, :2] + level * noise, x[:, 2:]], dim=1)
