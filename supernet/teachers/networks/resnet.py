"""ResNet-1D: the external teacher. Residual bottlenecks over time with centred padding.

After He et al. 2016 (arXiv 1512.03385), table 1, with convolutions along time in place of images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.settings.teachers import TeacherNetwork
from supernet.teachers.teacher_kind import TeacherInput, TeacherKind

_EXPANSION = 4


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, (1, kernel), (1, stride), padding=(0, kernel // 2), bias=False),
        nn.BatchNorm2d(channels_out),
    )


class Bottleneck(nn.Module):
    """Pointwise, convolution over time, pointwise; the input is added, projected where shapes differ."""

    def __init__(self, channels_in: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        channels_out = width * _EXPANSION
        self.reduce = _convolution(channels_in, width, 1, 1)
        self.filter = _convolution(width, width, kernel, stride)
        self.restore = _convolution(width, channels_out, 1, 1)
        keeps_shape = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if keeps_shape else _convolution(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels_in, 1, length) -> (batch, 4 * width, 1, ceil(length / stride))."""
        y = functional.relu(self.reduce(x))
        y = functional.relu(self.filter(y))
        return functional.relu(self.restore(y) + self.shortcut(x))


class ResNet(nn.Module):
    """float32 (batch, channels, samples), normalized -> logits (batch, outputs).

    `blocks` bottlenecks per stage; stage i is `width` * 2**i wide inside and four times that outside,
    and halves the length from the second on. (3, 4, 6, 3) of width 20 are 50 layers, about 2 M
    parameters. Weights are drawn from `seed`.
    """

    positions_along = "time"

    def __init__(
        self,
        outputs: int,
        channels: int = 4,
        width: int = 16,
        blocks: Sequence[int] = (2, 2, 2, 2),
        kernel: int = 7,
        dropout: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem = _convolution(channels, 2 * width, 15, 2)
            stages: list[nn.Module] = []
            before = 2 * width
            for number, depth in enumerate(blocks):
                inner = width * 2**number
                for position in range(depth):
                    stride = 2 if number and not position else 1
                    stages.append(Bottleneck(before, inner, kernel, stride))
                    before = inner * _EXPANSION
            self.blocks = nn.Sequential(*stages)
            self.dropout = dropout
            self.logits = nn.Linear(before, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        return self.observe(x)[0]

    def observe(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and what they are made of: features (batch, channels, positions) along time."""
        y = x[:, :, None, :].contiguous(memory_format=torch.channels_last)
        y = self.blocks(functional.relu(self.stem(y)))
        logits: Tensor = self.logits(functional.dropout(y.mean(dim=(2, 3)), self.dropout, self.training))
        return logits, y[:, :, 0]


def _build(settings: TeacherNetwork, given: TeacherInput) -> ResNet:
    sizes = settings.sizes(width="width", blocks="blocks")
    return ResNet(given.task.outputs, given.channels, dropout=settings.dropout, seed=given.seed, **sizes)


TEACHER = TeacherKind(_build, positions_along="time", reads=frozenset({"blocks"}))
