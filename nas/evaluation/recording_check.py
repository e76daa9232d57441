"""What lies under a path, and what looks wrong with it: the substance of `ppg-nas data check PATH`.

Every check states a fact of the files; none changes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.loaders.registry import load_each
from nas.data.recording import Recording
from nas.data.windows import make_windows
from nas.evaluation.baselines import power_spectra

Level = Literal["found", "note", "warning", "error"]

LARGEST_LAG_WINDOWS = 8
_RATE_HZ = 32
_NEAR_BPM = 4.0
_LAG_GAIN = 1.07
_SMALLEST_LAG_WINDOWS = 2
_SATURATED_SHARE = 0.005
_FLAT_S = 2.0
_WEAK_PULSE = 0.16
_UNLABELLED_S = 60.0


@dataclass(frozen=True)
class Finding:
    """One fact. level "found" describes a recording; "note" says what its loader did; "warning" looks wrong; "error"
    could not be read.

    check: short name of what was looked at. details: figures, ready for JSON.
    """

    level: Level
    recording: str
    check: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain containers for JSON."""
        return asdict(self)


def check_path(path: str | Path) -> list[Finding]:
    """Reads every file of a known kind under path, recording by recording, and says what it finds.

    Files that cannot be read become findings of level "error". Raises InputError if nothing could be read.
    """
    findings: list[Finding] = []
    recordings: list[Recording] = []
    failures: list[InputError] = []
    for file, loaded in load_each(path):
        if isinstance(loaded, InputError):
            failures.append(loaded)
            findings.append(Finding("error", file.name, "unreadable", str(loaded)))
            continue
        recordings.extend(loaded)
        for recording in loaded:
            findings.extend(check_recording(recording))
    if not recordings:
        raise failures[0]
    findings.extend(_check_duplicates(recordings))
    return findings


def check_recording(recording: Recording) -> list[Finding]:
    """A "found" finding, its loader's notes, then one warning for each thing that looks wrong."""
    notes = [Finding("note", recording.name, "loading", note) for note in recording.notes]
    return [_summary(recording), *notes, *_warnings(recording)]


def _summary(recording: Recording) -> Finding:
    details: dict[str, Any] = {
        "source": recording.source,
        "subject": recording.subject,
        "duration_s": round(recording.duration_s, 2),
        "ppg_channels": int(recording.ppg.shape[0]),
        "ppg_hz": float(recording.ppg_hz),
        "acc_hz": float(recording.acc_hz) if recording.acc is not None else None,
        "labels": recording.label_count,
        "label_window_s": float(recording.label_window_s),
        "notes": list(recording.notes),
    }
    words = [f"{recording.duration_s:.0f} s", f"{recording.ppg.shape[0]} PPG at {recording.ppg_hz:g} Hz"]
    if recording.acc is not None:
        words.append(f"accelerometer at {recording.acc_hz:g} Hz")
    if recording.heart_rate_bpm is not None and recording.label_count:
        low, high = float(recording.heart_rate_bpm.min()), float(recording.heart_rate_bpm.max())
        details |= {"lowest_bpm": round(low, 1), "highest_bpm": round(high, 1)}
        words.append(f"{recording.label_count} heart rates from {low:.0f} to {high:.0f} BPM")
    if recording.rhythm is not None:
        counts = np.bincount(recording.rhythm, minlength=len(recording.rhythm_classes))
        named = dict(zip(recording.rhythm_classes, counts.tolist(), strict=True))
        details["rhythms"] = named
        words.append("rhythms " + ", ".join(f"{name} {count}" for name, count in named.items() if count))
    if recording.activity is not None:
        details["activities"] = sorted(set(recording.activity.tolist()))
    return Finding("found", recording.name, "recording", f"{recording.subject}: {', '.join(words)}", details)


def _warnings(recording: Recording) -> Iterator[Finding]:
    def warning(check: str, message: str, **details: Any) -> Finding:
        return Finding("warning", recording.name, check, message, details)

    if recording.label_count == 0:
        yield warning("no labels", "no labels: the recording can't train or test anything")
    elif recording.segment_s is None:
        assert recording.label_times_s is not None
        left_s = recording.duration_s - float(recording.label_times_s.max()) - recording.label_window_s / 2
        if left_s > _UNLABELLED_S:
            yield warning("unlabelled end", f"the last {left_s:.0f} s have no labels", seconds=round(left_s, 1))
    if recording.acc is None:
        yield warning("no accelerometer", "no accelerometer: networks that use it see zeros here")
    else:
        size_g = float(np.median(np.linalg.norm(recording.acc.astype(np.float64), axis=0)))
        if not 0.6 <= size_g <= 1.5:
            yield warning(
                "accelerometer scale",
                f"acceleration has a median of {size_g:.2f} g, not 1 g; check its unit",
                median_g=round(size_g, 3),
            )
    for channel, trace in enumerate(recording.ppg):
        share, flat_s = saturated_share(trace), longest_flat_s(trace, recording.ppg_hz)
        if share > _SATURATED_SHARE:
            yield warning(
                "saturation",
                f"channel {channel} sits at its limits in {share:.1%} of samples",
                channel=channel,
                share=round(share, 5),
            )
        if flat_s > _FLAT_S and recording.segment_s is None:
            yield warning(
                "flat stretch",
                f"PPG channel {channel} does not change for {flat_s:.1f} s",
                channel=channel,
                seconds=round(flat_s, 2),
            )
    if recording.trusted is not None and not recording.trusted.all():
        count = int((~recording.trusted).sum())
        yield warning(
            "label glitch", f"{count} labels are at jumps of the reference; training omits them", labels=count
        )
    if recording.heart_rate_bpm is None or recording.label_count < 2 * LARGEST_LAG_WINDOWS:
        return
    agreement = lag_agreement(recording)
    if agreement is None:
        return
    middle = agreement.size // 2
    best = int(agreement.argmax()) - middle
    if abs(best) >= _SMALLEST_LAG_WINDOWS and agreement.max() > _LAG_GAIN * agreement[middle]:
        yield warning(
            "shifted labels",
            f"label i fits window i{best:+d} best; move the labels",
            windows=best,
            agreement=round(float(agreement.max()), 3),
            agreement_as_is=round(float(agreement[middle]), 3),
        )
    if agreement.max() < _WEAK_PULSE:
        yield warning(
            "weak pulse",
            f"{agreement.max():.0%} of PPG power is at the labelled heart rate",
            share=round(float(agreement.max()), 3),
        )


def saturated_share(trace: NDArray[np.floating]) -> float:
    """Share of samples that sit, three or more in a row, at the lowest or highest value of a trace (n,)."""
    stuck = np.zeros(trace.size, dtype=bool)
    for limit in (trace.min(), trace.max()):
        at = trace == limit
        if at.size >= 3:
            three = at[:-2] & at[1:-1] & at[2:]
            stuck[:-2] |= three
            stuck[1:-1] |= three
            stuck[2:] |= three
    return float(stuck.mean())


def longest_flat_s(trace: NDArray[np.floating], rate_hz: float) -> float:
    """Longest time for which a trace (n,) keeps one value."""
    changes = np.flatnonzero(np.diff(trace) != 0)
    runs = np.diff(np.concatenate([[-1], changes, [trace.size - 1]]))
    return float(runs.max() / rate_hz)


def lag_agreement(recording: Recording) -> NDArray[np.float64] | None:
    """How well labels fit the spectrum when moved by -8 to +8 windows: (17,), the middle as they stand.

    The mean, over the labels that stay inside the signal at every lag, of the share of the window's PPG
    power that lies within 4 BPM of the label. None for labels that do not follow each other at one step.
    """
    times = recording.label_times_s
    if times is None or recording.heart_rate_bpm is None or recording.segment_s is not None or times.size < 3:
        return None
    step_s = float(np.median(np.diff(times)))
    if not np.allclose(np.diff(times), step_s, atol=0.05) or step_s <= 0:
        return None
    window_s = recording.label_window_s
    unlabelled = Recording(
        name=recording.name,
        source=recording.source,
        subject=recording.subject,
        ppg=recording.ppg,
        ppg_hz=recording.ppg_hz,
    )
    if unlabelled.duration_s < window_s + 2 * LARGEST_LAG_WINDOWS * step_s:
        return None
    windows = make_windows([unlabelled], rates=(_RATE_HZ,), window_s=window_s, step_s=step_s, margin_s=0.0)
    grid, power = power_spectra(windows.normalized(_RATE_HZ)[:, 0], _RATE_HZ)
    share = power / np.maximum(power.sum(axis=1, keepdims=True), 1e-12)
    cumulative = np.concatenate([np.zeros((len(windows), 1)), np.cumsum(share, axis=1)], axis=1)
    first = np.rint((times - window_s / 2) / step_s).astype(np.int64)
    lags = np.arange(-LARGEST_LAG_WINDOWS, LARGEST_LAG_WINDOWS + 1)
    kept = (first + lags[0] >= 0) & (first + lags[-1] < len(windows))
    if kept.sum() < LARGEST_LAG_WINDOWS:
        return None
    bpm = recording.heart_rate_bpm[kept]
    low = np.searchsorted(grid, bpm - _NEAR_BPM)
    high = np.searchsorted(grid, bpm + _NEAR_BPM, side="right")
    rows = first[kept][None, :] + lags[:, None]
    return np.asarray((cumulative[rows, high] - cumulative[rows, low]).mean(axis=1))


def _check_duplicates(recordings: Sequence[Recording]) -> Iterator[Finding]:
    """One signal under two names: a leak between folds if the subjects differ."""
    seen: dict[str, Recording] = {}
    for recording in recordings:
        key = hashlib.sha256(np.ascontiguousarray(recording.ppg, dtype=np.float32).tobytes()).hexdigest()
        first = seen.setdefault(key, recording)
        if first is not recording:
            yield Finding(
                "warning",
                recording.name,
                "duplicate",
                f"the same signal as {first.name} (subjects {first.subject}, {recording.subject}); leave one out",
                {"same_as": first.name},
            )
