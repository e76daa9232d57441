"""What a network is trained to say: a heart rate as a belief over bins, or a class of rhythm.

A task turns labels into losses and logits into an estimate and its spread, as the exported head does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from supernet.compute.accelerator import CPU

Array = npt.NDArray[np.generic]


class Task(Protocol):
    """A task as training and evaluation use it. `outputs` is the number of logits."""

    @property
    def outputs(self) -> int:
        """Number of logits."""

    @property
    def band_per_min(self) -> tuple[float, float] | None:
        """The first and last of the rates, evenly spaced, that the logits stand for; None where they are no rates."""

    def beliefs(self, targets: Tensor) -> Tensor:
        """What labels (n,) say as beliefs (n, outputs)."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of logits (n, outputs) against hard labels (n,)."""

    def estimate(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate and spread, each (n,)."""

    def stretched(self, targets: Tensor, factor: Tensor) -> Tensor:
        """Labels (n,) of windows that play `factor` (n,) times as fast."""

    def stretch_limits(self, targets: Tensor, slowest: float, fastest: float) -> tuple[Tensor, Tensor]:
        """The range of factors (n,), (n,) within which each label stays one the task knows."""

    def error(self, estimates: Array, targets: Array, groups: Array | None = None) -> float:
        """The validation error to minimise; the mean over groups (subjects) when they are given."""


@dataclass(frozen=True)
class HeartRateTask:
    """A belief over `bins` heart rates, whose centres run evenly from first_bpm to last_bpm.

    Labels are beats per minute. They train the belief as Gaussians of deviation `sigma_bpm`.
    """

    first_bpm: float = 30.0
    last_bpm: float = 220.0
    bins: int = 96
    sigma_bpm: float = 4.0

    @property
    def band_per_min(self) -> tuple[float, float]:
        """The outermost bin centres in BPM."""
        return self.first_bpm, self.last_bpm

    @property
    def outputs(self) -> int:
        """Number of bins."""
        return self.bins

    @property
    def step_bpm(self) -> float:
        """Distance of neighbouring bin centres."""
        return (self.last_bpm - self.first_bpm) / (self.bins - 1)

    def centres(self, device: torch.device = CPU) -> Tensor:
        """Bin centres in BPM, (bins,)."""
        return torch.linspace(self.first_bpm, self.last_bpm, self.bins).to(device)

    def soft_labels(self, targets: Tensor) -> Tensor:
        """Gaussian beliefs (n, bins) around heart rates (n,) in BPM; even ones where there is none (NaN)."""
        distance = ((self.centres(targets.device) - targets[:, None]) / self.sigma_bpm).nan_to_num(nan=0.0)
        return functional.softmax(-0.5 * distance**2, dim=1)

    def beliefs(self, targets: Tensor) -> Tensor:
        """What labels (n,) say as beliefs: the soft labels."""
        return self.soft_labels(targets)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of the belief against the soft labels."""
        return functional.cross_entropy(logits, self.soft_labels(targets))

    def estimate(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The belief's median in BPM, interpolated inside its bin, and its expected absolute deviation.

        The median minimises the expected absolute error, which is what the spread states.
        """
        belief = functional.softmax(logits, dim=1)
        cumulative = belief.cumsum(dim=1)
        index = (cumulative < 0.5).sum(dim=1, keepdim=True).clamp(max=self.bins - 1)
        mass = belief.gather(1, index)
        below = cumulative.gather(1, index) - mass
        inside = ((0.5 - below) / mass.clamp(min=1e-12)).clamp(0, 1)
        estimate = (self.first_bpm + self.step_bpm * (index + inside - 0.5)).squeeze(1)
        spread = (belief * (self.centres(logits.device) - estimate[:, None]).abs()).sum(dim=1)
        return estimate, spread

    def stretched(self, targets: Tensor, factor: Tensor) -> Tensor:
        """A window played faster shows a faster heart."""
        return targets * factor

    def stretch_limits(self, targets: Tensor, slowest: float, fastest: float) -> tuple[Tensor, Tensor]:
        """Factors that keep the heart rate within the bins; a factor of 1 is always allowed."""
        low = (self.first_bpm / targets).clamp(slowest, 1.0)
        high = (self.last_bpm / targets).clamp(1.0, fastest)
        return low, high

    def error(self, estimates: Array, targets: Array, groups: Array | None = None) -> float:
        """Mean absolute error in BPM, as the mean over groups when given."""
        errors = np.abs(np.asarray(estimates, np.float64) - np.asarray(targets, np.float64))
        if groups is None:
            return float(errors.mean())
        return float(np.mean([errors[groups == group].mean() for group in np.unique(groups)]))


@dataclass(frozen=True)
class RhythmTask:
    """One of several classes per window. Labels are class indices.

    `weights` (one per class, for sets in which some rhythms are rare) scale the loss; `smoothing`
    is label smoothing (Szegedy et al. 2016).
    """

    classes: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    smoothing: float = 0.05
    band_per_min: ClassVar[None] = None

    @property
    def outputs(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def beliefs(self, targets: Tensor) -> Tensor:
        """What labels (n,) say as beliefs (n, classes): one class each."""
        return functional.one_hot(targets.long(), len(self.classes)).float()

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, weighted by class."""
        weights = None if self.weights is None else torch.tensor(self.weights).to(logits.device)
        return functional.cross_entropy(logits, targets.long(), weight=weights, label_smoothing=self.smoothing)

    def estimate(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest class, and the probability that it is another one."""
        probability, index = functional.softmax(logits, dim=1).max(dim=1)
        return index, 1.0 - probability

    def stretched(self, targets: Tensor, factor: Tensor) -> Tensor:
        """A rhythm keeps its name at another pace."""
        return targets

    def stretch_limits(self, targets: Tensor, slowest: float, fastest: float) -> tuple[Tensor, Tensor]:
        """Every factor is allowed."""
        return torch.full(targets.shape, slowest), torch.full(targets.shape, fastest)

    def error(self, estimates: Array, targets: Array, groups: Array | None = None) -> float:
        """One minus the macro-averaged F1 over classes that occur; pooled, as one patient has few classes."""
        scores = []
        for index in np.unique(targets):
            found, real = estimates == index, targets == index
            scores.append(2.0 * float((found & real).sum()) / max(1.0, float(found.sum() + real.sum())))
        return 1.0 - float(np.mean(scores))
