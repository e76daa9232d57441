"""The integer network on any recording: a run or a bundle in, heart rates every two seconds out.

What `ppg-nas predict` prints and `nas.infer_heart_rate` returns; the interpreter's integers are those of the
firmware.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwmodels.errors import InputError
from hwmodels.integer import ClassSettings, HeartRateSettings, IntegerModel
from hwmodels.tracker import Tracker, load_tracker
from nas.compress.finish import finished_model, finished_tracker
from nas.data.recording import Recording
from nas.data.windows import make_windows
from nas.deploy.bundle import MANIFEST, TRACKER, read_bundle
from nas.estimates import integer_estimates
from nas.run_directory import RunDirectory
from nas.stages.choice import chosen_arch
from nas.tracking import tracked_estimates

STEP_S = 2.0
MODEL_VARIABLE = "PPG_NAS_MODEL"
_RUNS = Path("runs")


@dataclass(frozen=True, eq=False)
class Inference:
    """What a network says of a recording, a window every 2 s; arrays are (windows,).

    time_s: middle of each window. estimate: BPM, or class index for rhythms (named by `classes`).
    confidence: expected error in BPM, or probability of the class. valid: False where the window cannot be
    trusted. reference_bpm: the recording's own label there, NaN where there is none.
    """

    recording: str
    time_s: NDArray[np.float64]
    estimate: NDArray[np.float64]
    confidence: NDArray[np.float64]
    valid: NDArray[np.bool_]
    reference_bpm: NDArray[np.float64]
    classes: tuple[str, ...] = ()

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
        tracker = path / TRACKER
        return bundle.model, load_tracker(tracker) if tracker.exists() else None
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
    settings = model.input
    if settings.sensors == "ppg_acc" and recording.acc is None:
        raise InputError(
            f"{recording.name}: acc is missing, and this network reads the accelerometer; record it, or "
            "search for a network of PPG alone (sensors: [ppg] in the space)"
        )
    plain = replace(
        recording, label_times_s=None, heart_rate_bpm=None, rhythm=None, activity=None, trusted=None
    )
    rate = round(settings.rate_hz)
    windows = make_windows(
        [plain], rates=(rate,), window_s=round(settings.window_s), step_s=step_s, margin_s=0.0
    )
    found = integer_estimates(model, windows)
    if tracker is not None:
        found = tracked_estimates(model, tracker, windows)
    middle = windows.start_s + settings.window_s / 2
    classes = model.head.names if isinstance(model.head, ClassSettings) else ()
    confidence = 1.0 - found.spread if classes else found.spread
    references = _references(recording, middle)
    return Inference(recording.name, middle, found.estimate, confidence, found.valid, references, classes)


def _references(recording: Recording, middle: NDArray[np.float64]) -> NDArray[np.float64]:
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
        name="samples", source="own", subject="own", ppg=signal, ppg_hz=float(ppg_hz), acc=motion,
        acc_hz=float(ppg_hz if acc_hz is None else acc_hz),
    )  # fmt: skip
    return infer(network, recording)


def _default_model() -> Path:
    given = os.environ.get(MODEL_VARIABLE)
    if given:
        return Path(given)
    finished = list(_RUNS.glob("*/stages/finish.json"))
    if not finished:
        raise InputError(
            f"no model given: pass model=, set {MODEL_VARIABLE}, or finish a run in ./runs (ppg-nas run)"
        )
    return max(finished, key=lambda path: (path.stat().st_mtime, path)).parent.parent
