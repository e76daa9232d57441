"""What a torch network says of windows."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nas.data.windows import WindowSet
from nas.evaluation.estimates import Estimates
from supernet.tasks.task import Task
from supernet.training.window_outputs import logits_of
from supernet.windows.steps import Windows, past_of
from supernet.windows.training_set import Inputs, Reader, input_of


def network_estimates(network: nn.Module, windows: WindowSet, reader: Reader, task: Task) -> Estimates:
    """Estimates of a torch network in eval mode on what `reader` reads; it never calls a window invalid."""
    normalized = Inputs({reader.rate_hz: torch.from_numpy(windows.normalized(reader.rate_hz))})
    logits = logits_of(network.eval(), Windows(input_of(normalized, reader), past_of(windows.steps)))
    estimate, spread = task.estimate(logits)
    probabilities = logits.softmax(dim=1).double().numpy() if task.band_per_min is None else None
    return Estimates(estimate.double().numpy(), spread.double().numpy(), np.ones(len(windows), bool), probabilities)
