"""The processor that trainings of this process compute on: as torch's number of threads, one per process.

Random numbers are drawn on the CPU and moved, so that every processor sees the same windows; sums are added
up in another order on each, so weights differ in their last digits. Searches and everything that is deployed
compute on the CPU.
"""

from __future__ import annotations

import os
from typing import Literal

import torch

from hwmodels.basics.errors import InputError

Accelerator = Literal["auto", "cpu", "cuda"]
CPU = torch.device("cpu")
_chosen = CPU


class AcceleratorError(InputError):
    """A processor that this machine, or this torch, does not have."""


def use(name: Accelerator) -> torch.device:
    """Compute trainings on it from now on; `auto` is a GPU where torch sees one.

    Of several GPUs a process that torchrun started takes the one with its local number. Convolutions and
    matrix products round their factors to TF32 there, by algorithms that repeat to the bit.
    Raises AcceleratorError for a GPU that is not there.
    """
    global _chosen
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cuda" and not there:
        raise AcceleratorError("accelerator: cuda: torch sees no GPU here; install a build of torch for it, or use cpu")
    _chosen = CPU
    if name != "cpu" and there:
        _chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % there)
        torch.cuda.set_device(_chosen)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.deterministic = True
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return _chosen


def chosen() -> torch.device:
    """What `use` chose, or the CPU."""
    return _chosen
