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
from nas.data.no_pulse import stretches_without_pulse, total_length_s
from nas.data.recording import Recording
from nas.data.remarks import Remark, remarks
from nas.data.sources import load_each
from nas.evaluation.label_alignment import align

Level = Literal["found", "note", "warning", "error"]

_SATURATED_SHARE = 0.005
_FLAT_S = 2.0
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
    checks = (_of_labels, _of_lengths, remarks, _of_channels, _of_pulse, _of_alignment)
    wrong = [remark for check in checks for remark in check(recording)]
    notes = [Finding("note", recording.name, "loading", note) for note in recording.notes]
    warnings = [Finding("warning", recording.name, one.check, one.message, one.details) for one in wrong]
    return [_summary(recording), *notes, *warnings]


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


def _of_labels(recording: Recording) -> Iterator[Remark]:
    if recording.label_count == 0:
        yield Remark("no labels", "no labels: the recording can't train or test anything")
    elif recording.segment_s is None:
        assert recording.label_times_s is not None
        left_s = recording.duration_s - float(recording.label_times_s.max()) - recording.label_window_s / 2
        if left_s > _UNLABELLED_S:
            yield Remark("unlabelled end", f"the last {left_s:.0f} s have no labels", {"seconds": round(left_s, 1)})
    if recording.trusted is not None and not recording.trusted.all():
        count = int((~recording.trusted).sum())
        yield Remark("label glitch", f"{count} labels are at jumps of the reference; training omits them",
                     {"labels": count})  # fmt: skip


def _of_lengths(recording: Recording) -> Iterator[Remark]:
    if recording.acc is None:
        yield Remark("no accelerometer", "no accelerometer: networks that use it see zeros here")
    whole_s = recording.segment_s or recording.duration_s
    if whole_s < recording.label_window_s:
        what = "segments last" if recording.segment_s else "lasts"
        yield Remark("too short", f"too short: {what} {whole_s:.1f} s, less than one window of "
                     f"{recording.label_window_s:g} s; nothing is read of it",
                     {"seconds": round(whole_s, 2)})  # fmt: skip


def _of_channels(recording: Recording) -> Iterator[Remark]:
    for channel, trace in enumerate(recording.ppg):
        share, flat_s = saturated_share(trace), longest_flat_s(trace, recording.ppg_hz)
        if share > _SATURATED_SHARE:
            yield Remark("saturation", f"channel {channel} sits at its limits in {share:.1%} of samples",
                         {"channel": channel, "share": round(share, 5)})  # fmt: skip
        if flat_s > _FLAT_S and recording.segment_s is None:
            yield Remark("flat stretch", f"PPG channel {channel} does not change for {flat_s:.1f} s",
                         {"channel": channel, "seconds": round(flat_s, 2)})  # fmt: skip


def _of_pulse(recording: Recording) -> Iterator[Remark]:
    stretches = stretches_without_pulse(recording)
    # Sets of rhythms label their noise themselves.
    if stretches and recording.rhythm is None:
        total_s, first_s = total_length_s(stretches), stretches[0][0]
        text = (
            f"no pulse stands out of the noise in {total_s:.0f} of {recording.duration_s:.0f} s, first at "
            f"{first_s:.0f} s: the watch is off the wrist, or the pulse too weak to read"
        )
        yield Remark("no pulse", text, {"seconds": round(total_s, 1), "first_s": first_s})


def _of_alignment(recording: Recording) -> Iterator[Remark]:
    """Nothing to fit the labels to, or a better place for them; never both, nor a place in mere noise."""
    found = align(recording)
    if found is None or (
        found.shift_s and total_length_s(stretches_without_pulse(recording)) > recording.duration_s / 2
    ):
        return
    figures = {"agreement": round(found.agreement, 3), "agreement_as_is": round(found.agreement_as_is, 3)}
    searched = f"{-found.reach_s} to {found.reach_s:+d} s"
    if found.at_edge:
        side = "later" if found.shift_s > 0 else "earlier"
        yield Remark("shifted labels", "labels fit the pulse best at the edge of what was searched "
                     f"({searched}) or past it, towards {side}; check that they belong to this recording "
                     "and when both began", {**figures, "at_edge": True})  # fmt: skip
    elif found.shift_s:
        assert recording.label_times_s is not None
        step_s = float(np.median(np.diff(np.sort(recording.label_times_s))))
        if step_s > 0:
            figures["windows"] = round(found.shift_s / step_s)
        text = f"labels fit the pulse best when moved by {found.shift_s:+d} s (searched: {searched}); move them"
        yield Remark("shifted labels", text, {"seconds": found.shift_s, **figures})
    elif found.is_weak:
        yield Remark("weak pulse", f"{found.agreement:.0%} of PPG power is at the labelled heart rate",
                     {"share": figures["agreement"]})  # fmt: skip


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
