"""Several PPG channels: their mean, the best one of each window by a measured quality, and means weighted by it.

Judged by the largest spectral peak of the pulse, and of the pulse less what acceleration explains, which networks read;
none is trained. `nearest to the label` chooses by the truth, as the bound of all choices.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.markdown import table
from nas.data.recording import Recording
from nas.data.sources import load_source
from nas.data.windows import WindowSet, make_windows
from nas.evaluation.baselines import power_spectra, spectral_tracker
from nas.evaluation.metrics import heart_rate_metrics
from nas.terminal.output import print_table

RATE_HZ = 32
_PULSE, _CLEANED = 0, 1
_SETS = {
    "bami": ("bami", "bami/BAMI-1", None),
    "ieee_spc training": ("ieee_spc", "ieee_spc", ("training",)),
    "ieee_spc test": ("ieee_spc", "ieee_spc", ("extra", "test")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks channels`."""
    parser.add_argument("--data", type=Path, help="folder of bami/BAMI-1 and ieee_spc (default: PPG_DATA, else .)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One row a set and a way; see the module's first lines."""
    data = options.data or Path(os.environ.get("PPG_DATA", "."))
    rows = []
    for name, (kind, folder, splits) in _SETS.items():
        recordings = load_source(kind, data / folder, splits)
        mean = make_windows(recordings, rates=(RATE_HZ,), margin_s=0.0)
        for way, pulse in _ways(recordings, mean):
            rows.append({"set": name, "way": way, **_errors(_with_pulse(mean, pulse))})
    return {"rows": rows}


def show(result: dict[str, Any]) -> None:
    """The rows as a table."""
    print_table(result["rows"], list(result["rows"][0]))


def document_table(result: Mapping[str, Any]) -> str:
    """The rows in Markdown."""
    return table(list(result["rows"][0]), [list(row.values()) for row in result["rows"]])


def _ways(recordings: Sequence[Recording], mean: WindowSet) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each way with the pulse (n, samples) that it makes of the channels."""
    yield "mean of all", mean.inputs[RATE_HZ][:, 0].astype(np.float64)
    count = recordings[0].ppg.shape[0]
    each = [_of_channel(recordings, channel) for channel in range(count)]
    pulses = np.stack([windows.inputs[RATE_HZ][:, 0] for windows in each]).astype(np.float64)
    for channel in range(count):
        yield f"channel {channel + 1}", pulses[channel]
    read = np.stack([windows.normalized(RATE_HZ)[:, :2] for windows in each]).astype(np.float64)
    qualities = _qualities(read)
    number = np.arange(pulses.shape[1])
    for name, quality in qualities.items():
        yield f"best: {name}", pulses[quality.argmax(axis=0), number]
    for name, quality in qualities.items():
        weights = quality / np.maximum(quality.sum(axis=0), 1e-9)
        yield f"weighted: {name}", (weights[..., None] * pulses).sum(axis=0)
    off = np.stack([np.abs(_largest(windows, _CLEANED) - mean.heart_rate_bpm) for windows in each])
    yield "best: nearest to the label", pulses[off.argmin(axis=0), number]


def _qualities(read: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Measures (channels, n) above 0 of what networks read of each channel alone: (channels, n, 2, samples)."""
    standard = read - read.mean(axis=-1, keepdims=True)
    standard /= np.maximum(standard.std(axis=-1, keepdims=True), 1e-9)
    _, power = power_spectra(standard, RATE_HZ)
    peak = power.max(axis=-1) / np.maximum(power.sum(axis=-1), 1e-12)
    cleaned = standard[:, :, _CLEANED]
    others = (cleaned.sum(axis=0) - cleaned) / (cleaned.shape[0] - 1)
    alike = (cleaned * others).mean(axis=-1) / np.maximum(others.std(axis=-1), 1e-9)
    return {
        "spectral peak": peak[..., _PULSE],
        "spectral peak, cleaned": peak[..., _CLEANED],
        "agreement with the others": np.clip(alike, 0.05, None),
        "least explained by acceleration": np.abs((standard[:, :, _PULSE] * cleaned).mean(axis=-1)),
    }


def _of_channel(recordings: Sequence[Recording], channel: int) -> WindowSet:
    alone = [replace(one, ppg=one.ppg[channel : channel + 1]) for one in recordings]
    return make_windows(alone, rates=(RATE_HZ,), margin_s=0.0)


def _with_pulse(windows: WindowSet, pulse: NDArray[np.float64]) -> WindowSet:
    held = windows.inputs[RATE_HZ].copy()
    held[:, 0] = pulse
    return replace(windows, inputs={RATE_HZ: held})


def _largest(windows: WindowSet, signal: int) -> NDArray[np.float64]:
    """The frequency of most power in BPM of one of the signals that networks read."""
    grid, power = power_spectra(windows.normalized(RATE_HZ)[:, signal], RATE_HZ)
    return grid[power.argmax(axis=1)]


def _errors(windows: WindowSet) -> dict[str, str]:
    estimates = {
        "pulse": _largest(windows, _PULSE),
        "cleaned": _largest(windows, _CLEANED),
        "tracker": spectral_tracker(windows, RATE_HZ)[0],
    }
    return {
        name: str(heart_rate_metrics(estimate, windows.heart_rate_bpm, windows.subject).mae_bpm)
        for name, estimate in estimates.items()
    }
