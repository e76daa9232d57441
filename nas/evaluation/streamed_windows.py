"""What a network says of recordings in incremental mode: each window hands over its last two seconds alone.

Reads a finished integer network and windows; benchmarks and evaluation compare its estimates with the
window mode's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import IntegerModel, initial_states, run
from hwmodels.schedule.step_graph import streaming_model
from nas.data.windows import WindowSet
from nas.evaluation.estimates import Estimates, integer_inputs

_SAME_S = 1e-3


def streams(windows: WindowSet, step_s: float) -> list[NDArray[np.int64]]:
    """Indices of windows that follow one another by exactly `step_s`, one array per unbroken stretch."""
    order = np.lexsort((windows.start_s, windows.recording))
    recording, start_s = windows.recording[order], windows.start_s[order]
    breaks = (np.diff(recording) != 0) | (np.abs(np.diff(start_s) - step_s) > _SAME_S)
    return np.split(order, np.flatnonzero(breaks) + 1)


def streaming_estimates(model: IntegerModel, windows: WindowSet, step_s: float = 2.0) -> Estimates:
    """Estimates of a window model run step by step; see `streamed`."""
    found, _ = streamed(model, windows, step_s)
    return Estimates(*model.head.decoded(found), found[:, 2] > 0)


def streaming_logits(model: IntegerModel, windows: WindowSet, step_s: float = 2.0) -> NDArray[np.int8]:
    """Logits (n, outputs) of a window model run step by step; see `streamed`."""
    return streamed(model, windows, step_s)[1]


def streamed(model: IntegerModel, windows: WindowSet, step_s: float) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """The head's rows (n, 3) and logits (n, outputs) of a window model run step by step.

    The interpreter runs it, which equals the firmware. A stretch of windows starts with all of its first
    window, in steps, as if the recording began there; each later window hands over its last `step_s`,
    normalized over the window. Heart rates only. Raises StreamingError when the network cannot run
    incrementally.
    """
    if model.graph.output.kind != "heart_rate_head":
        raise InputError(f"{model.graph.output.kind}: only heart rates are followed over a recording")
    new_samples = round(step_s * model.input.rate_hz)
    step = streaming_model(model, new_samples)
    inputs = integer_inputs(model, windows)
    head = step.graph.output
    last = step.graph.sources(head.name)[0]
    found = np.zeros((len(windows), 3), np.int64)
    logits = np.zeros((len(windows), head.channels_in), np.int8)

    def keep(indices: Sequence[np.int64], tensors: dict[str, NDArray]) -> None:
        found[indices] = tensors[head.name]
        logits[indices] = tensors[last].reshape(len(indices), -1)

    stretches = sorted(streams(windows, step_s), key=len, reverse=True)
    states = initial_states(step, len(stretches))
    first = inputs[[stretch[0] for stretch in stretches]]
    for chunk in np.split(first, first.shape[1] // new_samples, axis=1):
        tensors = run(step, chunk, states)
    keep([stretch[0] for stretch in stretches], tensors)
    for position in range(1, len(stretches[0])):
        # Stretches are sorted by length: those that still run come first.
        current = [stretch[position] for stretch in stretches if len(stretch) > position]
        states = {name: held[: len(current)] for name, held in states.items()}
        chunk = inputs[current][:, -new_samples:]
        keep(current, run(step, chunk, states))
    return found, logits
