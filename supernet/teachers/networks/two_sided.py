"""Two-sided teacher: the spectral one, which also reads the windows before and after the one it speaks of.

What a student on the device can't have is the future. Between the convolutions along frequency, each channel is
filtered along time, as far ahead as back; a start, an end, a gap and the rim of a training block are zeros there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.settings.teachers import TeacherNetwork
from supernet.teachers.networks.spectral import SpectralNetwork
from supernet.teachers.teacher_kind import TeacherInput, TeacherKind

_DILATIONS = (1, 2, 4, 8)


class _Neighbours(nn.Module):
    """x plus its channels filtered along time, two taps `dilation` steps away and one here, rectified."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Parameter(0.3 * torch.randn(3, channels, 1))
        self.norm = nn.BatchNorm1d(channels)
        self.mix = nn.Conv1d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, past: Tensor | None) -> Tensor:
        """(batch, channels, bins) -> the same shape; past: (batch,) steps before each row."""
        before, after = beside(x, past, self.dilation)
        y = self.taps[0] * before + self.taps[1] * x + self.taps[2] * after
        result: Tensor = x + self.mix(functional.relu(self.norm(y)))
        return result


def beside(x: Tensor, past: Tensor | None, steps: int) -> tuple[Tensor, Tensor]:
    """Rows of x (batch, ..) so many steps before and after each; zeros where the steps between are not all there.

    Row i + k is k steps after row i where at least k steps lie directly before it (`past` >= k).
    """
    nothing = torch.zeros_like(x)
    if past is None or steps >= len(x):
        return nothing, nothing
    connects = (past[steps:] >= steps).view(-1, *[1] * (x.dim() - 1))
    edge = nothing[:steps]
    return torch.cat([edge, x[:-steps] * connects]), torch.cat([x[steps:] * connects, edge])


class TwoSidedNetwork(SpectralNetwork):
    """As SpectralNetwork, with 30 s of context to either side: forward(x, past) -> logits (batch, outputs).

    x: (batch, channels, samples), rows in order; past: (batch,) as in supernet/windows/steps.py, None where rows do
    not follow each other.
    """

    remembered_steps = following_steps = sum(_DILATIONS)

    def __init__(self, outputs: int, channels: int = 4, rate_hz: int = 32, width: int = 64, **sizes: float) -> None:
        super().__init__(outputs, channels, rate_hz, width, **sizes)  # type: ignore[arg-type]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(sizes.get("seed", 0)) + 1)
            self.neighbours = nn.ModuleList(_Neighbours(width, dilation) for dilation in _DILATIONS)

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        return self.observe(x, past)[0]

    def observe(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits, and what they are made of: features (batch, channels, positions) along frequency."""
        y = self.stem(self.spectra(x)) + self.place
        for number, block in enumerate(self.blocks):
            y = block(y)
            if number < len(self.neighbours):
                y = self.neighbours[number](y, past)
        y = functional.relu(self.norm(y))
        logits: Tensor = self.logits(y.mean(dim=2)) if self.pools else self.logits(y)[:, 0]
        return logits, y


def _build(settings: TeacherNetwork, given: TeacherInput) -> TwoSidedNetwork:
    band = given.task.band_per_min
    sizes = settings.sizes(width="width") | ({} if band is None else {"first_bpm": band[0], "last_bpm": band[1]})
    return TwoSidedNetwork(
        given.task.outputs,
        given.channels,
        given.rate_hz,
        dropout=settings.dropout,
        pools=band is None,
        seed=given.seed,
        **sizes,
    )


TEACHER = TeacherKind(_build, positions_along="frequency", follows_time=True)
