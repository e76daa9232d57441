"""The firmware's integer front end beside the training pipeline, on real recordings.

What the network reads of every window is made both ways: by scipy in 64-bit floating point over the whole
recording, and by the firmware from 16-bit counts, sample by sample. With a model, errors of both are
compared, and the firmware's C, compiled for this machine, is held against its twin.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.firmware.emulated_firmware import HostFirmware
from hwmodels.firmware.front_end import Front, network_input, readings, signals, windows
from hwmodels.firmware.window_runner import WindowRunner
from hwmodels.network.interpreter import HeartRateSettings, InputSettings, IntegerModel
from hwmodels.network.preparation import ACC_SCALE_G, normalized_windows
from nas.data.preprocess import BAND_HZ
from nas.data.recording import Recording
from nas.data.sources import load_source
from nas.data.windows import make_windows
from nas.evaluation.estimates import integer_inputs
from nas.evaluation.metrics import heart_rate_metrics, paired_difference
from nas.predict.inference import load_network, references_of
from nas.predict.sensor_counts import Counts, continued, counts_of

SIGNALS = ("pulse", "cleaned", "motion", "explained")
_SETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bami": ("bami/BAMI-1", ()),
    "ieee_spc": ("ieee_spc", ("training",)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks frontend`."""
    parser.add_argument("model", type=Path, nargs="?", help="finished run or bundle, for errors in BPM")
    parser.add_argument("--data", type=Path, help="folder of bami/BAMI-1 and ieee_spc (default: PPG_DATA, else .)")
    parser.add_argument("--every", type=int, default=1, help="only every n-th recording (1)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compare; see the module's first lines."""
    data = options.data or Path(os.environ.get("PPG_DATA", "."))
    recordings = [
        recording
        for kind, (folder, splits) in _SETS.items()
        for recording in load_source(kind, data / folder, splits or None)
    ][:: max(1, options.every)]
    model = load_network(options.model)[0] if options.model else None
    rates = (16, 32) if model is None else (round(model.input.rate_hz),)
    found: dict[str, Any] = {"recordings": len(recordings), "windows": 0}
    for rate in rates:
        rows = np.concatenate([_differences(recording, rate) for recording in recordings])
        found["windows"] = len(rows)
        found[f"{rate}_hz"] = {
            name: {
                "rms_median": round(float(np.median(rows[:, at])), 5),
                "rms_p99": round(float(np.quantile(rows[:, at], 0.99)), 5),
                "rms_largest": round(float(rows[:, at].max()), 5),
            }
            for at, name in enumerate(SIGNALS)
        }
    if model is not None:
        found |= _errors(model, recordings)
    return found


def _counts(recording: Recording, settings: InputSettings) -> tuple[Front, Counts]:
    counts = counts_of(recording)
    front = Front(counts.sensors, settings)
    return front, continued(counts, front.delay_s)


def _differences(recording: Recording, rate: int) -> NDArray[np.float64]:
    """Root mean square over each window of what both ways differ by, (windows, 4)."""
    settings = InputSettings(rate, 8.0, "ppg_acc", BAND_HZ, ACC_SCALE_G)
    front, counts = _counts(recording, settings)
    held = windows(front, signals(front, counts.ppg, counts.acc))
    trained = make_windows([recording.without_labels()], rates=(rate,), margin_s=0.0).normalized(rate)
    integer = normalized_windows(held.pulse, held.motion, rate).transpose(0, 2, 1)
    shared = min(len(trained), len(integer))
    return np.sqrt(((integer[:shared] - trained[:shared]).astype(np.float64) ** 2).mean(axis=2))


def _errors(model: IntegerModel, recordings: list[Recording]) -> dict[str, Any]:
    """Errors of one network behind both, elements of its input that differ, and C against its twin."""
    if not isinstance(model.head, HeartRateSettings) or model.graph.state_bytes:
        raise InputError("bench frontend: takes a heart-rate network of window mode")
    columns: dict[str, list[NDArray]] = {"float": [], "integer": [], "labels": [], "subjects": []}
    steps, mismatches, compared = [], 0, 0
    rate = round(model.input.rate_hz)
    for recording in recordings:
        front, counts = _counts(recording, replace(model.input, step_s=None))
        inputs = network_input(front, model, windows(front, signals(front, counts.ppg, counts.acc)))
        trained = make_windows([recording.without_labels()], rates=(rate,), margin_s=0.0)
        expected = integer_inputs(model, trained)
        shared = min(len(inputs), len(expected))
        steps.append(np.abs(inputs[:shared].astype(int) - expected[:shared]).ravel())
        labels = references_of(recording, trained.start_s[:shared] + model.input.window_s / 2)
        known = np.isfinite(labels)
        for name, given in (("float", expected), ("integer", inputs)):
            columns[name].append(model.head.decoded(WindowRunner(model)(given[:shared])[0][known])[0])
        columns["labels"].append(labels[known])
        columns["subjects"].append(np.full(known.sum(), f"{recording.source} {recording.subject}"))
        twin = readings(front, model, counts.ppg, counts.acc)
        host = HostFirmware(front, model).readings(counts.ppg, counts.acc)
        compared += len(twin)
        mismatches += abs(len(host) - len(twin)) + int((host[: len(twin)] != twin[: len(host)]).any(axis=1).sum())
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    labels, subjects = joined["labels"], joined["subjects"]
    error = {name: np.abs(joined[name] - labels) for name in ("float", "integer")}
    apart = np.concatenate(steps)
    return {
        "input_elements_equal_pct": round(100 * float((apart == 0).mean()), 2),
        "input_elements_beyond_one_step_pct": round(100 * float((apart > 1).mean()), 3),
        "mae_training_pipeline_bpm": str(heart_rate_metrics(joined["float"], labels, subjects).mae_bpm),
        "mae_front_end_bpm": str(heart_rate_metrics(joined["integer"], labels, subjects).mae_bpm),
        "mae_change_bpm": str(paired_difference(error["integer"], error["float"], subjects)),
        "estimates_moved_median_bpm": round(float(np.median(np.abs(joined["integer"] - joined["float"]))), 4),
        "readings_compared_with_c": compared,
        "mismatches_with_c": mismatches,
    }
