"""An architecture: which subnet of the supernet. A frozen value; equal values build equal networks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from hwmodels.network.graph import Reads
from hwmodels.signals.spectrum import spectrum_channels

BlockKind = Literal["inverted_residual", "dilated"]
Sensors = Literal["ppg", "ppg_acc"]
SENSOR_CHANNELS: dict[Sensors, int] = {"ppg": 1, "ppg_acc": 4}


def input_channels(sensors: Sensors, reads: Reads) -> int:
    """Input channels of a sensor set's signals, or of their spectra."""
    signals = SENSOR_CHANNELS[sensors]
    return spectrum_channels(signals) if reads == "spectrum" else signals


@dataclass(frozen=True)
class Block:
    """One block: an inverted residual (expand, depthwise, project) or one dilated convolution.

    `expansion` is the ratio of expanded to input channels; a dilated block has none and holds 0. Before its first
    convolution a block may filter `remembers` channels along time, by `taps` a few `steps` (of 2 s) apart.
    """

    kind: BlockKind
    kernel: int
    dilation: int
    expansion: int = 0
    remembers: int = 0
    taps: int = 0
    steps: int = 0

    def __str__(self) -> str:
        memory = f"m{self.remembers}k{self.taps}s{self.steps}" if self.remembers else ""
        if self.kind == "dilated":
            return f"c{self.kernel}d{self.dilation}{memory}"
        return f"i{self.kernel}d{self.dilation}e{self.expansion}{memory}"

    @property
    def reach(self) -> int:
        """Steps before the newest that it looks back to."""
        return (self.taps - 1) * self.steps if self.remembers else 0


@dataclass(frozen=True)
class Stage:
    """Blocks of one width, one after the other; the first may change length and width."""

    width: int
    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return f"{self.width}:" + ",".join(map(str, self.blocks))


@dataclass(frozen=True)
class Arch:
    """A subnet: its input (rate in Hz, sensor set, samples or spectra), the stem's width, its stages."""

    rate_hz: int
    sensors: Sensors
    stem_width: int
    stages: tuple[Stage, ...]
    reads: Reads = "samples"

    def __str__(self) -> str:
        read = f"{self.rate_hz}Hz" + ("-spectrum" if self.reads == "spectrum" else "")
        return f"{read}/{self.sensors}/{self.stem_width}/" + "/".join(map(str, self.stages))

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return input_channels(self.sensors, self.reads)

    @property
    def remembered_steps(self) -> int:
        """Steps (2 s each) before the newest that the network looks back to; 0 for one that reads one window."""
        return sum(block.reach for stage in self.stages for block in stage.blocks)

    @property
    def path(self) -> tuple[tuple[object, ...], ...]:
        """What comes one after the other: input and stem, then each block with its stage and width.

        Two architectures compute the same up to where their paths part.
        """
        found: list[tuple[object, ...]] = [(self.reads, self.rate_hz, self.sensors, self.stem_width)]
        for number, stage in enumerate(self.stages, 1):
            found += [(number, stage.width, block) for block in stage.blocks]
        return tuple(found)

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that name this architecture in archives and folders."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:10]
