"""Personalization on recordings of a run: the first minutes teach, what follows a gap is judged.

Reads a finished run's integer network and windows; `ppg-nas personalize` prints what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import ElfImage, Toolchain
from hwmodels.device.device import load_device
from hwmodels.firmware.emulated_learner import LEARNER_ENTRIES, learn_on_core
from hwmodels.firmware.learner import Personalized, PersonalSettings, last_features, personalize
from hwmodels.firmware.learner_source import generate_personal
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel
from nas.data.windows import WindowSet
from nas.deploy.example import ROOMY_SCRIPT, build_example, example_files, learner_program
from nas.evaluation.estimates import integer_estimates, integer_inputs


@dataclass(frozen=True)
class Protocol:
    """`minutes` of calibration from the start of a recording, then `gap_s` that nobody looks at.

    A recording shorter than twice the calibration and the gap is cut into halves around the gap.
    """

    minutes: float = 5.0
    gap_s: float = 20.0

    def __post_init__(self) -> None:
        if not (0 < self.minutes <= 60 and 8 <= self.gap_s <= 3600):
            raise InputError("--minutes must lie in (0, 60] and --gap in [8, 3600] seconds")

    def split(self, start_s: NDArray[np.float64], window_s: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which windows (n,) of one recording, by their starts, teach and which are judged."""
        end = start_s.max() + window_s
        calibration_s = 60 * self.minutes
        if end < 2 * calibration_s + self.gap_s:
            calibration_s = (end - self.gap_s) / 2
        return start_s + window_s <= calibration_s, start_s >= calibration_s + self.gap_s

    def needed_minutes(self, fewest: int, window_s: float, step_s: float) -> tuple[float, float]:
        """Minutes of labelled signal that `fewest` windows, one every step_s, take; and of a whole recording.

        Raises InputError when the calibration asked for is shorter than that.
        """
        taught_s = (fewest - 1) * step_s + window_s
        if 60 * self.minutes < taught_s:
            raise InputError(
                f"--minutes: {self.minutes:g} is too little, {fewest} labelled windows take "
                f"{taught_s / 60:.1f} minutes; give that or more"
            )
        return taught_s / 60, (2 * taught_s + self.gap_s) / 60


@dataclass(frozen=True)
class Outcome:
    """One recording: mean absolute errors in BPM on the windows judged, with the network as exported and as
    personalized. `kept_iteration` 0: nothing helped during calibration, the network stayed as it was.
    """

    recording: str
    subject: str
    calibration_windows: int
    judged_windows: int
    before_bpm: float
    after_bpm: float
    kept_iteration: int

    def row(self) -> dict[str, Any]:
        """For tables and JSON."""
        return {
            "recording": self.recording,
            "subject": self.subject,
            "learnt from": self.calibration_windows,
            "judged": self.judged_windows,
            "before_bpm": round(self.before_bpm, 3),
            "after_bpm": round(self.after_bpm, 3),
            "kept_iteration": self.kept_iteration,
        }


def recordings_of(windows: WindowSet, names: Sequence[str] = ()) -> list[WindowSet]:
    """The windows of each recording in order of time; only those named, where names are given.

    Raises InputError naming a recording that is not there.
    """
    held = [windows.recording_names[index] for index in np.unique(windows.recording)]
    unknown = [name for name in names if name not in held]
    if unknown:
        raise InputError(f"--recording {unknown[0]}: not among {', '.join(held)}")
    found = []
    for index in np.unique(windows.recording):
        if not names or windows.recording_names[index] in names:
            chosen = np.flatnonzero(windows.recording == index)
            found.append(windows.subset(chosen[np.argsort(windows.start_s[chosen], kind="stable")]))
    return found


def minutes_of(windows: WindowSet) -> float:
    """How long a recording lasts up to the end of its last window."""
    return float(windows.start_s.max() + windows.window_s) / 60


def learn(
    model: IntegerModel, windows: WindowSet, protocol: Protocol, settings: PersonalSettings
) -> tuple[Outcome, Personalized] | None:
    """Personalize on one recording and judge the rest of it; None where there is too little to learn from."""
    teaches, judged = protocol.split(windows.start_s, windows.window_s)
    calibration = _calibration(model, windows.subset(teaches), settings)
    rest = windows.subset(judged)
    if len(calibration) < settings.fewest or not len(rest):
        return None
    features = last_features(model, integer_inputs(model, calibration))
    found = personalize(model, features, calibration.heart_rate_bpm, settings)

    def error(network: IntegerModel) -> float:
        return float(np.abs(integer_estimates(network, rest).estimate - rest.heart_rate_bpm).mean())

    outcome = Outcome(
        windows.recording_names[int(windows.recording[0])],
        str(windows.subject[0]),
        len(calibration),
        len(rest),
        error(model),
        error(found.model),
        found.kept_iteration,
    )
    return outcome, found


@dataclass(frozen=True)
class Lessons:
    """Recordings learnt from, those too short for it, and the emulated core's checks where asked for."""

    outcomes: list[Outcome]
    too_short: list[str]
    checks: list[DeviceCheck]


def learn_each(
    model: IntegerModel,
    recordings: Sequence[WindowSet],
    protocol: Protocol,
    settings: PersonalSettings,
    toolchain: Toolchain | None = None,
) -> Lessons:
    """Personalize on each recording by itself; with a toolchain on the emulated Cortex-M7 as well."""
    lessons = Lessons([], [], [])
    linked = None if toolchain is None else LinkedLearner.of(model, settings, toolchain)
    for windows in recordings:
        learnt = learn(model, windows, protocol, settings)
        if learnt is None:
            lessons.too_short.append(windows.recording_names[int(windows.recording[0])])
            continue
        lessons.outcomes.append(learnt[0])
        if linked:
            check = check_on_device(model, windows, protocol, settings, learnt[1], linked)
            lessons.checks.append(check)
    return lessons


def _calibration(model: IntegerModel, windows: WindowSet, settings: PersonalSettings) -> WindowSet:
    """Windows whose label can be believed and lies in the network's bins, at most as many as are kept."""
    head = model.head
    if not isinstance(head, HeartRateSettings):
        raise InputError("personalization is for heart rates; this network tells rhythms apart")
    bpm = windows.heart_rate_bpm
    fits = windows.trusted & (bpm >= head.first_bpm) & (bpm <= head.last_bpm)
    return windows.subset(np.flatnonzero(fits)[: settings.windows])


@dataclass(frozen=True)
class DeviceCheck:
    """The same learning by the exported C code on the emulated core.

    `ram_bytes` is the caller's context as the map of a linked firmware has it; with the stack it is all that
    learning takes beside the network's arena. `firmware_ram_bytes` is all RAM of that firmware: context,
    arena, and the stack that it keeps. `mismatches` counts weights and results that differ from Python's.
    """

    ram_bytes: int
    firmware_ram_bytes: int
    stack_bytes: int
    train_instructions: int
    mismatches: int


@dataclass(frozen=True, eq=False)
class LinkedLearner:
    """A network with its learner as the emulated core runs it, and its `ram` as `learning_ram` has it."""

    image: ElfImage
    ram: tuple[int, int]

    @classmethod
    def of(cls, model: IntegerModel, settings: PersonalSettings, toolchain: Toolchain) -> LinkedLearner:
        """Link it once, for any number of recordings."""
        image = toolchain.link(generate_personal(model, settings), LEARNER_ENTRIES)
        return cls(image, learning_ram(model, settings, toolchain))


def check_on_device(
    model: IntegerModel,
    windows: WindowSet,
    protocol: Protocol,
    settings: PersonalSettings,
    found: Personalized,
    linked: LinkedLearner,
) -> DeviceCheck:
    """Learn one recording on the emulated Cortex-M7 from the windows on, and compare with Python's."""
    teaches, judged = protocol.split(windows.start_s, windows.window_s)
    calibration, rest = _calibration(model, windows.subset(teaches), settings), windows.subset(judged)
    inputs, later = integer_inputs(model, calibration), integer_inputs(model, rest)
    lesson = learn_on_core(linked.image, inputs, calibration.heart_rate_bpm, later)
    expected = integer_estimates(found.model, rest)
    wanted = np.column_stack([expected.estimate * 256, expected.spread * 256, expected.valid])
    mismatches = int((lesson.results != wanted).any(axis=1).sum())
    mismatches += lesson.kept_iteration != found.kept_iteration
    return DeviceCheck(*linked.ram, lesson.stack_bytes, lesson.instructions, mismatches)


def learning_ram(model: IntegerModel, settings: PersonalSettings, toolchain: Toolchain) -> tuple[int, int]:
    """Bytes of the learner's context in a linked firmware that learns, and of all its RAM."""
    sources, files = generate_personal(model, settings), example_files(load_device())
    linked = build_example(sources, files, toolchain, extra=learner_program(), script=ROOMY_SCRIPT)
    return linked.by_symbol["learner"], linked.ram_bytes
