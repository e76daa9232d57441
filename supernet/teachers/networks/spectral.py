"""Spectral teacher: short-time spectra sampled at the heart-rate bins, convolved along frequency.

A peak means the same wherever it stands, so weights are shared along frequency; moving the heart rate moves
the belief. In the manner of networks on spectra (Reiss et al. 2019, section 4), with the harmonic beside its
fundamental.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.settings.teachers import TeacherNetwork
from supernet.teachers.teacher_kind import TeacherInput, TeacherKind

_FLOOR = 1e-4
_STRETCHES = ((0.0, 1.0), (0.0, 0.5), (0.25, 0.5), (0.5, 0.5))
"""Start and length of the looked at parts, as shares of the window."""


class _Residual(nn.Module):
    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.norm = nn.BatchNorm1d(channels)
        self.first = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation, bias=False)
        self.middle = nn.BatchNorm1d(channels)
        self.second = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bins) -> the same shape."""
        y = self.first(functional.relu(self.norm(x)))
        y = functional.dropout(functional.relu(self.middle(y)), self.dropout, self.training)
        result: Tensor = x + self.second(y)
        return result


class SpectralNetwork(nn.Module):
    """float32 (batch, channels, samples), normalized -> logits (batch, outputs), one per frequency.

    The log power of every signal is read at `outputs` frequencies from first_bpm to last_bpm and at twice
    those, in the whole window and in three overlapping halves. With `pools`, for outputs that are no
    frequencies, features of 96 frequencies are averaged first. Weights are drawn from `seed`.
    """

    positions_along = "frequency"
    frequencies: Tensor

    def __init__(  # noqa: PLR0913 - settings of a network, by name
        self,
        outputs: int,
        channels: int = 4,
        rate_hz: int = 32,
        width: int = 48,
        blocks: int = 5,
        kernel: int = 5,
        dropout: float = 0.2,
        first_bpm: float = 30.0,
        last_bpm: float = 220.0,
        pools: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.rate_hz, self.pools = rate_hz, pools
        count = 96 if pools else outputs
        base = torch.linspace(first_bpm, last_bpm, count) / 60.0
        self.register_buffer("frequencies", torch.cat([base, 2.0 * base]), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.place = nn.Parameter(0.1 * torch.randn(width, count))
            self.stem = nn.Conv1d(channels * 2 * len(_STRETCHES), width, kernel, padding=kernel // 2)
            self.blocks = nn.Sequential(
                *(_Residual(width, kernel, 1 + number % 3, dropout) for number in range(blocks))
            )
            self.norm = nn.BatchNorm1d(width)
            self.logits = nn.Linear(width, outputs) if pools else nn.Conv1d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        return self.observe(x)[0]

    def observe(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and what they are made of: features (batch, channels, positions) along frequency."""
        y = self.stem(self.spectra(x)) + self.place
        y = functional.relu(self.norm(self.blocks(y)))
        logits: Tensor = self.logits(y.mean(dim=2)) if self.pools else self.logits(y)[:, 0]
        return logits, y

    def spectra(self, x: Tensor) -> Tensor:
        """Log power (batch, features, bins): per signal, per stretch of the window, at f and at 2 f."""
        powers = []
        for start, share in _STRETCHES:
            first, length = round(start * x.shape[2]), round(share * x.shape[2])
            taper = torch.hann_window(length, device=x.device)
            part = x[:, :, first : first + length] * taper * (2.0 / length)
            samples = torch.arange(length, device=x.device)[:, None]
            angle = 2.0 * math.pi / self.rate_hz * samples * self.frequencies
            powers.append((part @ angle.cos()).square() + (part @ angle.sin()).square())
        return torch.log(torch.cat(powers, dim=1) + _FLOOR).unflatten(2, (2, -1)).flatten(1, 2)


def _build(settings: TeacherNetwork, given: TeacherInput) -> SpectralNetwork:
    band = given.task.band_per_min
    sizes = settings.sizes(width="width") | ({} if band is None else {"first_bpm": band[0], "last_bpm": band[1]})
    return SpectralNetwork(
        given.task.outputs,
        given.channels,
        given.rate_hz,
        dropout=settings.dropout,
        pools=band is None,
        seed=given.seed,
        **sizes,
    )


TEACHER = TeacherKind(_build, positions_along="frequency")
