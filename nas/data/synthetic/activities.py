"""The eight activities of PPG-DaLiA (and the ways between them) as the simulator knows them.

Cadence of walking and stairs after published wrist measurements; efforts and motion sizes are chosen so that
classical estimators land at the errors they have on real recordings (tests/nas/test_synthetic.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Activity:
    """What an activity does to heart and wrist.

    effort: share of the heart-rate reserve it asks for. cadence_hz: mean and deviation over people of the
    step (or pedal) frequency, or None. swing_g, step_g: size of the arm swing at half the cadence and of the
    step itself. gesture_g, gesture_band_hz, gesture_share: size, band and share of time of aperiodic moves.
    artifact: size of the motion artifact relative to the pulse (both root mean square).
    episodes_per_min: displacements, grips and contact losses per minute.
    """

    name: str
    effort: float
    cadence_hz: tuple[float, float] | None
    swing_g: float
    step_g: float
    gesture_g: float
    gesture_band_hz: tuple[float, float]
    gesture_share: float
    artifact: float
    episodes_per_min: float


ACTIVITIES = (
    Activity("transition", 0.18, (1.8, 0.2), 0.15, 0.15, 0.10, (0.3, 3.0), 0.5, 1.5, 2.0),
    Activity("sitting", 0.03, None, 0.0, 0.0, 0.02, (0.3, 2.0), 0.15, 0.4, 0.5),
    Activity("stairs", 0.48, (2.0, 0.26), 0.25, 0.35, 0.05, (0.3, 3.0), 0.3, 2.2, 1.5),
    Activity("table soccer", 0.28, None, 0.0, 0.0, 0.25, (1.0, 5.0), 0.6, 1.8, 3.0),
    Activity("cycling", 0.42, (1.3, 0.2), 0.0, 0.08, 0.15, (3.0, 8.0), 1.0, 1.7, 1.5),
    Activity("driving", 0.08, None, 0.0, 0.0, 0.05, (0.5, 3.0), 0.35, 1.0, 1.0),
    Activity("lunch", 0.12, None, 0.0, 0.0, 0.08, (0.3, 2.0), 0.5, 1.4, 2.0),
    Activity("walking", 0.25, (1.98, 0.15), 0.25, 0.28, 0.05, (0.3, 3.0), 0.3, 2.2, 1.2),
    Activity("working", 0.05, None, 0.0, 0.0, 0.04, (0.5, 4.0), 0.35, 0.9, 1.0),
)
"""In the order of PPG-DaLiA's activity codes, transitions first."""

EIGHT_ACTIVITIES = tuple(activity.name for activity in ACTIVITIES[1:])

RESTFUL = ("sitting", "driving", "working")
"""Where rhythm is watched: still enough for single beats to be told."""
EPISODE_STATES = ("clean", "displacement", "forearm", "hand", "poor contact")
