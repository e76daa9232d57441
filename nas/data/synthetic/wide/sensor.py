"""The devices of the wide population: rates, resolution, range, coupling, sign, clocks, an accelerometer's faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from nas.data.synthetic.noise import drift
from nas.data.synthetic.wide.chance import SIMULATION_HZ, log_uniform

PPG_RATES_HZ = (25, 32, 50, 64, 100, 125, 128, 200, 256)
ACC_RATES_HZ = (25, 32, 50, 64, 100, 125, 256)
_HAS_ACC = 0.96


@dataclass(frozen=True, eq=False)
class Sensor:
    """One device on one wrist.

    Per PPG channel (c,): noise and gain; pink is the share of the noise that drifts. bits: of the ADC. headroom: its
    range on either side of the middle, in deviations of the pulse. is_ac_coupled: high-passed at high_pass_hz and
    resting in the middle of the range; else counts stand for all of the light, of which the pulse is a small part.
    sign: -1 where more blood reads as less. acc_bits_per_g: counts for a g. acc_gain: (3,) of the axes, one of
    which may be nearly deaf. acc_delay_s: behind the PPG. acc_clock: its rate over the nominal one.
    """

    ppg_hz: int
    noise: NDArray[np.float64]
    gain: NDArray[np.float64]
    pink: float
    bits: int
    headroom: float
    is_ac_coupled: bool
    high_pass_hz: float
    rest_level: float
    sign: float
    steps_per_min: float
    has_acc: bool
    acc_hz: int
    acc_range_g: float
    acc_counts_per_g: float
    acc_noise_g: float
    acc_gain: NDArray[np.float64]
    acc_delay_s: float
    acc_clock: float


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """A new device (randomized throughout, within what data sheets of wrist sensors offer)."""
    channels = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    ppg_hz = int(rng.choice(PPG_RATES_HZ))
    acc_gain = rng.normal(1.0, 0.03, size=3)
    is_ac_coupled = bool(rng.random() < 0.5)
    if rng.random() < 0.06:
        acc_gain[int(rng.integers(3))] *= 0.02
    return Sensor(
        ppg_hz=ppg_hz,
        noise=log_uniform((0.01, 0.5), rng) * np.exp(0.5 * rng.standard_normal(channels)),
        gain=np.exp(0.3 * rng.standard_normal(channels)),
        pink=rng.uniform(0.0, 0.8),
        bits=int(rng.integers(12, 17)),
        headroom=log_uniform((4.0, 60.0) if is_ac_coupled else (15.0, 300.0), rng),
        is_ac_coupled=is_ac_coupled,
        high_pass_hz=log_uniform((0.05, 0.6), rng),
        rest_level=rng.uniform(0.2, 0.8),
        sign=float(rng.choice([-1.0, 1.0])),
        steps_per_min=float(rng.choice([0.0, 0.5], p=[0.8, 0.2])),
        has_acc=bool(rng.random() < _HAS_ACC),
        acc_hz=ppg_hz if rng.random() < 0.4 else int(rng.choice(ACC_RATES_HZ)),
        acc_range_g=float(rng.choice([2.0, 4.0, 8.0, 16.0])),
        acc_counts_per_g=float(2.0 ** rng.integers(5, 13)),
        acc_noise_g=log_uniform((0.001, 0.02), rng),
        acc_gain=acc_gain,
        acc_delay_s=float(rng.choice([0.0, rng.uniform(-0.1, 0.3)])),
        acc_clock=1.0 - (rng.uniform(0.0, 0.004) if rng.random() < 0.15 else 0.0),
    )


def sample_ppg(light: NDArray[np.float64], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light (c, n) at SIMULATION_HZ in units of the pulse -> counts (c, samples) at the device's rate."""
    samples = light.shape[1] * sensor.ppg_hz // SIMULATION_HZ
    at = np.arange(samples) * (SIMULATION_HZ / sensor.ppg_hz)
    read = np.stack([np.interp(at, np.arange(light.shape[1]), channel) for channel in light])
    if sensor.steps_per_min:
        # The device sets its lamp brighter or dimmer.
        flips = rng.random(samples) < sensor.steps_per_min / 60.0 / sensor.ppg_hz
        read = read + np.cumsum(flips * rng.normal(0.0, 8.0, size=samples))
    white = rng.standard_normal(read.shape)
    slow = np.stack([drift(samples, sensor.ppg_hz, log_uniform((0.05, 1.0), rng), rng) for _ in read])
    # White noise above the band does no harm: what is stated is its deviation below 8 Hz or so.
    wide = np.sqrt(sensor.ppg_hz / SIMULATION_HZ)
    read += sensor.noise[:, None] * (np.sqrt(1.0 - sensor.pink) * wide * white + np.sqrt(sensor.pink) * 1.5 * slow)
    if sensor.is_ac_coupled:
        keep = float(np.exp(-2.0 * np.pi * sensor.high_pass_hz / sensor.ppg_hz))
        read = lfilter([1.0, -1.0], [1.0, -keep], read - read[:, :1], axis=1)
    middle = 0.5 if sensor.is_ac_coupled else sensor.rest_level
    # Few counts for a pulse make coarse steps, but never none.
    counts_per_unit = max(2.0**sensor.bits / (2.0 * sensor.headroom), 4.0)
    counts = middle * 2.0**sensor.bits + sensor.sign * counts_per_unit * read
    return np.clip(np.rint(counts), 0.0, 2.0**sensor.bits - 1.0).astype(np.float32)


def sample_acc(acc: NDArray[np.float64], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.float32]:
    """Acceleration (3, n) in g at SIMULATION_HZ -> (3, samples) in g as the device has it.

    A clock that is slow gives fewer samples than its nominal rate promises, and they stand for later moments.
    """
    duration_s = acc.shape[1] / SIMULATION_HZ
    samples = int(duration_s * sensor.acc_hz * sensor.acc_clock)
    times_s = np.arange(samples) / (sensor.acc_hz * sensor.acc_clock) - sensor.acc_delay_s
    read = np.stack([np.interp(times_s * SIMULATION_HZ, np.arange(acc.shape[1]), axis) for axis in acc])
    read = sensor.acc_gain[:, None] * read + sensor.acc_noise_g * rng.standard_normal(read.shape)
    read = np.clip(read, -sensor.acc_range_g, sensor.acc_range_g)
    return (np.rint(read * sensor.acc_counts_per_g) / sensor.acc_counts_per_g).astype(np.float32)
