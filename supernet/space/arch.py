"""An architecture: which subnet of the supernet. A frozen value; equal values build equal networks."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, cast

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Reads
from hwmodels.signals.spectrum import spectrum_channels

_BLOCK = re.compile(r"(?:i(\d+)d(\d+)e(\d+)|c(\d+)d(\d+))(?:m(\d+)k(\d+)s(\d+))?")
_ARCH = re.compile(r"(\d+)Hz(-spectrum)?/(ppg|ppg_acc)/(\d+)((?:/\d+:[^/]+)+)")

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


def parse_arch(text: str) -> Arch:
    """The architecture that is written so (`str` of it). Raises InputError for text of another form."""
    match = _ARCH.fullmatch(text)
    stages = [stage.partition(":") for stage in match[5].split("/")[1:]] if match else []
    blocks = [[_BLOCK.fullmatch(block) for block in written.split(",")] for _, _, written in stages]
    if match is None or any(block is None for stage in blocks for block in stage):
        raise InputError(
            f"architecture {text!r}: expected a form such as 16Hz-spectrum/ppg_acc/20/24:i5d1e2m8k3s1,i7d1e2"
        )
    found = (
        Stage(int(width), tuple(_block(*(int(part or 0) for part in block.groups())) for block in stage if block))
        for (width, _, _), stage in zip(stages, blocks, strict=True)
    )
    reads: Reads = "spectrum" if match[2] else "samples"
    return Arch(int(match[1]), cast(Sensors, match[3]), int(match[4]), tuple(found), reads)


def _block(kernel: int, dilation: int, expansion: int, plain: int, plain_dilation: int, *memory: int) -> Block:
    if plain:
        return Block("dilated", plain, plain_dilation, 0, *memory)
    return Block("inverted_residual", kernel, dilation, expansion, *memory)
