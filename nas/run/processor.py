"""How much of the machine a run's trainings take."""

from __future__ import annotations

import torch

from nas.run.config import Config
from supernet.compute import accelerator


def take(config: Config) -> None:
    """Threads and accelerator of the configuration, for this process from now on.

    Raises AcceleratorError for a GPU that is not there.
    """
    torch.set_num_threads(config.threads)
    accelerator.use(config.accelerator)
