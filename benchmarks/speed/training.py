"""Windows per second of a sandwich step of the supernet, beside the same step as anyone would first write it.

The plain side is Conv1d, batch norm and ReLU on (batch, channels, time), by autograd. Each side has a process
of its own, as either's allocations slow the other; they work in turn, one whole cycle each, on the same
batches and architectures, and the ratios of medians are the figures, as absolute times of a shared machine
mean little. Training also asks the C library to keep freed memory (supernet/compute/allocation.py) and oneDNN to keep
what it compiled (supernet/network/convolution.py): the plain side is measured without either, as it comes, and with
both. Every cycle draws other architectures, and the first ones are not timed, as in a long training.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from hwmodels.network.graph import Op
from nas.terminal.arguments import positive_count
from supernet.compute import accelerator
from supernet.compute.accelerator import Accelerator
from supernet.compute.allocation import keep_freed_memory
from supernet.distillation.observation import Observation
from supernet.network.convolution import NORM_EPSILON, PRIMITIVE_CAPACITY
from supernet.network.supernet import SuperNet
from supernet.settings.training import SupernetTraining, TrainSettings
from supernet.space.arch import Arch
from supernet.space.lowering import lowered
from supernet.space.search_space import load_space
from supernet.tasks.task import HeartRateTask
from supernet.training.batch import Batch
from supernet.training.methods import Sandwich
from supernet.windows.training_set import Inputs

_SIDES = {"ours": (True, False), "plain": (False, True), "plain_hinted": (True, True)}
"""Name -> whether the libraries are given our hints, and whether the network is the plain one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks training`."""
    parser.add_argument("--space", default="default", help="search space (default)")
    parser.add_argument("--steps", type=positive_count, default=12, help="timed cycles of each (12)")
    parser.add_argument("--warm-up", type=positive_count, default=60, help="cycles before those (60)")
    parser.add_argument("--threads", type=positive_count, default=1, help="torch threads (1)")
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), default="cpu", help="what computes (cpu)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module's first lines."""
    accelerator.use(options.accelerator)
    context = multiprocessing.get_context("spawn")
    given = (options.space, options.threads, options.accelerator)
    pools = {
        name: ProcessPoolExecutor(1, context, initializer=_begin, initargs=(*side, *given))
        for name, side in _SIDES.items()
    }
    try:
        seconds: dict[str, list[float]] = {name: [] for name in pools}
        for cycle in range(options.warm_up + options.steps):
            for name, pool in pools.items():
                taken = pool.submit(_cycle, cycle).result()
                seconds[name] += [taken] if cycle >= options.warm_up else []
        gradients = {name: pool.submit(_gradient).result() for name, pool in pools.items()}
    finally:
        for pool in pools.values():
            pool.shutdown()
    batch, parts = SupernetTraining().batch, SupernetTraining().extremes_every
    rates = {name: batch * parts / float(np.median(times)) for name, times in seconds.items()}
    apart = np.linalg.norm(gradients["ours"] - gradients["plain"]) / np.linalg.norm(gradients["plain"])
    device = accelerator.chosen()
    return {
        "space": options.space,
        "threads": options.threads,
        "batch": batch,
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "windows_per_s": round(rates["ours"], 1),
        "plain_conv1d_windows_per_s": round(rates["plain"], 1),
        "plain_conv1d_hinted_windows_per_s": round(rates["plain_hinted"], 1),
        "speedup": round(rates["ours"] / rates["plain"], 3),
        "speedup_hinted": round(rates["ours"] / rates["plain_hinted"], 3),
        "relative_gradient_difference": float(apart),
    }


def plain_forward(self: SuperNet, x: Tensor, arch: Arch) -> Tensor:
    """What `SuperNet.forward` computes in training, by the layers that anyone would write first."""
    graph, banks = lowered(self.space, arch)
    tensors: dict[str, Tensor] = {}
    for op, sources in graph.nodes():
        if op.kind == "input":
            y = x
        elif op.kind == "add":
            y = tensors[sources[0]] + tensors[sources[1]]
        elif op.kind == "average_pool":
            y = tensors[sources[0]].unflatten(2, (op.length_out, -1)).mean(3)
        elif op.kind == "fully_connected":
            weight = self.logits_weight[:, : op.channels_in]
            y = functional.linear(tensors[sources[0]].flatten(1), weight, self.logits_bias)
        elif op.has_parameters:
            weights = self.weights(op, banks)
            y = plain_conv1d(tensors[sources[0]], weights.weight[:, :, 0], op)
            y = functional.batch_norm(y, None, None, weights.scale, weights.shift, training=True, eps=NORM_EPSILON)
        else:  # a head, which takes logits as they are
            continue
        tensors[op.name] = y = functional.relu(y) if op.activation == "relu" else y
    return y.flatten(1)


def plain_conv1d(x: Tensor, weight: Tensor, op: Op) -> Tensor:
    """The convolution of `op` on x (batch, channels_in, length_in)."""
    reach = (op.kernel - 1) * op.dilation
    before = op.padding_before
    after = max(0, (op.length_out - 1) * op.stride + reach + 1 - op.length_in - before)
    padded = functional.pad(x, (before, after)) if before or after else x
    groups = op.channels_in if op.kind == "depthwise" else 1
    return functional.conv1d(padded, weight, stride=op.stride, dilation=op.dilation, groups=groups)


@dataclass(frozen=True)
class _Side:
    """A supernet in training and one batch."""

    method: Sandwich
    batch: Batch
    settings: TrainSettings

    @classmethod
    def made(cls, space_name: str) -> _Side:
        """The same one in every process."""
        space, recipe, device = load_space(space_name), SupernetTraining(), accelerator.chosen()
        task = HeartRateTask(bins=space.outputs)
        settings = TrainSettings(
            epochs=recipe.epochs,
            batch=recipe.batch,
            random_subnets=recipe.random_subnets,
            extremes_every=recipe.extremes_every,
        )
        method = Sandwich(SuperNet(space, np.random.default_rng(0)), task)
        method.prepare(settings, None, float(space.window_s))
        method.supernet.to(device).train()
        rng = np.random.default_rng(1)

        def normal(*shape: int) -> Tensor:
            return torch.from_numpy(rng.standard_normal((settings.batch, *shape), np.float32)).to(device)

        inputs = Inputs({rate: normal(4, space.window_s * rate) for rate in space.rates})
        bpm = torch.from_numpy(rng.uniform(50, 180, settings.batch).astype(np.float32)).to(device)
        return cls(method, Batch(inputs, bpm, Observation(normal(task.bins))), settings)

    def cycle(self, number: int) -> float:
        """Seconds of one whole cycle of the sandwich, whose extremes come every few steps."""
        first = number * self.settings.extremes_every
        self.method.supernet.zero_grad()
        begun = time.perf_counter()
        for step in range(first, first + self.settings.extremes_every):
            self.method.step(self.batch, self.settings, self.settings.warmup_epochs, step)
        if accelerator.chosen().type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    def gradient(self) -> NDArray[np.float32]:
        """What the last cycle left, in one piece."""
        held = [p.grad.flatten().cpu() for p in self.method.supernet.parameters() if p.grad is not None]
        return torch.cat(held).numpy()


_side: _Side


def _begin(is_hinted: bool, is_plain: bool, space: str, threads: int, name: Accelerator) -> None:
    """Become one side, in a process of its own."""
    global _side
    torch.set_num_threads(threads)
    accelerator.use(name)
    if is_hinted:
        keep_freed_memory()
    else:  # read by oneDNN at the first convolution
        os.environ.pop(PRIMITIVE_CAPACITY)
    if is_plain:
        SuperNet.forward = plain_forward  # type: ignore[method-assign,assignment]
    _side = _Side.made(space)


def _cycle(number: int) -> float:
    return _side.cycle(number)


def _gradient() -> NDArray[np.float32]:
    return _side.gradient()
