"""How training windows are varied: the settings, as a configuration gives them."""

from __future__ import annotations

from pydantic import Field

from hwmodels.basics.settings import Settings


class Augmentation(Settings):
    """How training windows are varied.

    A window is played between `slowest` and `fastest` times its speed, as far as its margins reach,
    and its heart rate with it (share `stretch_share` of the windows). Noise of deviation up to `noise`
    (in deviations of the PPG) is added, which a teacher is not shown.

    The rest disturbs windows as worn sensors are (supernet/windows/disturbances.py) and is off by default, for want
    of a gain on validation subjects (docs/explanation/accuracy.md): in motion_share of the windows, the motion of
    another one is added, artifact and acceleration, by up to motion_gain; in contact_share, the pulse is
    lost for up to contact_s; the amplitude drifts by up to exp(gain); in silence_share, the accelerometer
    reads nothing.

    For networks over spectra, rate_share of the windows (or of the blocks of windows that follow each other) are
    given another heart rate anywhere between slowest_bpm and fastest_bpm, even in the logarithm: what a spectrum has
    at f it then has at f times the factor. In pulseless_share of the blocks, there is no pulse for a while, and
    every heart rate is to be believed alike (supernet/windows/pulseless.py).
    """

    slowest: float = Field(default=0.75, gt=0, le=1)
    fastest: float = Field(default=1.3, ge=1)
    stretch_share: float = Field(default=0.9, ge=0, le=1)
    noise: float = Field(default=0.05, ge=0, le=10)
    motion_share: float = Field(default=0.0, ge=0, le=1, description="with another window's motion added")
    motion_gain: float = Field(default=1.0, gt=0, le=10, description="most of that motion")
    contact_share: float = Field(default=0.0, ge=0, le=1, description="with contact lost")
    contact_s: float = Field(default=1.5, gt=0, le=8, description="longest loss")
    gain: float = Field(default=0.0, ge=0, le=3, description="deviation of the log of a slow drift")
    silence_share: float = Field(default=0.0, ge=0, le=1, description="without accelerometer")

    rate_share: float = Field(default=0.0, ge=0, le=1, description="given another heart rate, over spectra")
    slowest_bpm: float = Field(default=42.0, gt=0, description="of the rates given")
    fastest_bpm: float = Field(default=195.0, gt=0, description="of the rates given")
    pulseless_share: float = Field(default=0.0, ge=0, le=1, description="with a stretch of noise instead of a pulse")

    @property
    def disturbs(self) -> bool:
        """Whether anything but stretching and noise is done."""
        return bool(self.motion_share or self.contact_share or self.gain or self.silence_share)
