"""What may go wrong with a worn sensor, done to training windows: other people's motion, lost contact, drift.

Applied by Draw to raw windows, before the signals that networks read are made of them, so that teacher and
student see the same. Turning the accelerometer's frame is not among them: what is read does not depend on
it (hwmodels/network/preparation.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.settings.augmentation import Augmentation

_EDGE_S = 0.1
_SHORTEST_LOSS_S = 0.4
_DRIFT_HZ = (0.05, 0.4)


@dataclass(frozen=True, eq=False)
class Disturbances:
    """What is done to each of n windows; arrays are (n,).

    partner: whose motion is added; motion: how much of it (0 for none). loss_at, loss_s: where contact is
    lost, as a share of the window, and for how long (0 for not). drift, drift_hz, drift_phase: the slow
    change of amplitude. is_silent: whether the accelerometer says nothing.
    """

    partner: npt.NDArray[np.intp]
    motion: Tensor
    loss_at: Tensor
    loss_s: Tensor
    drift: Tensor
    drift_hz: Tensor
    drift_phase: Tensor
    is_silent: Tensor

    @staticmethod
    def drawn(
        count: int, rng: np.random.Generator, settings: Augmentation, of: npt.NDArray[np.intp] | None = None
    ) -> Disturbances:
        """Random ones for `count` windows, all alike for those of a block: of (count,) numbers it."""
        of = np.arange(count) if of is None else of

        def uniform(low: float, high: float, share: float = 1.0) -> Tensor:
            values = rng.uniform(low, high, count) * (rng.random(count) < share)
            return torch.from_numpy(values.astype(np.float32)[of])

        first = np.searchsorted(of, of)
        return Disturbances(
            partner=(rng.integers(count, size=count)[of] + np.arange(count) - first) % count,
            motion=uniform(0.25 * settings.motion_gain, settings.motion_gain, settings.motion_share),
            loss_at=uniform(0.0, 1.0),
            loss_s=uniform(min(_SHORTEST_LOSS_S, settings.contact_s), settings.contact_s, settings.contact_share),
            drift=uniform(0.0, settings.gain),
            drift_hz=uniform(*_DRIFT_HZ),
            drift_phase=uniform(0.0, 2 * math.pi),
            is_silent=torch.from_numpy((rng.random(count) < settings.silence_share)[of]),
        )

    def apply(
        self,
        x: Tensor,
        chosen: npt.NDArray[np.intp],
        rate_hz: int,
        artifact_of: Callable[[npt.NDArray[np.intp]], Tensor],
    ) -> Tensor:
        """Windows `chosen` (m, 4, samples) of raw PPG and acceleration, disturbed.

        `artifact_of(windows)` gives the motion of others (m, 4, samples): what their accelerometer explains
        of their PPG, and their acceleration.
        """
        x, samples = x.clone(), x.shape[2]
        time = torch.arange(samples, device=x.device) / rate_hz

        def of_windows(values: Tensor) -> Tensor:
            return values[chosen, None].to(x.device)

        angle = 2 * math.pi * of_windows(self.drift_hz) * time + of_windows(self.drift_phase)
        x[:, 0] *= torch.exp(of_windows(self.drift) * torch.sin(angle))
        moved = torch.nonzero(self.motion[chosen])[:, 0].numpy()
        if len(moved):
            strength = self.motion[chosen[moved]][:, None, None].to(x.device)
            x[moved] += strength * artifact_of(self.partner[chosen[moved]])
        lost = of_windows(self.loss_s)
        middle = of_windows(self.loss_at) * samples / rate_hz
        # A smooth step down and up again; windows without a loss keep a factor of 1.
        inside = torch.sigmoid((lost / 2 - (time - middle).abs()) / (_EDGE_S / 4))
        x[:, 0] *= 1.0 - inside * (lost > 0)
        x[:, 1:] *= of_windows(~self.is_silent).float()[:, None]
        return x
