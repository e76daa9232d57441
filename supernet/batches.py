"""TrainingSet and its augmentation: windows with margins in, normalized and varied batches out.

What is drawn depends on (seed, draw, window) or (seed, epoch, step) alone, never on history, so that a
resumed training sees what an undisturbed one would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hwmodels.errors import InputError
from supernet.arch import Arch
from supernet.tasks import Task

ACC_SCALE_G = 0.3
_SMALLEST_DEVIATION = 1e-8
_GEOMETRY, _CORRUPTION, _ORDER = 1, 2, 3
Inputs = Mapping[int, Tensor]
"""Normalized windows by rate in Hz: float32 (n, 4, window_s * rate)."""


def normalize_windows(x: Tensor, acc_scale_g: float = ACC_SCALE_G) -> Tensor:
    """Normalize windows (n, 4, samples) as the exported C code does, each by itself.

    Channel 0 (PPG) minus its mean, over its standard deviation (a flat one becomes zeros); the
    accelerometer's channels, in g, minus their means, over `acc_scale_g`.
    """
    centred = x - x.mean(dim=2, keepdim=True)
    deviation = centred[:, :1].square().mean(dim=2, keepdim=True).sqrt()
    pulse = torch.where(
        deviation > _SMALLEST_DEVIATION, centred[:, :1] / deviation.clamp(min=_SMALLEST_DEVIATION), 0.0
    )
    return torch.cat([pulse, centred[:, 1:] / acc_scale_g], dim=1)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """n labelled windows with margins at one or more rates.

    inputs: rate in Hz -> float32 (n, 4, (window_s + 2 margin_s) * rate): band-passed PPG, then the
    accelerometer in g (zeros where has_acc is False). targets: (n,) BPM or class indices.
    subjects: (n,) names, by which errors are averaged, or None.
    """

    inputs: Mapping[int, npt.NDArray[np.float32]]
    has_acc: npt.NDArray[np.bool_]
    targets: npt.NDArray[Any]
    window_s: float
    margin_s: float
    subjects: npt.NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        if not len(self) or not self.inputs:
            raise InputError("training set: no windows; check the fold and the labels")
        if not np.isfinite(self.targets).all():
            raise InputError("training set: targets hold values that are not finite; drop those windows")
        for rate, held in self.inputs.items():
            samples = round(self.window_s * rate) + 2 * round(self.margin_s * rate)
            if held.shape != (len(self), 4, samples):
                raise InputError(
                    f"training set: inputs at {rate} Hz are {held.shape}, expected {(len(self), 4, samples)}"
                )

    def __len__(self) -> int:
        return len(self.targets)

    def windows(self, rate_hz: int, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Tensor:
        """Normalized windows proper, without margins or augmentation: (n, 4, window_s * rate_hz)."""
        margin = round(self.margin_s * rate_hz)
        samples = round(self.window_s * rate_hz)
        held = torch.from_numpy(self.inputs[rate_hz][chosen][:, :, margin : margin + samples])
        return normalize_windows(held)

    def normalized(self, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Inputs:
        """`windows` at every rate."""
        return {rate: self.windows(rate, chosen) for rate in self.inputs}


@dataclass(frozen=True)
class Augmentation:
    """How training windows are varied.

    A window is played between `slowest` and `fastest` times its speed, as far as its margins reach,
    and its heart rate with it (share `stretch_share` of the windows); the accelerometer's frame is
    turned at random when `turns_sensor`. Noise of deviation up to `noise` (in deviations of the
    PPG) is added and the accelerometer silenced for a share `acc_dropout` of the windows; neither is
    shown to a teacher.
    """

    slowest: float = 0.75
    fastest: float = 1.3
    stretch_share: float = 0.9
    turns_sensor: bool = True
    noise: float = 0.05
    acc_dropout: float = 0.0


NO_AUGMENTATION = Augmentation(stretch_share=0.0, turns_sensor=False, noise=0.0, acc_dropout=0.0)


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows of one training step: normalized inputs by rate, labels (n,), teacher logits or None."""

    inputs: Inputs
    targets: Tensor
    teacher_logits: Tensor | None = None


class Draw:
    """One random variation of a whole training set: a factor, a rotation and a label per window.

    The same arguments always make the same draw; `identity` tells draws of one set apart.
    `targets`: labels (n,) after stretching.
    """

    def __init__(
        self, training: TrainingSet, augmentation: Augmentation, task: Task, seed: int, number: int
    ) -> None:
        rng = np.random.default_rng([seed, _GEOMETRY, number])
        count = len(training)
        labels = torch.from_numpy(np.asarray(training.targets, np.float32))
        reach = 1.0 + 2.0 * training.margin_s / training.window_s
        low, high = task.stretch_limits(labels, augmentation.slowest, min(augmentation.fastest, reach))
        place = torch.from_numpy(rng.random(count, dtype=np.float32))
        factor = torch.exp(low.log() + place * (high.log() - low.log()))
        is_stretched = torch.from_numpy(rng.random(count) < augmentation.stretch_share)
        self.training = training
        self.identity = (seed, number, augmentation)
        self.factor = torch.where(is_stretched, factor, 1.0)
        self.targets = task.stretched(labels, self.factor)
        self.rotation = (
            random_rotations(count, rng) if augmentation.turns_sensor else torch.eye(3).expand(count, 3, 3)
        )

    def inputs(self, chosen: npt.NDArray[np.intp], rates: tuple[int, ...] | None = None) -> Inputs:
        """Normalized, varied windows `chosen` (indices) at `rates` (all by default)."""
        factor, rotation = self.factor[chosen], self.rotation[chosen]
        found = {}
        for rate in rates or tuple(self.training.inputs):
            samples = round(self.training.window_s * rate)
            x = _play(torch.from_numpy(self.training.inputs[rate][chosen]), factor, samples)
            found[rate] = normalize_windows(torch.cat([x[:, :1], rotation @ x[:, 1:]], dim=1))
        return found


def epoch_order(count: int, batch: int, seed: int, epoch: int) -> Iterator[npt.NDArray[np.intp]]:
    """Indices of each step of an epoch, shuffled; an incomplete last batch is left out if others exist."""
    order = np.random.default_rng([seed, _ORDER, epoch]).permutation(count)
    for step in range(max(1, count // batch)):
        yield order[step * batch : (step + 1) * batch]


def corrupt(inputs: Inputs, augmentation: Augmentation, seed: int, epoch: int, step: int) -> Inputs:
    """Add noise to the PPG and silence some accelerometers; the same windows at every rate."""
    if augmentation.noise == 0.0 and augmentation.acc_dropout == 0.0:
        return inputs
    rng = np.random.default_rng([seed, _CORRUPTION, epoch, step])
    count = len(next(iter(inputs.values())))
    level = torch.from_numpy(rng.random((count, 1), dtype=np.float32)) * augmentation.noise
    is_silent = torch.from_numpy(rng.random(count) < augmentation.acc_dropout)
    corrupted = {}
    for rate, x in inputs.items():
        noise = torch.from_numpy(rng.standard_normal((count, x.shape[2]), dtype=np.float32))
        x = x.clone()
        x[:, 0] += level * noise
        x[is_silent, 1:] = 0.0
        corrupted[rate] = x
    return corrupted


def input_of(inputs: Inputs, arch: Arch) -> Tensor:
    """What `arch` reads of normalized windows: its rate, its sensors' channels."""
    return inputs[arch.rate_hz][:, : arch.channels]


def _play(x: Tensor, factor: Tensor, samples: int) -> Tensor:
    """The middle of x (n, channels, length) at `factor` times its speed: (n, channels, samples).

    Cubic interpolation (Keys 1981, a = -1/2) between samples; the ends are repeated.
    """
    count, channels, length = x.shape
    offsets = torch.arange(samples, dtype=torch.float32) - (samples - 1) / 2
    position = (length - 1) / 2 + factor[:, None] * offsets
    first = position.floor()
    t = (position - first)[:, None]
    weights = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    result = torch.zeros(count, channels, samples)
    for shift, weight in enumerate(weights, -1):
        index = (first.long() + shift).clamp(0, length - 1)
        result += weight * x.gather(2, index[:, None].expand(count, channels, samples))
    return result


def random_rotations(count: int, rng: np.random.Generator) -> Tensor:
    """Rotations (count, 3, 3), uniform over orientations: unit quaternions (Shoemake 1992)."""
    q = rng.standard_normal((count, 4)).astype(np.float32)
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.from_numpy(np.array(rows).transpose(2, 0, 1).copy())
