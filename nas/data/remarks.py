"""What is said of a recording beside its figures: facts that may be faults, none of which stops the work.

After Recording; `data check`, `predict`, `infer_heart_rate` and the preparation of a run say the same words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwmodels.signals.filters import LEAST_ACC_HZ
from nas.data.recording import Recording

_DURATIONS_S = 1.0
_GRAVITY_G = (0.6, 3.0)
"""From a wrist in free swing to one that runs; medians of runners reach 1.6 g."""
_UNITS = {"m/s2": 9.81, "1/64 g": 64.0, "mg": 1000.0}
_SAME_UNIT = (0.75, 1.6)


@dataclass(frozen=True)
class Remark:
    """One fact. check: short name of what was looked at. details: figures, ready for JSON."""

    check: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)


def remarks(recording: Recording) -> Iterator[Remark]:
    """Sensors that last for different times, and acceleration that is too slow or cannot be in g."""
    if recording.acc is None:
        return
    excess_s = recording.acc_excess_s
    if abs(excess_s) > _DURATIONS_S:
        text = (
            f"acc ends {abs(excess_s):.1f} s {'after' if excess_s > 0 else 'before'} ppg "
            f"({recording.duration_s:.1f} s), both taken to start together; check ppg_hz and acc_hz"
        )
        yield Remark("durations", text, {"seconds": round(excess_s, 2)})
    if recording.acc_hz < LEAST_ACC_HZ:
        text = f"acc_hz is {recording.acc_hz:g}, too low for motion at 220 BPM; it takes {LEAST_ACC_HZ:g}"
        yield Remark("accelerometer rate", text, {"acc_hz": recording.acc_hz})
    size_g = float(np.median(np.linalg.norm(np.asarray(recording.acc, np.float64), axis=0)))
    if not _GRAVITY_G[0] <= size_g <= _GRAVITY_G[1]:
        fitting = [
            f"it fits {unit}, divide by {per_g:g}"
            for unit, per_g in _UNITS.items()
            if _SAME_UNIT[0] <= size_g / per_g <= _SAME_UNIT[1]
        ]
        hint = fitting[0] if fitting else "check its unit, and that gravity is in it"
        yield Remark(
            "accelerometer scale", f"acceleration has a median of {size_g:.2f} g, not 1 g; {hint}",
            {"median_g": round(size_g, 3)},
        )  # fmt: skip


def with_remarks(recording: Recording) -> Recording:
    """The recording with its remarks behind its loader's notes, for who prints both."""
    return replace(recording, notes=(*recording.notes, *(remark.message for remark in remarks(recording))))
