"""What a network file says about itself: how to make its input and how to read its output, as plain JSON.

TFLite and ONNX files carry it as metadata; everything in it is of the integer model alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hwmodels.network.graph import Op
from hwmodels.network.heads import exponential_table
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel

METADATA = "ppg_nas"
FORMAT = 1
INPUT, OUTPUT = "samples", "logits"
"""Names of the files' input and output."""
_SIGNALS = ("pulse", "pulse less motion", "magnitude of motion", "explained by motion")
_SPECTRA = "places, then logarithms of power of each signal at every position (hwmodels/signals/spectrum.py)"


_README_SECTION = """
## Other formats
{rows}

They read the prepared int8 window (`inputs` in `golden.npz`) and give the int8 logits (`logits`), which the
head turns into the result (`outputs`). Their metadata `ppg_nas` holds the input's scaling, rate and sensors,
the bins, the weight of a logit below the largest one, and the verdict's limit. `ppg-nas verify --full`
compares every element of every layer.
"""
_ABOUT = {
    "network.tflite": "(1, 1, length, channels); TFLite's reference kernels compute the same integers",
    "network.onnx": "(windows, channels, length), TFLite's rounding spelled out: the same integers",
    "network_plain.onnx": "plain QDQ, for converters; each operation within one unit of the integers",
}


def readme_section(files: Iterable[str]) -> str:
    """What a bundle's README says of its network files."""
    return _README_SECTION.format(rows="\n".join(f"- `{name}`: {_ABOUT[name]}" for name in files))


def logits_of(model: IntegerModel) -> Op:
    """The operation whose output a network file ends with; the head behind it is firmware's."""
    return model.graph[model.graph.sources(model.graph.output.name)[0]]


def describe(model: IntegerModel) -> dict[str, Any]:
    """The metadata: input (rate, sensors, band, grid), output (grid), head (bins or classes, verdict limit).

    `belief` is the weight of a logit 0, 1, .. 255 steps below the largest one.
    """
    settings, logits = model.input, logits_of(model)
    grid = model.quantization[model.graph.input.name]
    head = {"kind": model.graph.output.kind, **asdict(model.head)}
    if isinstance(model.head, HeartRateSettings):
        head |= {"bins": logits.output_bytes, "estimate": "median of the belief over evenly spaced bins"}
    return {
        "format": FORMAT,
        "input": {
            "name": INPUT,
            **asdict(settings),
            "length": settings.length,
            "channels": settings.channels,
            "signals": list(_SIGNALS[: settings.signals]),
            **asdict(grid),
            "normalization": "per window: the pulse to mean 0 and deviation 1 (hwmodels/network/preparation.py)",
            "spectra": _SPECTRA if settings.reads == "spectrum" else None,
        },
        "output": {"name": OUTPUT, **asdict(model.quantization[logits.name])},
        "head": {**head, "belief": exponential_table(model.quantization[logits.name].scale).tolist()},
    }
