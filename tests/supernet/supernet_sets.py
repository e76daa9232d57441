"""Small training sets and spaces for the supernet's tests: sines whose frequency is the heart rate."""

import numpy as np
import torch

from supernet.space.search_space import SearchSpace, load_space
from supernet.windows.training_set import TrainingSet

MARGIN_S = 1.5
# Test networks are tiny: a second thread costs more than it brings, much more on a busy machine.
torch.set_num_threads(1)


def sines(count: int, seed: int = 0, rates: tuple[int, ...] = (16, 32)) -> TrainingSet:
    """Windows of 8 s with a pulse at the labelled rate, and motion in PPG and accelerometer."""
    rng = np.random.default_rng(seed)
    bpm = rng.uniform(50, 180, count)
    cadence_hz, phase = rng.uniform(0.8, 2.5, count), rng.uniform(0, 2 * np.pi, (2, count))
    direction = rng.normal(size=(count, 3, 1))
    inputs = {}
    for rate in rates:
        samples = 8 * rate + 2 * round(MARGIN_S * rate)
        t = (np.arange(samples) - (samples - 1) / 2) / rate
        pulse = np.sin(2 * np.pi * bpm[:, None] / 60 * t + phase[0][:, None])
        motion = np.sin(2 * np.pi * cadence_hz[:, None] * t + phase[1][:, None])
        held = np.concatenate([(pulse + 0.3 * motion)[:, None], direction * motion[:, None]], axis=1)
        inputs[rate] = held.astype(np.float32)
    subjects = np.array([f"s{i % 3}" for i in range(count)])
    return TrainingSet(inputs, np.ones(count, bool), bpm.astype(np.float32), 8.0, MARGIN_S, subjects)


def small_space(outputs: int = 24) -> SearchSpace:
    """The default space's structure, narrow and short, so that a training step takes milliseconds."""
    content = load_space("default").model_dump()
    content |= {"name": "small", "stem_widths": (4, 8), "outputs": outputs}
    for stage, widths in zip(content["stages"], ((4, 8), (4, 12), (8, 16)), strict=True):
        stage["widths"] = widths
        stage["blocks"] = stage["blocks"][:2]
    return SearchSpace(**content)
