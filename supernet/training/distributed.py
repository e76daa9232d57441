"""Training by several processes that torchrun started: each takes part of a batch, gradients are averaged.

The batch of the configuration is shared out, so that a training means the same with any number of processes
but for the batch norms, whose statistics are those of a process's own part. One leads and writes; the others
follow its calls.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from hwmodels.basics.errors import InputError
from supernet.training.batch import Batch
from supernet.windows.training_set import Inputs

_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Team:
    """The processes of a training: this one's number, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """This process's part of a batch. Raises InputError when there is not a pair of windows for each."""
        if self.size == 1:
            return batch
        count = len(batch.targets)
        if count < 2 * self.size:
            raise InputError(
                f"a batch of {count} windows is too small for {self.size} processes: raise batch in the "
                "configuration or start fewer"
            )
        part = slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)
        inputs = Inputs({rate: x[part] for rate, x in batch.inputs.items()})
        inputs.past = None if batch.inputs.past is None else batch.inputs.past[part]
        teacher = None if batch.teacher is None else batch.teacher[part]
        weights = None if batch.weights is None else batch.weights[part]
        return Batch(inputs, batch.targets[part], teacher, weights)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes; all have those of the same parameters."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.size == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(held)
        return float(held) / self.size

    def agree(self, value: Any) -> Any:
        """What the leader says; all processes wait for it."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]


ALONE = Team()


@contextmanager
def joined() -> Iterator[Team]:
    """The team that torchrun started this process in; without torchrun, this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
