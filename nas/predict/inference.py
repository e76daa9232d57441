"""The integer network on any recording: a run or a bundle in, heart rates every two seconds out.

What `ppg-nas predict` prints and `nas.infer_heart_rate` returns: the firmware's integers, front end included.
One verdict is added that firmware does not have: windows in stretches without any pulse are not valid.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import REASONS, UNCERTAIN, Front, readings
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.interpreter import ClassSettings, HeartRateSettings, IntegerModel
from nas.data.no_pulse import stretches_without_pulse
from nas.data.recording import Recording
from nas.data.remarks import remarks
from nas.data.windows import make_windows
from nas.deploy.bundle import read_bundle
from nas.deploy.manifest import MANIFEST
from nas.evaluation.estimates import Estimates, integer_estimates
from nas.evaluation.tracker_fit import tracked_estimates
from nas.predict import shipped
from nas.predict.sensor_counts import continued, counts_of

STEP_S = 2.0
MODEL_VARIABLE = "PPG_NAS_MODEL"
NO_PULSE = 1 << 16
"""A reason of this program alone, beside the bits that firmware gives."""
_REASONS = {**REASONS, NO_PULSE: "no pulse"}


@dataclass(frozen=True, eq=False)
class Inference:
    """What a network says of a recording, a window every 2 s; arrays are (windows,).

    time_s: middle of each window. estimate: BPM, or class index for rhythms (named by `classes`).
    confidence: expected error in BPM, or probability of the class. valid: False where the window cannot be
    trusted, and `invalid` its reasons as bits (hwmodels.firmware.front_end.REASONS and NO_PULSE). reference_bpm: the
    recording's own label there, NaN where there is none; reference_class: the same as index into `classes`,
    -1 where there is none or the network does not know the class.
    """

    recording: str
    time_s: NDArray[np.float64]
    estimate: NDArray[np.float64]
    confidence: NDArray[np.float64]
    valid: NDArray[np.bool_]
    reference_bpm: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    invalid: NDArray[np.int64] | None = None
    reference_class: NDArray[np.int64] | None = None

    def reasons(self, window: int) -> str:
        """Why a window cannot be trusted, in words joined by +; "" when it can."""
        bits = 0 if self.invalid is None else int(self.invalid[window])
        return "+".join(word for bit, word in _REASONS.items() if bits & bit)

    @property
    def reason_counts(self) -> dict[str, int]:
        """How many windows each reason spoils, those that occur; a window may have several."""
        if self.invalid is None:
            return {}
        counts = {word: int(((self.invalid & bit) != 0).sum()) for bit, word in _REASONS.items()}
        return {word: count for word, count in counts.items() if count}

    @property
    def mae_bpm(self) -> float | None:
        """Mean absolute error where there are labels; None without."""
        known = np.isfinite(self.reference_bpm)
        if self.classes or not known.any():
            return None
        return float(np.abs(self.estimate - self.reference_bpm)[known].mean())

    @property
    def accuracy(self) -> float | None:
        """Share of windows whose class is the label's, where there are labels it knows; None without."""
        if self.reference_class is None or not (self.reference_class >= 0).any():
            return None
        known = self.reference_class >= 0
        return float((self.estimate == self.reference_class)[known].mean())


def load_network(path: Path, has_acceleration: bool = True) -> tuple[IntegerModel, Tracker | None]:
    """The integer network of a finished run or of a bundle, and its tracker where it has one.

    The path `shipped`, where nothing of that name lies, means the network that comes with the program, of which one
    is for recordings with an accelerometer and one for those without.
    Raises InputError naming the folder when it is neither, or unfinished, or altered.
    """
    if (path / MANIFEST).exists():
        bundle = read_bundle(path)
        return bundle.model, bundle.tracker
    if (path / "config.yaml").exists():
        # Torch is loaded for these alone: a bundle, or what comes with the program, needs none.
        from nas.assembly.choice import chosen_arch
        from nas.compress.finish import finished_model, finished_tracker
        from nas.run.run_directory import RunDirectory

        run = RunDirectory.open(path)
        arch = chosen_arch(run)
        return finished_model(run, arch), finished_tracker(run, arch)
    if path == Path(shipped.NAME) and not path.exists():
        return shipped.shipped_for(has_acceleration).load()
    raise InputError(f"{path}: neither a run nor a bundle; give the folder of one, or {shipped.NAME}")


def infer(
    model: IntegerModel, recording: Recording, tracker: Tracker | None = None, step_s: float = STEP_S
) -> Inference:
    """Run the network over a whole recording, labels or not; with `tracker`, its figures.

    Heart rates in stretches of noise alone (nas.data.no_pulse) are not valid, whatever the network says.

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
    if not classes:
        invalid = invalid | np.where(_without_pulse(recording, middle, model.input.window_s), NO_PULSE, 0)
    return Inference(
        recording.name, middle, found.estimate, confidence, invalid == 0, references_of(recording, middle),
        classes, invalid, _classes_of(recording, middle, classes),
    )  # fmt: skip


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
    estimates = Estimates(*model.head.decoded(rows), rows[:, 2] == 0)
    middle = np.arange(len(rows), dtype=np.float64) * front.step_s + model.input.window_s / 2
    return middle, estimates, rows[:, 2]


def _in_segments(model: IntegerModel, recording: Recording, tracker: Tracker | None, step_s: float) -> _Found:
    """The same of independent segments, each filtered by itself as training does."""
    windows = make_windows(
        [recording.without_labels()],
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


def _without_pulse(recording: Recording, middle: NDArray[np.float64], window_s: float) -> NDArray[np.bool_]:
    """Which windows lie in a stretch without pulse, from their middles (n,)."""
    inside = np.zeros(middle.size, bool)
    for start, end in stretches_without_pulse(recording):
        inside |= (middle - window_s / 2 > start - 1e-3) & (middle + window_s / 2 < end + 1e-3)
    return inside


def references_of(recording: Recording, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """The heart rate of the label nearest to each window's middle, if within a second; else NaN."""
    found = np.full(middle.size, np.nan)
    nearest = _nearest_labels(recording, middle)
    if recording.heart_rate_bpm is not None:
        bpm = np.asarray(recording.heart_rate_bpm, np.float64)
        found[nearest >= 0] = bpm[nearest[nearest >= 0]]
    return found


def _classes_of(
    recording: Recording, middle: NDArray[np.float64], classes: tuple[str, ...]
) -> NDArray[np.int64] | None:
    """The same for rhythms: indices into the network's classes, -1 for none; None for heart rates."""
    if not classes:
        return None
    names = recording.rhythm_classes
    known = np.array([classes.index(name) if name in classes else -1 for name in names], np.int64)
    found = np.full(middle.size, -1, np.int64)
    nearest = _nearest_labels(recording, middle)
    if recording.rhythm is not None:
        found[nearest >= 0] = known[recording.rhythm[nearest[nearest >= 0]]]
    return found


def _nearest_labels(recording: Recording, middle: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the label nearest to each window's middle, -1 where none is within a second."""
    if recording.label_times_s is None or not recording.label_count:
        return np.full(middle.size, -1, np.int64)
    times, first = np.unique(np.asarray(recording.label_times_s, np.float64), return_index=True)
    after = (
        np.searchsorted(times, middle).clip(1, max(1, len(times) - 1)) if len(times) > 1 else np.zeros(len(middle), int)
    )
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(times[before] - middle) <= np.abs(times[after] - middle), before, after)
    return np.where(np.abs(times[nearest] - middle) <= 1.0, first[nearest], -1)


def infer_heart_rate(
    ppg: ArrayLike,
    ppg_hz: float,
    acc: ArrayLike | None = None,
    acc_hz: float | None = None,
    *,
    model: str | Path | None = None,
    track: bool = False,
) -> Inference:
    """Heart rate of raw samples, every 2 s: `infer_heart_rate(ppg, 64, acc, 32).estimate` in BPM.

    ppg: (n,), (channels, n) or (n, channels), any unit; acc: (3, n) or (n, 3) in g; rates in Hz, acc_hz that
    of the PPG if left out. `model` is the folder of a run or a bundle, or "shipped"; by default that of
    the environment variable PPG_NAS_MODEL, else the network that comes with the program. track: follow the
    wearer by the tracker.
    Warns (UserWarning) of what may be a fault of the samples. Raises InputError naming what does not fit.
    """
    folder = Path(os.environ.get(MODEL_VARIABLE) or shipped.NAME) if model is None else Path(model)
    network, tracker = load_network(folder, acc is not None)
    if not isinstance(network.head, HeartRateSettings):
        raise InputError(f"{folder}: this network tells rhythms apart; give the folder of one for heart rates")
    if track and tracker is None:
        raise InputError(f"{folder}: has no tracker; leave track out")
    rate_hz = _rate("ppg_hz", ppg_hz)
    recording = Recording(
        name="samples", source="own", subject="own", ppg=_channels("ppg", ppg), ppg_hz=rate_hz,
        acc=None if acc is None else _channels("acc", acc, 3),
        acc_hz=rate_hz if acc_hz is None else _rate("acc_hz", acc_hz),
    )  # fmt: skip
    for remark in remarks(recording):
        warnings.warn(remark.message, stacklevel=2)
    return infer(network, recording, tracker if track else None)


def _rate(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}: is {value!r}; give the sampling rate in Hz") from None


def _channels(name: str, samples: ArrayLike, channels: int | None = None) -> NDArray[np.floating]:
    """Samples as (channels, n), from that or (n, channels): there are more samples than channels."""
    wanted = "(n,), (channels, n) or (n, channels)" if channels is None else f"({channels}, n) or (n, {channels})"
    try:
        values = np.asarray(samples)
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: holds no numbers in rows of one length; give an array {wanted}") from None
    if values.ndim == 1 and channels is None:
        return values[None]
    if values.ndim == 2 and values.shape[0] > values.shape[1]:
        values = values.T
    if values.ndim != 2 or values.size == 0 or channels not in (None, values.shape[0]):
        raise InputError(f"{name}: has shape {np.shape(samples)}; give {wanted}")
    return values
