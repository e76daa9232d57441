"""From a finished subnet to its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.compress.finish import finished_model, finished_tracker
from nas.deploy.bundle import write_bundle
from nas.deploy.verify import readable_cost
from nas.estimates import integer_inputs
from nas.hardware import cost_model
from nas.run_directory import RunDirectory
from nas.stages.loading import windows_of
from supernet.arch import Arch


def export_bundle(run: RunDirectory, arch: Arch, path: Path, device: str | None = None) -> dict[str, Any]:
    """Write the bundle of a finished arch to `path`; golden vectors are windows of validation subjects."""
    device = device or run.config.device
    model = finished_model(run, arch)
    windows = windows_of(run, "validation")
    count = min(run.config.finish.golden_vectors, len(windows))
    chosen = np.linspace(0, len(windows) - 1, count).round().astype(int)
    inputs = integer_inputs(model, windows.subset(chosen))
    cost = cost_model(run, device).cost(model.graph)
    facts = {"id": arch.id, "arch": str(arch), "device": device, "predicted": readable_cost(cost)}
    return write_bundle(path, model, inputs, facts, finished_tracker(run, arch))
