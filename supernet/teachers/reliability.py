"""Whether a belief is as sure as it is right: temperature scaling, and two measures of reliability.

After a teacher's training, on validation subjects; what it gives to students is then a calibrated belief.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from supernet.tasks.task import Task

_COLDEST, _WARMEST = 0.05, 20.0
_BINS = 15
_NEAR_BPM = 5.0


@dataclass(frozen=True)
class Reliability:
    """How a belief's confidence compares with its success on n windows.

    For heart rates a window is right when its estimate lies within 5 BPM, and its confidence is the belief's
    mass within 5 BPM of the estimate; for rhythms the likeliest class and its probability. ece: expected
    calibration error over 15 bins (Guo et al. 2017, equation 3). nll: mean negative log-likelihood.
    spread_bpm, error_bpm: mean stated and actual absolute error (heart rates only).
    """

    ece: float
    nll: float
    confidence: float
    right: float
    spread_bpm: float | None = None
    error_bpm: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain rounded values, for summaries."""
        return {key: round(value, 4) for key, value in asdict(self).items() if value is not None}


def reliability(logits: Tensor, targets: np.ndarray, task: Task) -> Reliability:
    """Reliability of logits (n, outputs) against labels (n,) in BPM or class indices."""
    labels = torch.from_numpy(np.asarray(targets))
    nll = float(_negative_log_likelihood(logits, labels, task))
    estimate, spread = task.estimate(logits)
    belief = logits.softmax(dim=1)
    if task.band_per_min is None:
        return Reliability(*_gap(belief.max(dim=1).values, estimate == labels, nll))
    centres = torch.linspace(*task.band_per_min, task.outputs)
    near = (centres - estimate[:, None]).abs() <= _NEAR_BPM
    error = (estimate - labels).abs()
    agreement = _gap((belief * near).sum(dim=1), error <= _NEAR_BPM, nll)
    return Reliability(*agreement, spread_bpm=float(spread.mean()), error_bpm=float(error.mean()))


def fit_temperature(logits: Tensor, targets: np.ndarray, task: Task) -> float:
    """The number to divide logits (n, outputs) by that makes labels (n,) likeliest.

    Guo et al. 2017, section 4.2. Bounded to [0.05, 20].
    """
    labels = torch.from_numpy(np.asarray(targets))

    def cost(log_temperature: float) -> float:
        return float(_negative_log_likelihood(logits / float(np.exp(log_temperature)), labels, task))

    optimum = minimize_scalar(cost, bounds=(np.log(_COLDEST), np.log(_WARMEST)), method="bounded")
    return float(np.exp(optimum.x))


def _negative_log_likelihood(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Of the labels themselves, not softened: a label between two bins is shared by both."""
    log_belief = logits.double().log_softmax(dim=1)
    if task.band_per_min is None:
        return -log_belief.gather(1, labels.long()[:, None]).mean()
    first, last = task.band_per_min
    step = (last - first) / (task.outputs - 1)
    place = ((labels.double() - first) / step).clamp(0, task.outputs - 1 - 1e-6)
    low = place.floor().long()
    upper = place - low
    belief = log_belief.exp()
    mass = (1 - upper) * belief.gather(1, low[:, None])[:, 0] + upper * belief.gather(1, low[:, None] + 1)[:, 0]
    return -torch.log(mass + 1e-12).mean()


def _gap(confidence: Tensor, is_right: Tensor, nll: float) -> tuple[float, float, float, float]:
    index = (confidence * _BINS).long().clamp(0, _BINS - 1)
    right = is_right.float()
    sums = torch.zeros(_BINS).index_add(0, index, confidence - right)
    return float(sums.abs().sum() / len(right)), nll, float(confidence.mean()), float(right.mean())
