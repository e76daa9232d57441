"""The plain population: people, activities and rhythms into recordings, as a wrist-worn sensor would give them.

The embedded default data set. A figure on it never stands beside one on real recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from nas.data.recording import Recording
from nas.data.synthetic import artifact, heart, motion, pulse
from nas.data.synthetic.activities import ACTIVITIES, EIGHT_ACTIVITIES, RESTFUL
from nas.data.synthetic.noise import drift
from nas.data.synthetic.subject import Subject, draw_subject

PPG_HZ = 64
ACC_HZ = 32
RHYTHMS = ("sinus", "AF", "ectopic", "noise")
_ACC_LIMIT_G = 4.0
_ACC_COUNTS_PER_G = 64.0
_TRANSITION_S = 10.0
_RHYTHM_EPISODE_S = 30.0
_RHYTHM_WINDOW_S = 10.0
_RHYTHM_MOTION = 0.5


@dataclass(frozen=True, eq=False)
class Signals:
    """The parts a simulated PPG is the sum of, each (n,) at PPG_HZ in units of the pulse's deviation."""

    pulse: NDArray[np.float64]
    motion_artifact: NDArray[np.float64]
    ppg: NDArray[np.float64]
    acc: NDArray[np.float64]


def simulate_plain(
    n_subjects: int,
    seed: int,
    *,
    minutes: float = 10.0,
    task: str = "heart_rate",
    activities: Sequence[str] = EIGHT_ACTIVITIES,
) -> list[Recording]:
    """One recording per person of the plain population; arguments and errors as of `simulate`."""
    names = [activity.name for activity in ACTIVITIES]
    unknown = [name for name in activities if name not in names]
    if unknown or not activities:
        what = f"unknown activity {unknown[0]!r}" if unknown else "no activities"
        raise InputError(f"synthetic: {what}; choose from {', '.join(names)}")
    codes = [names.index(name) for name in activities]
    make = _heart_rate_recording if task == "heart_rate" else _rhythm_recording
    return [make(number, minutes, codes, np.random.default_rng([seed, number, 0x5EED])) for number in range(n_subjects)]


def sense(
    beats: heart.Beats,
    course: NDArray[np.int64],
    subject: Subject,
    rng: np.random.Generator,
    *,
    motion_scale: float = 1.0,
) -> Signals:
    """What the sensors measure of beats and motion along a course (n,) of activity codes at PPG_HZ."""
    samples = course.size
    times_s = np.arange(samples) / PPG_HZ
    clean = pulse.render(beats, times_s, subject.morphology)
    moved = motion.move(course, PPG_HZ, subject, rng)
    spoilt = motion_scale * artifact.motion_artifact(course, moved, PPG_HZ, subject, rng)
    aperiodic = artifact.episodes(course, PPG_HZ, rng)
    breath = heart.breathing_phase(samples, PPG_HZ, subject, rng)
    modulated = clean * (1.0 + subject.breathing_amplitude * np.sin(breath + 1.0))
    baseline = subject.breathing_baseline * np.sin(breath) + 0.5 * drift(samples, PPG_HZ, 5.0, rng)
    perfused = np.exp(0.3 * drift(samples, PPG_HZ, 40.0, rng))
    light = aperiodic.contact * (perfused * modulated + spoilt + baseline) + motion_scale * aperiodic.added
    light += subject.sensor_noise * rng.standard_normal(samples)
    light = np.clip(light, -subject.sensor_range, subject.sensor_range)
    counts = np.rint(light * subject.counts_per_unit)
    acc = moved.gravity + moved.dynamic + motion_scale * aperiodic.shaken
    return Signals(modulated, spoilt, counts, acc)


def _acceleration_counts(acc: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """The accelerometer at ACC_HZ, noisy, limited and quantized as an ADC has it."""
    slow = acc[:, :: PPG_HZ // ACC_HZ]
    noisy = np.clip(slow + 0.004 * rng.standard_normal(slow.shape), -_ACC_LIMIT_G, _ACC_LIMIT_G)
    return (np.rint(noisy * _ACC_COUNTS_PER_G) / _ACC_COUNTS_PER_G).astype(np.float32)


def _course(minutes: float, codes: Sequence[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """Activity codes at PPG_HZ: each activity once in random order, transitions between them."""
    total = round(minutes * 60.0 * PPG_HZ)
    order = [codes[position] for position in rng.permutation(len(codes))]
    shares = rng.uniform(0.8, 1.2, size=len(order))
    ends = np.rint(total * np.cumsum(shares) / shares.sum()).astype(int)
    course = np.zeros(total, dtype=np.int64)
    first = 0
    for number, (code, end) in enumerate(zip(order, ends, strict=True)):
        pause = min(round(_TRANSITION_S * PPG_HZ), (end - first) // 4) if number else 0
        course[first + pause : end] = code
        first = int(end)
    return course


def _heart_rate_recording(number: int, minutes: float, codes: Sequence[int], rng: np.random.Generator) -> Recording:
    subject = draw_subject(rng)
    course = _course(minutes, codes, rng)
    efforts = np.array([activity.effort for activity in ACTIVITIES])
    effort = efforts[course[:: PPG_HZ // heart.COURSE_HZ]] * np.exp(0.15 * rng.standard_normal())
    beats = heart.sinus_beats(heart.rate_course(effort, subject, rng), subject, rng)
    signals = sense(beats, course, subject, rng)
    starts_s = np.arange(0.0, course.size / PPG_HZ - 8.0 - 2.0, 2.0)
    middle = ((starts_s + 4.0) * PPG_HZ).astype(int)
    return Recording(
        name=f"synthetic-{number:03d}",
        source="synthetic",
        subject=f"synthetic/{number:03d}",
        ppg=signals.ppg[None].astype(np.float32),
        ppg_hz=PPG_HZ,
        acc=_acceleration_counts(signals.acc, rng),
        acc_hz=ACC_HZ,
        label_times_s=starts_s + 4.0,
        label_window_s=8.0,
        heart_rate_bpm=heart.mean_rate_bpm(beats.times_s, starts_s, 8.0),
        activity=np.array([activity.name for activity in ACTIVITIES])[course[middle]],
    )


def _rhythm_recording(number: int, minutes: float, codes: Sequence[int], rng: np.random.Generator) -> Recording:
    """Episodes of one rhythm each; noise is a sensor that lies loose and is knocked about."""
    subject = draw_subject(rng)
    restful = [code for code in codes if ACTIVITIES[code].name in RESTFUL] or list(codes)
    episodes = max(1, round(minutes * 60.0 / _RHYTHM_EPISODE_S))
    samples = round(_RHYTHM_EPISODE_S * PPG_HZ)
    kinds = np.tile(np.arange(len(RHYTHMS)), -(-episodes // len(RHYTHMS)))[:episodes]
    kinds = rng.permutation(kinds)
    ppg, acc = [], []
    for kind in kinds:
        rhythm = RHYTHMS[int(kind)]
        course = np.full(samples, restful[int(rng.integers(len(restful)))], dtype=np.int64)
        effort = np.full(round(_RHYTHM_EPISODE_S * heart.COURSE_HZ) + 40, rng.uniform(0.0, 0.25))
        sinus = heart.sinus_beats(heart.rate_course(effort, subject, rng), subject, rng)
        beats = sinus
        if rhythm == "AF":
            beats = heart.fibrillation_beats(_RHYTHM_EPISODE_S + 5.0, rng)
        elif rhythm == "ectopic":
            beats = heart.ectopic_beats(sinus, rng)
        signals = sense(beats, course, subject, rng, motion_scale=_RHYTHM_MOTION)
        trace = signals.ppg
        if rhythm == "noise":
            trace = _noise_only(samples, subject, rng)
        ppg.append(trace)
        acc.append(signals.acc)
    per_episode = int(_RHYTHM_EPISODE_S // _RHYTHM_WINDOW_S)
    labels = np.repeat(kinds, per_episode).astype(np.int64)
    return Recording(
        name=f"synthetic-rhythm-{number:03d}",
        source="synthetic",
        subject=f"synthetic/{number:03d}",
        ppg=np.concatenate(ppg)[None].astype(np.float32),
        ppg_hz=PPG_HZ,
        acc=_acceleration_counts(np.concatenate(acc, axis=1), rng),
        acc_hz=ACC_HZ,
        label_times_s=(np.arange(labels.size) + 0.5) * _RHYTHM_WINDOW_S,
        label_window_s=_RHYTHM_WINDOW_S,
        rhythm=labels,
        rhythm_classes=RHYTHMS,
    )


def _noise_only(samples: int, subject: Subject, rng: np.random.Generator) -> NDArray[np.float64]:
    """A loose sensor: broadband noise, drift and knocks, no pulse."""
    slow = drift(samples, PPG_HZ, rng.uniform(0.1, 1.0), rng)
    fast = rng.standard_normal(samples) * rng.uniform(0.1, 1.0)
    knocks = np.cumsum(rng.standard_normal(samples) * (rng.random(samples) < 0.01)) * rng.uniform(0.0, 1.5)
    light = np.clip(slow + fast + knocks, -subject.sensor_range, subject.sensor_range)
    return np.rint(light * subject.counts_per_unit)
