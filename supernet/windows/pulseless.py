"""Stretches of training windows without a pulse: noise of a sensor that nobody wears, for networks to doubt.

White, like 1/f, a random walk, or anything between them, within the band of heart rates. Windows of a stretch are
cut from one series, 2 s apart, as a recording's would be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.windows.step_numbers import STEP_S

_STEEPEST = 2.0
"""Power falls with frequency to the power of 0 (white) to this (a random walk)."""
_BAND_HZ = (0.4, 8.0)


@dataclass(frozen=True, eq=False)
class Pulseless:
    """Which of n windows are noise: the number of each one's stretch (n,), -1 for none, and its place there (n,)."""

    stretch: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    seed: tuple[int, ...]

    @staticmethod
    def drawn(
        blocks: list[npt.NDArray[np.intp]], share: float, rng: np.random.Generator, seed: tuple[int, ...]
    ) -> Pulseless:
        """A part of each of a `share` of the blocks, from an eighth of it to all."""
        count = sum(len(block) for block in blocks)
        stretch, place = np.full(count, -1), np.zeros(count, np.intp)
        for number in np.flatnonzero(rng.random(len(blocks)) < share):
            block = blocks[number]
            length = int(rng.integers(-(-len(block) // 8), len(block) + 1))
            first = int(rng.integers(len(block) - length + 1))
            rows = block[first : first + length]
            stretch[rows], place[rows] = number, np.arange(length)
        return Pulseless(stretch, place, seed)

    def is_noise(self, chosen: npt.NDArray[np.intp] | slice = slice(None)) -> Tensor:
        """Which of the windows chosen are noise, bool (m,)."""
        return torch.from_numpy(self.stretch[chosen] >= 0)

    def apply(self, x: Tensor, chosen: npt.NDArray[np.intp], rate_hz: int) -> Tensor:
        """Raw windows (m, 4, samples) of PPG and acceleration: noise instead of the PPG where there is no pulse."""
        numbers, samples, step = self.stretch[chosen], x.shape[2], round(STEP_S * rate_hz)
        x = x.clone()
        for number in np.unique(numbers[numbers >= 0]):
            rows = np.flatnonzero(numbers == number)
            places = self.place[chosen[rows]]
            # Of a stretch, some windows may be wanted: the series is that of all.
            length = int(self.place[self.stretch == number].max()) * step + samples
            series = _noise(length, rate_hz, np.random.default_rng([*self.seed, rate_hz, int(number)]))
            windows = np.stack([series[place * step : place * step + samples] for place in places])
            x[rows, 0] = torch.from_numpy(windows).to(x.device)
        return x


def _noise(length: int, rate_hz: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A series of deviation 1."""
    frequencies = np.fft.rfftfreq(length, 1 / rate_hz)
    inside = (frequencies >= _BAND_HZ[0]) & (frequencies <= _BAND_HZ[1])
    falling = np.maximum(frequencies, _BAND_HZ[0]) ** (-rng.uniform(0.0, _STEEPEST) / 2)
    spectrum = np.fft.rfft(rng.standard_normal(length)) * inside * falling
    series = np.fft.irfft(spectrum, length)
    return (series / max(float(series.std()), 1e-9)).astype(np.float32)
