"""A recording of a person of the wide population, from the programme to what the device writes down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.data.recording import Recording
from nas.data.synthetic import heart
from nas.data.synthetic.noise import drift
from nas.data.synthetic.wide.chance import SIMULATION_HZ, unit
from nas.data.synthetic.wide.coupling import draw_episodes, motion_artifact
from nas.data.synthetic.wide.motion import Motion, move
from nas.data.synthetic.wide.person import Person, draw_person
from nas.data.synthetic.wide.pulse import draw_beats, render
from nas.data.synthetic.wide.scenes import QUIET_SCENES, SCENES, Bout, Scene, draw_programme, scene_names
from nas.data.synthetic.wide.sensor import draw_sensor, sample_acc, sample_ppg

_LABEL_WINDOW_S, _LABEL_STEP_S = 8.0, 2.0
_PURPOSE = {"wide": 0x31DE, "quiet": 0x0A1E}
_SCENES = {"wide": SCENES, "quiet": QUIET_SCENES}


@dataclass(frozen=True, eq=False)
class Scenery:
    """One person's minutes before a device reads them: each (n,) at SIMULATION_HZ in units of the pulse's deviation."""

    person: Person
    programme: list[Bout]
    beats: heart.Beats
    pulse: NDArray[np.float64]
    artifact: NDArray[np.float64]
    motion: Motion


def wide_recording(number: int, seed: int, minutes: float, population: str = "wide") -> Recording:
    """Person `number` of a seed and population, "wide" or "quiet", the same however many are asked for."""
    rng = np.random.default_rng([seed, number, _PURPOSE[population]])
    scenery = play(minutes, rng, _SCENES[population])
    light, acc = _light(scenery, rng)
    sensor = draw_sensor(rng)
    channels = np.stack([_as_seen(light, scenery, gain, rng) for gain in sensor.gain])
    ppg = sample_ppg(channels, sensor, rng)
    duration_s = ppg.shape[1] / sensor.ppg_hz
    starts_s = np.arange(0.0, duration_s - _LABEL_WINDOW_S - 4.0, _LABEL_STEP_S)
    middle = ((starts_s + _LABEL_WINDOW_S / 2) * SIMULATION_HZ).astype(np.int64)
    return Recording(
        name=f"synthetic-{population}-{number:03d}",
        source=f"synthetic-{population}",
        subject=f"synthetic-{population}/{number:03d}",
        ppg=ppg,
        ppg_hz=sensor.ppg_hz,
        acc=sample_acc(acc, sensor, rng) if sensor.has_acc else None,
        acc_hz=sensor.acc_hz if sensor.has_acc else 0.0,
        label_times_s=starts_s + _LABEL_WINDOW_S / 2,
        label_window_s=_LABEL_WINDOW_S,
        heart_rate_bpm=heart.mean_rate_bpm(scenery.beats.times_s, starts_s, _LABEL_WINDOW_S),
        activity=scene_names(scenery.programme, middle),
    )


def play(minutes: float, rng: np.random.Generator, scenes: Sequence[Scene] = SCENES) -> Scenery:
    """A person, what that person does, and what heart and wrist make of it."""
    person = draw_person(rng)
    programme = draw_programme(minutes, rng, scenes)
    beats = draw_beats(programme, person, rng)
    clean = render(beats, np.arange(programme[-1].end) / SIMULATION_HZ, person)
    motion = move(programme, beats.times_s, person, rng)
    artifact = motion_artifact(programme, motion, person, rng)
    return Scenery(person, programme, beats, clean, artifact, motion)


def _light(scenery: Scenery, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light (n,) that reaches the device, and acceleration (3, n) in g with gravity."""
    person, samples = scenery.person, scenery.pulse.size
    breath = heart.breathing_phase(samples, SIMULATION_HZ, person, rng)
    pressed = 1.0 + person.squeeze * np.tanh(unit(scenery.artifact))
    perfused = np.exp(0.35 * drift(samples, SIMULATION_HZ, 40.0, rng)) * _fading(samples, person, rng)
    pulse = scenery.pulse * (1.0 + person.breathing_amplitude * np.sin(breath + 1.0)) * pressed * perfused
    baseline = person.breathing_baseline * np.sin(breath) + person.wander * drift(
        samples, SIMULATION_HZ, person.wander_s, rng
    )
    episodes = draw_episodes(samples, person, rng)
    light = episodes.contact * (pulse + scenery.artifact + baseline) + episodes.added
    return light, scenery.motion.gravity + scenery.motion.dynamic + episodes.shaken


def _fading(samples: int, person: Person, rng: np.random.Generator) -> NDArray[np.float64]:
    """What is left of the pulse while a grip or a tight strap presses the blood away for some seconds: (n,)."""
    level = drift(samples, SIMULATION_HZ, 10.0, rng)
    pressed = np.clip(2.0 * (level - np.quantile(level, 1.0 - person.pressed_share)), 0.0, 1.0)
    return np.asarray(np.exp(-person.pressed_depth * pressed))


def _as_seen(
    light: NDArray[np.float64], scenery: Scenery, gain: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The light as one channel sees it: with more or less of the artifact than the others, which are near it."""
    return gain * (light + 0.3 * rng.standard_normal() * scenery.artifact)
