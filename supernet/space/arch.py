"""An architecture: which subnet of the supernet. A frozen value; equal values build equal networks."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, cast

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Reads
from hwmodels.signals.spectrum import spectrum_channels
from supernet.space.block_kind import BLOCK_KINDS

_BLOCK = re.compile(r"([a-z]+)(\d+)d(\d+)(?:e(\d+))?(?:m(\d+)k(\d+)s(\d+))?")
_ARCH = re.compile(r"(\d+)Hz(-spectrum)?/(ppg|ppg_acc)/(\d+)((?:/\d+:[^/]+)+)")

Sensors = Literal["ppg", "ppg_acc"]
SENSOR_CHANNELS: dict[Sensors, int] = {"ppg": 1, "ppg_acc": 4}


def input_channels(sensors: Sensors, reads: Reads) -> int:
    """Input channels of a sensor set's signals, or of their spectra."""
    signals = SENSOR_CHANNELS[sensors]
    return spectrum_channels(signals) if reads == "spectrum" else signals


@dataclass(frozen=True)
class Block:
    """One block of a kind in BLOCK_KINDS.

    `expansion` is the ratio of inner to input channels, 0 for kinds without. Before its first convolution a block may
    filter `remembers` channels along time, by `taps` a few `steps` (of 2 s) apart.
    """

    kind: str
    kernel: int
    dilation: int
    expansion: int = 0
    remembers: int = 0
    taps: int = 0
    steps: int = 0

    def __str__(self) -> str:
        expansion = f"e{self.expansion}" if self.expansion else ""
        memory = f"m{self.remembers}k{self.taps}s{self.steps}" if self.remembers else ""
        return f"{BLOCK_KINDS[self.kind].letter}{self.kernel}d{self.dilation}{expansion}{memory}"

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
    if match is None:
        raise _unreadable(text)
    stages = []
    for stage in match[5].split("/")[1:]:
        width, _, blocks = stage.partition(":")
        stages.append(Stage(int(width), tuple(_block(block, text) for block in blocks.split(","))))
    reads: Reads = "spectrum" if match[2] else "samples"
    return Arch(int(match[1]), cast(Sensors, match[3]), int(match[4]), tuple(stages), reads)


def _block(written: str, text: str) -> Block:
    match = _BLOCK.fullmatch(written)
    kinds = [name for name, kind in BLOCK_KINDS.items() if match and kind.letter == match[1]]
    if match is None or not kinds:
        raise _unreadable(text)
    return Block(kinds[0], *(int(part or 0) for part in match.groups()[1:]))


def _unreadable(text: str) -> InputError:
    return InputError(f"architecture {text!r}: expected a form such as 16Hz-spectrum/ppg_acc/20/24:i5d1e2m8k3s1,i7d1e2")
