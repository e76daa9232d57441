"""The names of the distillation losses, apart from torch, for configurations that are only read."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "soft_labels",
    "regression",
    "bins",
    "alpha_divergence",
    "cross_modal",
    "features",
    "attention",
    "relations",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ON_LOGITS: tuple[Kind, ...] = ("soft_labels", "regression", "bins", "alpha_divergence", "cross_modal")
"""Kinds that compare logits alone, as a supernet's subnets can."""
FOR_HEART_RATES: tuple[Kind, ...] = ("regression", "bins")
"""Kinds whose bins are in order."""
