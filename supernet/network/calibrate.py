"""Batch-norm statistics re-estimated: shared weights have none of their own, so each subnet gets its own."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from supernet.windows.steps import Given, call


def calibrate(network: nn.Module, batches: Iterable[Given]) -> None:
    """Set the running statistics of every batch norm of `network`, in place, and leave it in eval mode.

    They become the plain average over `batches`, each float32 (batch, channels, samples), of which
    there must be at least one (ValueError). Cumulative average as in Yu and Huang 2019, section 3.3. Only norms are in
    training mode meanwhile: dropout would draw from a generator that nobody seeded, and change what is averaged.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.eval()
    for norm in norms:
        norm.train()
    count = 0
    with torch.no_grad():
        for batch in batches:
            call(network, batch)
            count += 1
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
    if not count:
        raise ValueError("calibration needs at least one batch")
