"""The integer network on any recording: a run or a bundle in, heart rates every two seconds out.

What `ppg-nas predict` prints and `nas.infer_heart_rate` returns: the firmware's integers, front end included.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import REASONS, UNCERTAIN, Front, readings
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.interpreter import ClassSettings, HeartRateSettings, IntegerModel
from nas.assembly.choice import chosen_arch
from nas.compress.finish import finished_model, finished_tracker
from nas.data.recording import Recording
from nas.data.windows import make_windows
from nas.deploy.bundle import read_bundle
from nas.deploy.manifest import MANIFEST
from nas.evaluation.estimates import Estimates, integer_estimates
from nas.evaluation.tracker_fit import tracked_estimates
from nas.predict.sensor_counts import continued, counts_of
from nas.run.run_directory import RunDirectory

STEP_S = 2.0
MODEL_VARIABLE = "PPG_NAS_MODEL"
_RUNS = Path("runs")


@dataclass(frozen=True, eq=False)
class Inference:
    """What a network says of a recording, a window every 2 s; arrays are (windows,).

    time_s: middle of each window. estimate: BPM, or class index for rhythms (named by `classes`).
    confidence: expected error in BPM, or probability of the class. valid: False where the window cannot be
    trusted, and `invalid` its reasons as bits (hwmodels.firmware.front_end.REASONS). reference_bpm: the recording's own
    label there, NaN where there is none.
    """

    recording: str
    time_s: NDArray[np.float64]
    estimate: NDArray[np.float64]
    confidence: NDArray[np.float64]
    valid: NDArray[np.bool_]
    reference_bpm: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    invalid: NDArray[np.int64] | None = None

    def reasons(self, window: int) -> str:
        """Why a window cannot be trusted, in words joined by +; "" when it can."""
        bits = 0 if self.invalid is None else int(self.invalid[window])
        return "+".join(word for bit, word in REASONS.items() if bits & bit)

    @property
    def mae_bpm(self) -> float | None:
        """Mean absolute error where there are labels; None without."""
        known = np.isfinite(self.reference_bpm)
        if self.classes or not known.any():
            return None
        return float(np.abs(self.estimate - self.reference_bpm)[known].mean())


def load_network(path: Path) -> tuple[IntegerModel, Tracker | None]:
    """The integer network of a finished run or of a bundle, and its tracker where it has one.

    Raises InputError naming the folder when it is neither, or unfinished, or altered.
    """
    if (path / MANIFEST).exists():
        bundle = read_bundle(path)
        return bundle.model, bundle.tracker
    if (path / "config.yaml").exists():
        run = RunDirectory.open(path)
        arch = chosen_arch(run)
        return finished_model(run, arch), finished_tracker(run, arch)
    raise InputError(f"{path}: neither a run nor a bundle; give the folder of one")


def infer(
    model: IntegerModel, recording: Recording, tracker: Tracker | None = None, step_s: float = STEP_S
) -> Inference:
    """Run the network over a whole recording, labels or not; with `tracker`, its figures.

    Raises InputError when the recording lacks a sensor that the network reads, or is shorter than a window.
    """
    if model.input.sensors == "ppg_acc" and recording.acc is None:
        raise InputError(
            f"{recording.name}: acc is missing, and this network reads the accelerometer; record it, or "
            "search for a network of PPG alone (sensors: [ppg] in the space)"
        )
    if recording.segment_s is None:
        middle, found, invalid = _through_front_end(model, recording, tracker, step_s)
    else:
        middle, found, invalid = _in_segments(model, recording, tracker, step_s)
    classes = model.head.names if isinstance(model.head, ClassSettings) else ()
    confidence = 1.0 - found.spread if classes else found.spread
    references = references_of(recording, middle)
    return Inference(recording.name, middle, found.estimate, confidence, invalid == 0, references, classes, invalid)


_Found = tuple[NDArray[np.float64], Estimates, NDArray[np.int64]]


def _through_front_end(model: IntegerModel, recording: Recording, tracker: Tracker | None, step_s: float) -> _Found:
    """Middles of windows (n,), estimates, and bits of distrust (n,), as firmware reads the samples."""
    counts = counts_of(recording)
    front = Front(counts.sensors, model.input, model.input.step_s or step_s)
    counts = continued(counts, front.delay_s)
    rows = readings(front, model, counts.ppg, counts.acc, tracker)
    # What the last samples were continued by makes no window of its own.
    rows = rows[: max(0, int((recording.duration_s - model.input.window_s) / front.step_s + 1e-6) + 1)]
    if not len(rows) or recording.duration_s < model.input.window_s:
        raise InputError(
            f"{recording.name}: lasts {recording.duration_s:.1f} s, shorter than one window of "
            f"{model.input.window_s:g} s; check its rate"
        )
    if isinstance(model.head, ClassSettings):
        estimates = Estimates(rows[:, 0].astype(float), 1.0 - rows[:, 1] / 32768.0, rows[:, 2] == 0)
    else:
        estimates = Estimates(rows[:, 0] / 256.0, rows[:, 1] / 256.0, rows[:, 2] == 0)
    middle = np.arange(len(rows), dtype=np.float64) * front.step_s + model.input.window_s / 2
    return middle, estimates, rows[:, 2]


def _in_segments(model: IntegerModel, recording: Recording, tracker: Tracker | None, step_s: float) -> _Found:
    """The same of independent segments, each filtered by itself as training does."""
    windows = make_windows(
        [without_labels(recording)],
        rates=(round(model.input.rate_hz),),
        window_s=round(model.input.window_s),
        step_s=step_s,
        margin_s=0.0,
    )
    found = integer_estimates(model, windows)
    if tracker is not None:
        found = tracked_estimates(model, tracker, windows)
    invalid = np.where(found.valid, 0, UNCERTAIN)
    return windows.start_s + model.input.window_s / 2, found, invalid


def without_labels(recording: Recording) -> Recording:
    """The signals alone, which make windows from their start on."""
    return replace(recording, label_times_s=None, heart_rate_bpm=None, rhythm=None, activity=None, trusted=None)


def references_of(recording: Recording, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """The label nearest to each window's middle, if within a second."""
    found = np.full(middle.size, np.nan)
    if recording.heart_rate_bpm is None or recording.label_times_s is None or not recording.label_count:
        return found
    times = np.asarray(recording.label_times_s, np.float64)
    nearest = np.abs(times[None] - middle[:, None]).argmin(axis=1)
    is_near = np.abs(times[nearest] - middle) <= 1.0
    found[is_near] = np.asarray(recording.heart_rate_bpm, np.float64)[nearest[is_near]]
    return found


def infer_heart_rate(
    ppg: ArrayLike,
    ppg_hz: float,
    acc: ArrayLike | None = None,
    acc_hz: float | None = None,
    *,
    model: str | Path | None = None,
) -> Inference:
    """Heart rate of raw samples, every 2 s: `infer_heart_rate(ppg, 64, acc, 32).estimate` in BPM.

    ppg: (n,) or (channels, n), any unit; acc: (3, n) in g; rates in Hz. `model` is the folder of a run or a
    bundle; by default that of the environment variable PPG_NAS_MODEL, else the newest finished run in ./runs.
    Raises InputError naming what does not fit.
    """
    network, _ = load_network(_default_model() if model is None else Path(model))
    if not isinstance(network.head, HeartRateSettings):
        raise InputError("this network tells rhythms apart; give the folder of one for heart rates")
    signal = np.atleast_2d(np.asarray(ppg, np.float64))
    motion = None if acc is None else np.asarray(acc, np.float64)
    recording = Recording(
        name="samples",
        source="own",
        subject="own",
        ppg=signal,
        ppg_hz=float(ppg_hz),
        acc=motion,
        acc_hz=float(ppg_hz if acc_hz is None else acc_hz),
    )
    return infer(network, recording)


def _default_model() -> Path:
    given = os.environ.get(MODEL_VARIABLE)
    if given:
        return Path(given)
    finished = list(_RUNS.glob("*/stages/finish.json"))
    if not finished:
        raise InputError(f"no model given: pass model=, set {MODEL_VARIABLE}, or finish a run in ./runs (ppg-nas run)")
    return max(finished, key=lambda path: (path.stat().st_mtime, path)).parent.parent
