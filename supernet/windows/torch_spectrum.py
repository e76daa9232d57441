"""Spectra of normalized windows for training: hwmodels/signals/spectrum.py in the order that is fast here."""

from __future__ import annotations

import torch
from torch import Tensor

from hwmodels.signals.spectrum import CENTRE, FIRST_POSITION, FLOOR, PADDED, POSITIONS, SLOPE, STRETCHES, place_channels


def spectra_of(signals: Tensor) -> Tensor:
    """Signals (n, S, samples) -> what networks over spectra read: float32 (n, channels, POSITIONS)."""
    device = signals.device
    at = torch.arange(FIRST_POSITION, FIRST_POSITION + POSITIONS, device=device)
    samples, powers = signals.shape[2], []
    for start, quarters in STRETCHES:
        length, first = samples * quarters // 4, samples * start // 4
        taper = torch.hann_window(length, device=device) * (2.0 / length)
        weighted = signals[:, :, first : first + length] * taper
        transformed = torch.fft.rfft(weighted, n=PADDED)
        power = transformed.real.square() + transformed.imag.square()
        powers.append(torch.stack([power[:, :, at], power[:, :, 2 * at]], dim=2))
    floored = torch.stack(powers, dim=2).flatten(1, 3) + FLOOR
    octaves = floored.contiguous().view(torch.int32).to(torch.float32) * 2.0**-23 - 127.0
    places = torch.from_numpy(place_channels(POSITIONS).T).to(device).expand(len(signals), -1, -1)
    return torch.cat([places, (octaves + CENTRE) * SLOPE], dim=1)
