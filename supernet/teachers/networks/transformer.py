"""Patch Transformer: windows cut into short patches, each a token, attended to by all others.

After Dosovitskiy et al. 2021 (arXiv 2010.11929), figure 1, along time, with normalization before each part
(Xiong et al. 2020, arXiv 2002.04745).
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.settings.teachers import TeacherNetwork
from supernet.teachers.teacher_kind import TeacherInput, TeacherKind

_SAMPLES_A_PATCH = 2
_WIDTH, _HEADS = 96, 6


class PatchTransformer(nn.Module):
    """float32 (batch, channels, samples), normalized -> logits (batch, outputs).

    Tokens are patches of `patch` samples, overlapping by half, embedded in `width` channels by two
    convolutions; `blocks` layers of `heads` heads; the mean over tokens is classified. With `patch_ms`,
    windows at `rate_hz` are first resampled linearly to two samples a patch, and patches do not overlap: 20
    ms make 400 tokens of 8 s whatever the rate. Width 320, 8 heads and 6 blocks are about 5 M parameters.
    """

    positions_along = "time"

    def __init__(  # noqa: PLR0913 - settings of a network, by name
        self,
        outputs: int,
        channels: int = 4,
        samples: int = 256,
        patch: int = 8,
        width: int = _WIDTH,
        heads: int = _HEADS,
        blocks: int = 4,
        dropout: float = 0.1,
        seed: int = 0,
        patch_ms: float | None = None,
        rate_hz: int = 32,
    ) -> None:
        super().__init__()
        self.resampled: int | None = None
        step = max(1, patch // 2)
        if patch_ms is not None:
            patch = step = _SAMPLES_A_PATCH
            samples = _SAMPLES_A_PATCH * round(1000.0 * samples / rate_hz / patch_ms)
            self.resampled = samples
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed = nn.Sequential(
                nn.Conv1d(channels, width // 2, 7, padding=3, bias=False),
                nn.BatchNorm1d(width // 2),
                nn.ReLU(),
                nn.Conv1d(width // 2, width, patch, step),
            )
            tokens = (samples - patch) // step + 1
            self.position = nn.Parameter(0.02 * torch.randn(1, tokens, width))
            layer = nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(layer, blocks, nn.LayerNorm(width), enable_nested_tensor=False)
            self.logits = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        return self.observe(x)[0]

    def observe(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and what they are made of: tokens (batch, channels, positions) along time."""
        if self.resampled is not None:
            x = functional.interpolate(x, self.resampled, mode="linear", align_corners=False)
        tokens = self.blocks(self.embed(x).transpose(1, 2) + self.position)
        return self.logits(tokens.mean(dim=1)), tokens.transpose(1, 2)


def _build(settings: TeacherNetwork, given: TeacherInput) -> PatchTransformer:
    return PatchTransformer(
        given.task.outputs,
        given.channels,
        given.samples,
        dropout=settings.dropout,
        seed=given.seed,
        patch_ms=settings.patch_ms,
        rate_hz=given.rate_hz,
        **settings.sizes(width="width", heads="heads", blocks="layers"),
    )


def _heads_divide_width(settings: TeacherNetwork) -> None:
    width, heads = settings.width or _WIDTH, settings.heads or _HEADS
    if width % heads:
        raise ValueError(f"width {width} is not a multiple of {heads} heads")


TEACHER = TeacherKind(
    _build,
    positions_along="time",
    reads=frozenset({"heads", "layers", "patch_ms"}),
    check=_heads_divide_width,
)
