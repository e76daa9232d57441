"""From a finished subnet to its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwmodels.cost.network_cost import readable_cost
from hwmodels.device.device import Device
from hwmodels.firmware.front_end import Sensors
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.network.interpreter import IntegerModel
from hwmodels.schedule.step_graph import streaming_model
from nas.assembly.hardware import cost_model, form_of
from nas.assembly.loading import windows_of
from nas.compress.finish import finished_model, finished_tracker
from nas.compress.streaming_subnets import adapted_tracker
from nas.deploy.bundle import CODE, Contents, write_bundle
from nas.evaluation.estimates import integer_inputs
from nas.run.run_directory import RunDirectory
from supernet.space.arch import Arch


def export_bundle(  # noqa: PLR0913 - the options of an export, by name
    run: RunDirectory,
    arch: Arch,
    path: Path,
    device: Device | None = None,
    *,
    streamed: IntegerModel | None = None,
    formats: Sequence[str] = (CODE,),
    sensors: Sensors | None = None,
    learner: PersonalSettings | None = None,
    is_forced: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Write the bundle of a finished arch to `path`; golden vectors are windows of validation subjects.

    With `streamed`, the window form of a network for incremental mode, that one's steps are exported; golden
    vectors are then first steps, and the tracker is the one fitted on steps. `sensors` are those whose
    samples the C front end takes; a `learner` adds what personalizes the network. Returns the manifest, and the files
    that a user had edited and that were kept; raises what `write_bundle` does.
    """
    device = device or run.device()
    model = streamed or finished_model(run, arch)
    windows = windows_of(run, "validation")
    count = min(run.config.finish.golden_vectors, len(windows))
    chosen = np.linspace(0, len(windows) - 1, count).round().astype(int)
    if model.graph.spans_windows:
        chosen = np.arange(count)
    inputs = integer_inputs(model, windows.subset(chosen))
    mode = "window"
    if streamed is not None:
        new_samples = round(run.config.data.step_s * model.input.rate_hz)
        model, inputs, mode = streaming_model(model, new_samples), inputs[:, -new_samples:], "streaming"
    model = replace(model, form=form_of(run))
    cost = cost_model(run, device).cost(model.graph)
    facts = {
        "id": arch.id,
        "arch": str(arch),
        "mode": mode,
        "code": model.form.code,
        "predicted": readable_cost(cost),
    }
    if model.form.memory != "whole":
        facts["memory"] = model.form.memory
    tracker = finished_tracker(run, arch) if streamed is None else adapted_tracker(run, arch, streamed)
    chosen_sensors = sensors or Sensors()
    contents = Contents(model, inputs, facts, device, tracker, tuple(formats), chosen_sensors, learner)
    return write_bundle(path, contents, is_forced)
