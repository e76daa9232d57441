"""An architecture: which subnet of the supernet. A frozen value; equal values build equal networks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["inverted_residual", "dilated"]
Sensors = Literal["ppg", "ppg_acc"]
SENSOR_CHANNELS: dict[str, int] = {"ppg": 1, "ppg_acc": 4}


@dataclass(frozen=True)
class Block:
    """One block: an inverted residual (expand, depthwise, project) or one dilated convolution.

    `expansion` is the ratio of expanded to input channels; a dilated block has none and holds 0.
    """

    kind: BlockKind
    kernel: int
    dilation: int
    expansion: int = 0

    def __str__(self) -> str:
        if self.kind == "dilated":
            return f"c{self.kernel}d{self.dilation}"
        return f"i{self.kernel}d{self.dilation}e{self.expansion}"


@dataclass(frozen=True)
class Stage:
    """Blocks of one width, one after the other; the first may change length and width."""

    width: int
    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return f"{self.width}:" + ",".join(map(str, self.blocks))


@dataclass(frozen=True)
class Arch:
    """A subnet: the input it reads (rate in Hz, sensor set), the stem's width, and its stages."""

    rate_hz: int
    sensors: Sensors
    stem_width: int
    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        return f"{self.rate_hz}Hz/{self.sensors}/{self.stem_width}/" + "/".join(map(str, self.stages))

    @property
    def channels(self) -> int:
        """Input channels of the sensor set."""
        return SENSOR_CHANNELS[self.sensors]

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that name this architecture in archives and folders."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:10]
