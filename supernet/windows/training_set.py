"""TrainingSet and its augmentation: windows with margins in, normalized and varied batches out.

What is drawn depends on (seed, draw, window) or (seed, epoch, step) alone, never on history, so that a
resumed training sees what an undisturbed one would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Reads
from hwmodels.network.preparation import (
    ACC_SCALE_G,
    REACH,
    RIDGE,
    RIDGE_FLOOR,
    SMALLEST_DEVIATION,
    SMALLEST_REMAINDER,
    lag_samples,
)
from hwmodels.signals.spectrum import FIRST_POSITION, PLACES, RATE_HZ
from supernet.compute.accelerator import CPU
from supernet.settings.augmentation import Augmentation
from supernet.tasks.task import Task
from supernet.windows.disturbances import Disturbances
from supernet.windows.pulseless import Pulseless
from supernet.windows.steps import Windows, blocks_of, past_of
from supernet.windows.torch_spectrum import spectra_of

_GEOMETRY, _CORRUPTION, _ORDER, _DISTURBANCE, _RATE, _PULSELESS = 1, 2, 3, 4, 5, 6
_MOST_SCALE = 2.5


class Inputs(dict[int, Tensor]):
    """Normalized windows by rate in Hz: float32 (n, 4, window_s * rate).

    past: (n,) steps before each, None where unknown. scale: (n,) what their spectra's frequencies are multiplied by,
    None for nothing.
    """

    past: Tensor | None = None
    scale: Tensor | None = None
    _spectra: Tensor | None = None

    def spectra(self) -> Tensor:
        """Their spectra (n, channels, positions), made when first asked for."""
        if self._spectra is None:
            made = spectra_of(self[RATE_HZ])
            if self.scale is not None:
                made = torch.cat([made[:, :PLACES], moved(made[:, PLACES:], self.scale, FIRST_POSITION)], dim=1)
            self._spectra = made
        return self._spectra


class Reader(Protocol):
    """What says which part of the inputs it reads: an Arch, a network in training."""

    @property
    def rate_hz(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def reads(self) -> Reads: ...


def normalize_windows(x: Tensor, rate_hz: int) -> Tensor:
    """Windows (n, 4, samples) of PPG and acceleration in g -> the signals (n, 4, samples) that networks read.

    Pulse, pulse less what motion explains, magnitude of motion, explained part: hwmodels/network/preparation.py,
    which the exported C code equals, says how. This is the same in the order that is fast here.
    """
    centred = x - x.mean(dim=2, keepdim=True)
    deviation = centred[:, :1].square().mean(dim=2, keepdim=True).sqrt()
    pulse = centred[:, :1] / deviation.clamp(min=float(SMALLEST_DEVIATION))
    axes = centred[:, 1:] / ACC_SCALE_G
    step = lag_samples(rate_hz)
    basis = torch.cat([axes.roll(lag * step, 2) for lag in range(-REACH, REACH + 1)], dim=1)
    gram = basis @ basis.transpose(1, 2)
    ridge = RIDGE * axes.square().sum(dim=(1, 2)) / 3 + RIDGE_FLOOR
    gram.diagonal(dim1=1, dim2=2).add_(ridge[:, None])
    weights = torch.cholesky_solve(basis @ pulse.transpose(1, 2), torch.linalg.cholesky(gram))
    explained = weights.transpose(1, 2) @ basis
    remainder = pulse - explained
    left = remainder.square().mean(dim=2, keepdim=True).sqrt().clamp(min=SMALLEST_REMAINDER)
    motion = axes.square().sum(dim=1, keepdim=True).sqrt()
    return torch.cat([pulse, remainder / left, motion - motion.mean(dim=2, keepdim=True), explained], dim=1)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """n labelled windows with margins at one or more rates.

    inputs: rate in Hz -> float32 (n, 4, (window_s + 2 margin_s) * rate): band-passed PPG, then the
    accelerometer in g (zeros where has_acc is False). targets: (n,) BPM or class indices.
    subjects: (n,) names, by which errors are averaged, or None. device: where windows are held, varied and
    read from. steps: (n,) as `step_numbers` has it, or None. block: windows drawn one after the other, 1 for
    networks that read each by itself. weights: (n,) from 0 to 1 on what each teaches, or None.
    """

    inputs: Mapping[int, npt.NDArray[np.float32]]
    has_acc: npt.NDArray[np.bool_]
    targets: npt.NDArray[Any]
    window_s: float
    margin_s: float
    subjects: npt.NDArray[np.str_] | None = None
    device: torch.device = CPU
    steps: npt.NDArray[np.int64] | None = None
    block: int = 1
    weights: npt.NDArray[np.float32] | None = None

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

    def subset(self, chosen: npt.NDArray[Any]) -> TrainingSet:
        """Some of the windows, by mask or index."""
        return replace(
            self,
            inputs={rate: held[chosen] for rate, held in self.inputs.items()},
            has_acc=self.has_acc[chosen],
            targets=self.targets[chosen],
            subjects=None if self.subjects is None else self.subjects[chosen],
            steps=None if self.steps is None else self.steps[chosen],
            weights=None if self.weights is None else self.weights[chosen],
        )

    def on(self, device: torch.device) -> TrainingSet:
        """The same windows, held by another processor."""
        return self if device == self.device else replace(self, device=device)

    @cached_property
    def held(self) -> dict[int, Tensor]:
        """The inputs as tensors where they are held."""
        return {rate: torch.from_numpy(x).to(self.device) for rate, x in self.inputs.items()}

    def windows(self, rate_hz: int, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Tensor:
        """Normalized windows proper, without margins or augmentation: (n, 4, window_s * rate_hz)."""
        margin = round(self.margin_s * rate_hz)
        samples = round(self.window_s * rate_hz)
        return normalize_windows(self.held[rate_hz][chosen][:, :, margin : margin + samples], rate_hz)

    def normalized(self, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Inputs:
        """`windows` at every rate."""
        inputs = Inputs({rate: self.windows(rate, chosen) for rate in self.inputs})
        inputs.past = self.past(chosen)
        return inputs

    def past(self, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Tensor | None:
        """Steps before each of some windows, within these."""
        return None if self.steps is None or self.block == 1 else past_of(self.steps[chosen])

    def read(self, reader: Reader, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Windows:
        """What `reader` reads of the windows proper: (n, channels, positions)."""
        x = input_of(Inputs({reader.rate_hz: self.windows(reader.rate_hz, chosen)}), reader)
        return Windows(x, self.past(chosen))


NO_AUGMENTATION = Augmentation(stretch_share=0.0, noise=0.0)


class Draw:
    """One random variation of a whole training set: a factor and a label per window.

    The same arguments always make the same draw; `identity` tells draws of one set apart.
    `targets`: labels (n,) after stretching.
    """

    def __init__(self, training: TrainingSet, augmentation: Augmentation, task: Task, seed: int, number: int) -> None:
        rng = np.random.default_rng([seed, _GEOMETRY, number])
        count = len(training)
        labels = torch.from_numpy(np.asarray(training.targets, np.float32))
        reach = 1.0 + 2.0 * training.margin_s / training.window_s
        low, high = task.stretch_limits(labels, augmentation.slowest, min(augmentation.fastest, reach))
        self.blocks = (
            blocks_of(count, training.block, int(rng.integers(training.block))) if training.block > 1 else None
        )
        # Windows of a block are all varied alike, as they follow each other.
        of = np.arange(count) if self.blocks is None else np.repeat(*_numbered(self.blocks))
        if self.blocks is not None:
            low, high = _of_all(low, self.blocks, torch.max), _of_all(high, self.blocks, torch.min)
            high = high.maximum(low)
        place = torch.from_numpy(rng.random(count, dtype=np.float32)[of])
        factor = torch.exp(low.log() + place * (high.log() - low.log()))
        is_stretched = torch.from_numpy((rng.random(count) < augmentation.stretch_share)[of])
        self.training = training
        self.identity = (seed, number, augmentation)
        self.factor = torch.where(is_stretched, factor, 1.0).to(training.device)
        self.targets = task.stretched(labels.to(training.device), self.factor)
        self.scale: Tensor | None = None
        blocks = list(np.arange(count)[:, None]) if self.blocks is None else self.blocks
        if augmentation.rate_share:
            rng = np.random.default_rng([seed, _RATE, number])
            self.scale = _scales(self.targets.cpu(), blocks, augmentation, task, rng).to(training.device)
            self.targets = task.stretched(self.targets, self.scale)
        self.pulseless: Pulseless | None = None
        if augmentation.pulseless_share:
            rng = np.random.default_rng([seed, _PULSELESS, number])
            self.pulseless = Pulseless.drawn(blocks, augmentation.pulseless_share, rng, (seed, _PULSELESS, number))
            self.targets = self.targets.masked_fill(self.pulseless.is_noise().to(training.device), float("nan"))
        self.disturbances: Disturbances | None = None
        if augmentation.disturbs:
            rng = np.random.default_rng([seed, _DISTURBANCE, number])
            self.disturbances = Disturbances.drawn(count, rng, augmentation, of)

    def inputs(self, chosen: npt.NDArray[np.intp], rates: tuple[int, ...] | None = None) -> Inputs:
        """Normalized, varied windows `chosen` (indices) at `rates` (all by default)."""
        factor = self.factor[chosen]
        found = Inputs()
        for rate in rates or tuple(self.training.inputs):
            samples = round(self.training.window_s * rate)
            x = _play(self.training.held[rate][chosen], factor, samples)
            if self.disturbances is not None:
                x = self.disturbances.apply(x, chosen, rate, partial(self._motion_of, rate))
            if self.pulseless is not None:
                x = self.pulseless.apply(x, chosen, rate)
            found[rate] = normalize_windows(x, rate)
        found.past = self.training.past(chosen)
        found.scale = None if self.scale is None else self.scale[chosen]
        return found

    def corrected(self, logits: Tensor, task_band: tuple[float, float] | None) -> Tensor:
        """Logits (n, outputs) of a network over the samples of this draw, moved to the heart rates that the spectra
        are moved to; where there is no pulse, no opinion.

        task_band: the rates of the first and last of the outputs, as `Task.band_per_min` has them.
        """
        if self.scale is not None and task_band is not None:
            step = (task_band[1] - task_band[0]) / (logits.shape[1] - 1)
            logits = moved(logits[:, None], self.scale.to(logits.device), task_band[0] / step)[:, 0]
        if self.pulseless is not None:
            logits = logits.masked_fill(self.pulseless.is_noise().to(logits.device)[:, None], 0.0)
        return logits

    def _motion_of(self, rate_hz: int, windows: npt.NDArray[np.intp]) -> Tensor:
        """What acceleration explains of the PPG of some windows, and the acceleration: (m, 4, samples)."""
        margin, samples = (round(s * rate_hz) for s in (self.training.margin_s, self.training.window_s))
        x = self.training.held[rate_hz][windows][:, :, margin : margin + samples]
        explained = normalize_windows(x, rate_hz)[:, 3:] * x[:, :1].std(dim=2, keepdim=True, correction=0)
        return torch.cat([explained, x[:, 1:] - x[:, 1:].mean(dim=2, keepdim=True)], dim=1)


def epoch_order(
    count: int, batch: int, seed: int, epoch: int, blocks: list[npt.NDArray[np.intp]] | None = None
) -> Iterator[npt.NDArray[np.intp]]:
    """Indices of each step of an epoch, shuffled; an incomplete last batch is left out if others exist.

    With `blocks`, these are shuffled and not what they hold.
    """
    rng = np.random.default_rng([seed, _ORDER, epoch])
    order = (
        rng.permutation(count) if blocks is None else np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])
    )
    for step in range(max(1, count // batch)):
        yield order[step * batch : (step + 1) * batch]


def moved(x: Tensor, scale: Tensor, first: float) -> Tensor:
    """x (n, channels, positions), whose positions stand for frequencies `first`, `first` + 1, .. of some unit: what
    was at f is at `scale` (n,) times f. Between positions straight lines, beyond the ends what is there.
    """
    last = x.shape[2] - 1
    at = torch.arange(last + 1, dtype=torch.float32, device=x.device) + first
    source = (at / scale[:, None] - first).clamp(0, last)
    below = source.floor().clamp(max=last - 1)
    above = (source - below)[:, None]
    index = below.long()[:, None].expand(-1, x.shape[1], -1)
    return x.gather(2, index) * (1 - above) + x.gather(2, index + 1) * above


def _scales(
    rates: Tensor, blocks: list[npt.NDArray[np.intp]], settings: Augmentation, task: Task, rng: np.random.Generator
) -> Tensor:
    """For each window what its heart rate (n,) is multiplied by, alike within a block and 1 for most: so that rates
    are log-uniform, as far as the task knows all of a block's.
    """
    wanted = np.exp(rng.uniform(np.log(settings.slowest_bpm), np.log(settings.fastest_bpm), len(blocks)))
    scales = torch.ones(len(rates))
    low, high = task.stretch_limits(rates, 1 / _MOST_SCALE, _MOST_SCALE)
    for number in np.flatnonzero(rng.random(len(blocks)) < settings.rate_share):
        rows = torch.from_numpy(blocks[number])
        scale = float(wanted[number]) / float(rates[rows].median())
        scales[rows] = min(max(scale, float(low[rows].max())), max(float(high[rows].min()), 1.0))
    return scales


def _numbered(blocks: list[npt.NDArray[np.intp]]) -> tuple[npt.NDArray[np.intp], list[int]]:
    return np.arange(len(blocks)), [len(block) for block in blocks]


def _of_all(values: Tensor, blocks: list[npt.NDArray[np.intp]], of: Callable[[Tensor], Tensor]) -> Tensor:
    """One value of each block's, for all of its windows."""
    parts = values.split([len(block) for block in blocks])
    return torch.cat([of(part).expand(len(part)) for part in parts])


def corrupt(inputs: Inputs, augmentation: Augmentation, seed: int, epoch: int, step: int) -> Inputs:
    """Add noise to the pulse, and the same to what cancelling leaves of it."""
    if augmentation.noise == 0.0:
        return inputs
    rng = np.random.default_rng([seed, _CORRUPTION, epoch, step])
    count = len(next(iter(inputs.values())))
    level = torch.from_numpy(rng.random((count, 1), dtype=np.float32)) * augmentation.noise
    corrupted = Inputs()
    for rate, x in inputs.items():
        noise = torch.from_numpy(rng.standard_normal((count, x.shape[2]), dtype=np.float32))
        x = x.clone()
        x[:, :2] += (level * noise)[:, None].to(x.device)
        corrupted[rate] = x
    corrupted.past, corrupted.scale = inputs.past, inputs.scale
    return corrupted


def input_of(inputs: Inputs, reader: Reader) -> Tensor:
    """What `reader` reads of normalized windows: its rate, its sensors' channels, samples or spectra."""
    held = inputs.spectra() if reader.reads == "spectrum" else inputs[reader.rate_hz]
    return held[:, : reader.channels]


def _play(x: Tensor, factor: Tensor, samples: int) -> Tensor:
    """The middle of x (n, channels, length) at `factor` times its speed: (n, channels, samples).

    Cubic interpolation (Keys 1981, a = -1/2) between samples; the ends are repeated.
    """
    count, channels, length = x.shape
    offsets = torch.arange(samples, dtype=torch.float32, device=x.device) - (samples - 1) / 2
    position = (length - 1) / 2 + factor[:, None] * offsets
    first = position.floor()
    t = (position - first)[:, None]
    weights = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    result = x.new_zeros(count, channels, samples)
    for shift, weight in enumerate(weights, -1):
        index = (first.long() + shift).clamp(0, length - 1)
        result += weight * x.gather(2, index[:, None].expand(count, channels, samples))
    return result
