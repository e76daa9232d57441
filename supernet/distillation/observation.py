"""What one network makes of windows, as distillation compares it: logits, pooled features, attention.

Teachers and students are both looked at through `observe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from supernet.teachers.ensemble import Ensemble
from supernet.windows.steps import Given, call, given, remembered_steps

POSITIONS = 32
"""Attention maps are resampled to so many positions, so that networks of any stride can be compared."""


@dataclass(frozen=True, eq=False)
class Observation:
    """Of n windows: logits (n, outputs); features (n, channels), the mean over positions of what the logits
    are made of; attention (n, POSITIONS) along time, and along frequency. None where not looked at, or where there is
    none.
    """

    logits: Tensor
    features: Tensor | None = None
    attention: Tensor | None = None
    spectral_attention: Tensor | None = None

    def __getitem__(self, chosen: Any) -> Observation:
        """The same of some of the windows."""
        return Observation.of({name: None if x is None else x[chosen] for name, x in self.tensors().items()})

    def weighted(self, weights: Tensor | None) -> Observation:
        """The same values, of which each window's gradient is multiplied by its weight (n,); no weights are ones."""
        if weights is None:
            return self
        w = weights[:, None]
        return Observation.of(
            {k: None if x is None else w * x + (1 - w) * x.detach() for k, x in self.tensors().items()}
        )

    def to(self, device: torch.device) -> Observation:
        """The same in the memory of another processor."""
        return Observation.of({name: None if x is None else x.to(device) for name, x in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor | None]:
        """The fields by name, None where absent."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def of(parts: Mapping[str, Tensor | None]) -> Observation:
        """From what `tensors` gave."""
        logits = parts["logits"]
        assert logits is not None
        return Observation(logits, *(parts.get(field.name) for field in fields(Observation)[1:]))


def observe(network: nn.Module, windows: Given) -> Observation:
    """Look at what `network` makes of windows (n, channels, samples), and of those before where it remembers.

    A network shows itself by `observe(x) -> (logits, maps (n, channels, positions))` and says by
    `positions_along` whether the positions are moments ("time") or frequencies; one without `observe` shows its logits
    alone. An ensemble shows the features of all members, and of each attention that of the first that has one.
    """
    x = given(windows).x
    if isinstance(network, Ensemble):
        parts = [observe(member, part) for member, part in network.parts(x)]
        pooled = [part.features for part in parts if part.features is not None]
        attention = next((part.attention for part in parts if part.attention is not None), None)
        spectral = next((part.spectral_attention for part in parts if part.spectral_attention is not None), None)
        logits = network.combine([part.logits for part in parts])
        return Observation(logits, torch.cat(pooled, dim=1) if pooled else None, attention, spectral)
    if not hasattr(network, "observe"):
        return Observation(call(network, windows))
    args = (x, given(windows).past) if remembered_steps(network) else (x,)
    logits, maps = network.observe(*args)  # type: ignore[operator]
    name = "attention" if network.positions_along == "time" else "spectral_attention"
    return Observation(logits, maps.mean(dim=2), **{name: attention_map(maps)})


def attention_map(maps: Tensor) -> Tensor:
    """Where a network is active: squares of maps (n, channels, positions), summed over channels, of norm 1.

    Zagoruyko and Komodakis 2017 (arXiv 1612.03928), section 3.1, F_sum with p = 2; resampled to (n,
    POSITIONS).
    """
    energy = maps.square().sum(dim=1, keepdim=True)
    return functional.normalize(functional.adaptive_avg_pool1d(energy, POSITIONS)[:, 0], dim=1)
