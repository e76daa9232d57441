"""One integer model, five implementations: random networks of a space by all of them, compared element by element.

Interpreter, quantization-aware module, C on this machine, C on the emulated Cortex-M7, LiteRT's reference
kernels, and onnxruntime run the same windows: like recordings, of noise, and adversarial ones.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.support.markdown import table
from hwmodels.c.toolchain import find_toolchain, host_toolchain
from hwmodels.codegen.network_source import entry_points, generate
from hwmodels.network.interpreter import ClassSettings, HeartRateSettings, InputSettings, IntegerModel, quantize_input
from hwmodels.network.interpreter import run as interpret
from hwmodels.network.preparation import ACC_SCALE_G
from hwmodels.validation.tensors import Compiled, core_tensors, deployed_results, host_tensors
from nas.assembly.run_space import space_of
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.data.preprocess import BAND_HZ
from nas.deploy.formats.registry import written
from nas.deploy.verification.runtimes import (
    Agreement,
    activations,
    agreement,
    litert_tensors,
    onnx_operations,
    onnx_tensors,
)
from nas.deploy.verification.torch_runtime import qat_tensors
from nas.run.config import load_config
from nas.run.workers import worker_pool
from nas.terminal.arguments import count, positive_count
from nas.terminal.progress import progress
from supernet.network.calibrate import calibrate
from supernet.network.subnet import Subnet
from supernet.space.arch import SENSOR_CHANNELS, Arch
from supernet.space.search_space import SearchSpace, load_space
from supernet.windows.torch_spectrum import spectra_of

_RANDOM_WINDOWS = 8
_CALIBRATION_WINDOWS = 48
_HEARTS_HZ = (0.6, 3.5)
EXACT = ("qat", "c_host", "c_m7", "litert")
"""Witnesses that must not differ in any element."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks integer`."""
    parser.add_argument("--archs", type=positive_count, default=300, help="architectures (default: 300)")
    parser.add_argument("--seed", type=count, default=0, help="seed (default: 0)")
    spaces = parser.add_mutually_exclusive_group()
    spaces.add_argument("--space", default="default", help="search space (default: default)")
    spaces.add_argument("--config", type=Path, help="the space of this configuration, for its task")
    parser.add_argument("--workers", type=positive_count, default=2, help="processes (default: 2)")


@dataclass(frozen=True)
class _Task:
    space: SearchSpace
    arch: Arch
    seed: tuple[int, int]
    host: Compiled
    core: Compiled


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compare; see the module's first line.

    `mismatches` counts differing elements over all tensors by witness, `onnx_max_ulp` is the largest
    difference of the exact ONNX file from end to end and of each operation of the plain one. Raises
    InputError naming a witness that is not installed.
    """
    begun = time.perf_counter()
    space = space_of(load_config(options.config)) if options.config else load_space(options.space)
    archs = space.decode(space.sample(options.archs, np.random.default_rng([options.seed, 1])))
    host, core = Compiled.by(host_toolchain()), Compiled.by(find_toolchain())
    tasks = [_Task(space, arch, (options.seed, n), host, core) for n, arch in enumerate(archs)]
    total: dict[str, Agreement] = {}
    differing: list[dict[str, str]] = []
    with worker_pool(options.workers) as executor, progress("comparing") as advance:
        for number, found in enumerate(executor.map(_compare, tasks), 1):
            for witness, one in found.items():
                total[witness] = total.get(witness, Agreement()) + one
                if witness in EXACT and one.mismatches:
                    differing.append({"arch": str(archs[number - 1]), "witness": witness})
            advance(number, len(tasks), f"{len(differing)} differ")
    exact, plain = total["onnx"], total["onnx_plain_operations"]
    return {
        "space": space.name,
        "archs": len(archs),
        "windows": len(archs) * (_RANDOM_WINDOWS + len(adversarial_windows((2, 1)))),
        "windows_per_arch": _RANDOM_WINDOWS + len(adversarial_windows((2, 1))),
        "elements": {witness: total[witness].elements for witness in EXACT},
        "mismatches": {witness: total[witness].mismatches for witness in EXACT},
        "onnx_max_ulp": max(exact.max_ulp, plain.max_ulp),
        "onnx": {
            "exact_file_elements": exact.elements,
            "exact_file_mismatches": exact.mismatches,
            "exact_file_max_ulp": exact.max_ulp,
            "plain_file_operations_max_ulp": plain.max_ulp,
            "plain_file_operations_mismatches_pct": 100 * plain.mismatches / plain.elements,
            "plain_file_logits_max_ulp": total["onnx_plain_logits"].max_ulp,
        },
        "differing": differing,
        "compilers": [host.toolchain.version, core.toolchain.version],
        "seed": options.seed,
        "seconds": round(time.perf_counter() - begun, 1),
    }


def implementations_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A table of the appendix of results: a row for what each run of the benchmark printed with --json."""
    rows = []
    for found in results:
        wrong = [*found["mismatches"].values(), found["onnx"]["exact_file_mismatches"]]
        share = found["onnx"]["plain_file_operations_mismatches_pct"]
        plain = f"{found['onnx']['plain_file_operations_max_ulp']}, in {share:.2f} %"
        elements = f"{min(found['elements'].values()) / 1e6:.0f} million"
        rows.append(
            [
                found["space"],
                str(found["archs"]),
                f"{found['windows']:,}",
                elements,
                " / ".join(map(str, wrong)),
                plain,
                f"{found['seconds'] / 60:.0f}",
            ]
        )
    differing = "differing: quantized module / C here / C on the M7 / LiteRT / ONNX"
    plain = "plain ONNX, operations: units apart"
    header = ["space", "networks", "windows", "elements compared with each", differing, plain, "minutes"]
    return table(header, rows)


def random_network(
    space: SearchSpace, arch: Arch, rng: np.random.Generator
) -> tuple[FakeQuantNetwork, IntegerModel, NDArray[np.int8]]:
    """A quantized network of random weights and norms, its integer form, and windows to run it on.

    Windows int8 (n, samples, channels): four that beat, as those it is calibrated on, four of noise, and the
    adversarial ones.
    """
    graph = space.lower(arch)
    subnet = Subnet(graph, rng)
    for norm in subnet.norms().values():
        norm.weight.data = torch.from_numpy(rng.uniform(0.5, 1.5, norm.num_features).astype(np.float32))
        norm.bias.data = torch.from_numpy(rng.normal(0.0, 0.3, norm.num_features).astype(np.float32))
    x = beating_windows(_CALIBRATION_WINDOWS, arch, space.window_s, rng)
    calibrate(subnet, [x[::2], x[1::2]])
    network = FakeQuantNetwork(subnet)
    network.calibrate([x])
    head = (
        HeartRateSettings(30.0, 220.0, 10.0)
        if graph.output.kind == "heart_rate_head"
        else ClassSettings(tuple(f"class {index}" for index in range(graph.output.channels_in)), 0.5)
    )
    inputs = InputSettings(
        arch.rate_hz,
        space.window_s,
        arch.sensors,
        BAND_HZ,
        ACC_SCALE_G,
        reads=arch.reads,
        positions=graph.input.length_in if arch.reads == "spectrum" else None,
    )
    model = network.eval().export(head, inputs)
    beating = quantize_input(model, x[: _RANDOM_WINDOWS // 2].numpy().transpose(0, 2, 1))
    noise = rng.integers(-128, 128, beating.shape).astype(np.int8)
    return network, model, np.concatenate([beating, noise, adversarial_windows(beating.shape[1:])])


def adversarial_windows(shape: tuple[int, ...]) -> NDArray[np.int8]:
    """All minimum, all maximum, and alternating from sample to sample, int8 (3, samples, channels)."""
    sign = np.where(np.arange(shape[0]) % 2, 127, -128)[:, None]
    return np.stack([np.full(shape, -128), np.full(shape, 127), np.broadcast_to(sign, shape)]).astype(np.int8)


def beating_windows(windows: int, arch: Arch, window_s: int, rng: np.random.Generator) -> Tensor:
    """Windows as `arch` reads them (n, channels, length): three harmonics of a heart rate, and noise."""
    time_s = np.arange(window_s * arch.rate_hz) / arch.rate_hz
    channels = SENSOR_CHANNELS[arch.sensors]
    phase = rng.uniform(0, 2 * np.pi, (windows, channels, 1))
    turn = 2 * np.pi * rng.uniform(*_HEARTS_HZ, (windows, 1, 1)) * time_s + phase
    noise = rng.standard_normal((windows, channels, time_s.size)) * rng.uniform(0.05, 1.0, (windows, 1, 1))
    x = sum((np.sin(harmonic * turn) / harmonic for harmonic in (1, 2, 3)), noise)
    signals = torch.from_numpy((x / x.std(axis=2, keepdims=True)).astype(np.float32))
    return spectra_of(signals) if arch.reads == "spectrum" else signals


def _compare(task: _Task) -> Mapping[str, Agreement]:
    """One architecture by every witness."""
    torch.set_num_threads(1)
    network, model, windows = random_network(task.space, task.arch, np.random.default_rng(task.seed))
    expected = interpret(model, windows)
    names = activations(model)
    files = {name: written(name, model) for name in ("tflite", "onnx", "onnx-plain")}
    image = task.core.toolchain.link(generate(model), entry_points(model), compiled=task.core.kernels)
    deployed = {model.graph.output.name: deployed_results(model, image, windows)}
    plain = onnx_tensors(files["onnx-plain"], windows, names[-1:])
    operations = onnx_operations(files["onnx-plain"], expected, names)
    return {
        "qat": agreement(expected, qat_tensors(network, model, windows)),
        "c_host": agreement(expected, host_tensors(model, windows, task.host)),
        "c_m7": agreement(expected, core_tensors(model, windows, task.core)) + agreement(expected, deployed),
        "litert": agreement(expected, litert_tensors(files["tflite"], windows, names)),
        "onnx": agreement(expected, onnx_tensors(files["onnx"], windows, names)),
        "onnx_plain_operations": agreement(expected, operations),
        "onnx_plain_logits": agreement(expected, plain),
    }
