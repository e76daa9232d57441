"""Windows per second of a sandwich step of the supernet, beside the same step with plain Conv1d.

Both run in turn in one process on the same batches and architectures; the ratio of the medians is the figure,
as absolute times of a shared machine mean little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

import supernet.network
from hwmodels.graph import Op
from nas.arguments import positive_count
from nas.config import Supernet, Task
from supernet.batches import Batch, Inputs
from supernet.distillation import Seen
from supernet.methods import Sandwich
from supernet.network import SuperNet
from supernet.settings import TrainSettings
from supernet.space import load_space
from supernet.tasks import HeartRateTask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ppg-nas bench training`."""
    parser.add_argument("--space", default="default", help="search space (default)")
    parser.add_argument("--steps", type=positive_count, default=12, help="timed steps of each (12)")
    parser.add_argument("--threads", type=positive_count, default=1, help="torch threads (1)")


def plain_conv1d(x: Tensor, weight: Tensor, op: Op) -> Tensor:
    """What `supernet.convolution.convolve` computes, by the layers that anyone would write first."""
    reach = (op.kernel - 1) * op.dilation
    before = op.padding_before
    after = max(0, (op.length_out - 1) * op.stride + reach + 1 - op.length_in - before)
    padded = functional.pad(x[:, :, 0].contiguous(), (before, after))
    groups = op.channels_in if op.kind == "depthwise" else 1
    y = functional.conv1d(
        padded, weight[:, :, 0].contiguous(), stride=op.stride, dilation=op.dilation, groups=groups
    )
    return y[:, :, None]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module's first lines."""
    torch.set_num_threads(options.threads)
    space, recipe = load_space(options.space), Supernet()
    task = HeartRateTask(bins=Task().bins)
    settings = TrainSettings(
        epochs=recipe.epochs, batch=recipe.batch, random_subnets=recipe.random_subnets,
        extremes_every=recipe.extremes_every,
    )  # fmt: skip
    method = Sandwich(SuperNet(space, np.random.default_rng(0)), task)
    method.supernet.train()
    rng = np.random.default_rng(1)
    shape = settings.batch, 4
    inputs = Inputs(
        {
            rate: torch.from_numpy(rng.standard_normal((*shape, space.window_s * rate), np.float32))
            for rate in space.rates
        }
    )
    bpm = torch.from_numpy(rng.uniform(50, 180, settings.batch).astype(np.float32))
    teacher = torch.from_numpy(rng.standard_normal((settings.batch, task.bins), np.float32))
    batch = Batch(inputs, bpm, Seen(teacher))
    method.prepare(settings, None, float(space.window_s))
    plain = _patched(plain_conv1d)
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    gradients: dict[str, Tensor] = {}
    for step in range(-2, options.steps):
        for name, context in (("plain", plain), ("ours", nullcontext)):
            method.supernet.zero_grad()
            with context():
                start = time.perf_counter()
                # One whole cycle of the sandwich: its extremes come every few steps.
                for part in range(settings.extremes_every):
                    method.step(batch, settings, recipe.warmup_epochs, step + part + 2)
                if step >= 0:
                    seconds[name].append(time.perf_counter() - start)
            held = [p.grad.flatten() for p in method.supernet.parameters() if p.grad is not None]
            gradients[name] = torch.cat(held)
    windows = settings.batch * settings.extremes_every
    rates = {name: windows / float(np.median(times)) for name, times in seconds.items()}
    apart = (gradients["ours"] - gradients["plain"]).norm() / gradients["plain"].norm()
    return {
        "space": options.space,
        "threads": options.threads,
        "batch": settings.batch,
        "windows_per_s": round(rates["ours"], 1),
        "plain_conv1d_windows_per_s": round(rates["plain"], 1),
        "speedup": round(rates["ours"] / rates["plain"], 3),
        "relative_gradient_difference": float(apart),
    }


def _patched(convolve: Callable[[Tensor, Tensor, Op], Tensor]) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: patch.object(supernet.network, "convolve", convolve)
