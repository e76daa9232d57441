"""What an estimator says of windows, and how the integer network does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.interpreter import IntegerModel, class_probabilities, quantize_input, run
from hwmodels.signals.spectrum import spectra
from nas.data.windows import WindowSet
from supernet.windows.step_numbers import past_rows

TRACKED = "int8 subnet, tracked"
ESTIMATORS = ("spectral argmax", "spectral tracker", "teacher", "float subnet", "int8 subnet", TRACKED)
"""Who is compared on test subjects, in the order of tables."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """Per window (n,): estimate in BPM or class index; spread in BPM or probability of being wrong.

    valid: False where the estimator says that the window cannot be trusted. probabilities: (n,
    classes) for rhythms, else None.
    """

    estimate: NDArray[np.float64]
    spread: NDArray[np.float64]
    valid: NDArray[np.bool_]
    probabilities: NDArray[np.float64] | None = None

    def subset(self, chosen: NDArray[np.bool_]) -> Estimates:
        """Those of some of the windows."""
        return Estimates(**{name: value[chosen] for name, value in self.arrays().items()})

    def arrays(self) -> dict[str, NDArray]:
        """The fields that are there, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def integer_inputs(model: IntegerModel, windows: WindowSet) -> NDArray[np.int8]:
    """Windows as the integer network reads them: int8 (n, T, channels)."""
    signals = windows.normalized(round(model.input.rate_hz))[:, : model.input.signals].transpose(0, 2, 1)
    if model.input.positions is not None:
        signals = spectra(signals, model.input.positions)
    return quantize_input(model, signals)


def integer_logits(model: IntegerModel, windows: WindowSet, batch: int = 256) -> NDArray[np.int8]:
    """Logits of the integer network, int8 (n, outputs)."""
    name = model.graph.sources(model.graph.output.name)[0]
    parts = [tensors[name] for tensors in integer_tensors(model, windows, batch)]
    return np.concatenate(parts).reshape(len(windows), -1)


def integer_tensors(model: IntegerModel, windows: WindowSet, batch: int = 256) -> Iterator[dict[str, NDArray]]:
    """Every op's output by the interpreter, batch by batch; what came before a batch is run once more where the
    network remembers it.
    """
    inputs, lead = integer_inputs(model, windows), model.graph.remembered_steps
    past = past_rows(windows.steps) if lead and windows.steps is not None else None
    for start in range(0, len(inputs), batch):
        known = 0 if past is None else min(lead, start, int(past[start]))
        part = inputs[start - known : start + batch]
        before = None if past is None else np.minimum(past[start - known : start + batch], np.arange(len(part)))
        yield {name: tensor[known:] for name, tensor in run(model, part, past=before).items()}


def integer_estimates(model: IntegerModel, windows: WindowSet, batch: int = 256) -> Estimates:
    """Estimates of the integer network by the interpreter, which equals the firmware bit for bit."""
    head = model.graph.output
    before = model.graph.sources(head.name)[0]
    rows, probabilities = [], []
    for tensors in integer_tensors(model, windows, batch):
        rows.append(tensors[head.name])
        if head.kind == "class_head":
            logits = tensors[before].reshape(len(tensors[before]), -1)
            probabilities.append(class_probabilities(logits, model.quantization[before].scale))
    outputs = np.concatenate(rows)
    by_class = np.concatenate(probabilities) if probabilities else None
    return Estimates(*model.head.decoded(outputs), outputs[:, 2] > 0, by_class)
