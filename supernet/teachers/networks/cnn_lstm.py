"""CNN-LSTM: convolutions find beats, a recurrent layer reads their rhythm.

In the manner of CorNET (Biswas et al., IEEE TBioCAS 13(2), 2019): two convolutions, two LSTM layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.settings.teachers import TeacherNetwork
from supernet.teachers.teacher_kind import TeacherInput, TeacherKind


class ConvolutionalRecurrent(nn.Module):
    """float32 (batch, channels, samples), normalized -> logits (batch, outputs).

    Two convolutions of `width` channels, each halving the time, then two LSTM layers of `hidden` units that
    read forwards and backwards; their outputs' mean is classified. Weights are drawn from `seed`.
    """

    positions_along = "time"

    def __init__(
        self,
        outputs: int,
        channels: int = 4,
        width: int = 64,
        hidden: int = 64,
        kernel: int = 9,
        dropout: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.features = nn.Sequential(
                nn.Conv1d(channels, width, kernel, 2, kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Conv1d(width, width, kernel, 2, kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            )
            self.memory = nn.LSTM(width, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=dropout)
            self.dropout = dropout
            self.logits = nn.Linear(2 * hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        return self.observe(x)[0]

    def observe(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and what they are made of: states (batch, channels, positions) along time."""
        features = self.features(x).transpose(1, 2)
        states, _ = self.memory(features)
        pooled = functional.dropout(states.mean(dim=1), self.dropout, self.training)
        return self.logits(pooled), states.transpose(1, 2)


def _build(settings: TeacherNetwork, given: TeacherInput) -> ConvolutionalRecurrent:
    sizes = settings.sizes(width="width")
    return ConvolutionalRecurrent(
        given.task.outputs, given.channels, dropout=settings.dropout, seed=given.seed, **sizes
    )


TEACHER = TeacherKind(_build, positions_along="time")
