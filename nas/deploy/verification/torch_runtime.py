"""The quantized module as a witness: what torch computes of a bundle's windows, without float rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hwmodels.network.interpreter import IntegerModel
from nas.assembly.choice import arch_of
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.compress.finish import finished_quantized
from nas.deploy.bundle import Bundle
from nas.deploy.verification.runtimes import activations
from nas.run.run_directory import RunDirectory, RunError


def qat_tensors(
    network: FakeQuantNetwork, model: IntegerModel, windows: NDArray[np.int8], past: NDArray[np.int64] | None = None
) -> dict[str, NDArray[np.int64]]:
    """What the quantized module that `model` was exported of computes of windows on its input grid.

    past: (n,), steps directly before each window, for a network with context.
    """
    grid = model.quantization[model.graph.input.name]
    real = (windows.astype(np.float32) - grid.zero_point) * np.float32(grid.scale)
    before = None if past is None else torch.from_numpy(past)
    tensors = network.integer_tensors(torch.from_numpy(real.transpose(0, 2, 1).copy()), before)
    return {name: tensors[name][:, :, 0].permute(0, 2, 1).numpy() for name in activations(model)}


def module_of(bundle: Bundle, given: Path | None) -> FakeQuantNetwork | str:
    """The module that a bundle's network was exported of, or why it is not at hand."""
    path = given or bundle.path.resolve().parent.parent.parent
    if bundle.model.graph.state_bytes and not bundle.model.graph.spans_windows:
        return "kept for window networks only"
    if given is None and not (path / "config.yaml").exists():
        return "name the run with --run"
    directory = RunDirectory.open(path)
    try:
        arch = arch_of(directory, bundle.manifest.id)
    except RunError:
        if given is not None:
            raise
        return "its run's archive does not hold it"
    return finished_quantized(directory, arch) or "quantization was not trained"
