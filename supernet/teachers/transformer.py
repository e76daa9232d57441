"""Patch Transformer: windows cut into short patches, each a token, attended to by all others.

After Dosovitskiy et al. 2021 (arXiv 2010.11929), figure 1, along time, with normalization before each part
(Xiong et al. 2020, arXiv 2002.04745).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchTransformer(nn.Module):
    """float32 (batch, channels, samples), normalized -> logits (batch, outputs).

    Tokens are patches of `patch` samples, overlapping by half, embedded in `width` channels by two
    convolutions; `blocks` layers of `heads` heads; the mean over tokens is classified.
    """

    def __init__(
        self,
        outputs: int,
        channels: int = 4,
        samples: int = 256,
        patch: int = 8,
        width: int = 96,
        heads: int = 6,
        blocks: int = 4,
        dropout: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        step = max(1, patch // 2)
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
            self.blocks = nn.TransformerEncoder(
                layer, blocks, nn.LayerNorm(width), enable_nested_tensor=False
            )
            self.logits = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, outputs) of windows (batch, channels, samples)."""
        tokens = self.embed(x).transpose(1, 2) + self.position
        logits: Tensor = self.logits(self.blocks(tokens).mean(dim=1))
        return logits
