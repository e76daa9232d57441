"""Networks that come with the program: one that reads the accelerometer as well, and one of the pulse alone.

They are data of the package `nas.configs`, trained of simulated people and permissively licensed recordings alone; the
card beside each says how, on whom they were tested, and what they cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import shipped_folder
from hwmodels.firmware.tracker import Tracker, load_tracker
from hwmodels.network.interpreter import IntegerModel, load_model

NAME = "shipped"
MODEL, TRACKER, CARD = "model.npz", "tracker.json", "card.md"
WITH_ACCELEROMETER, PULSE_ALONE = "heart-rate", "heart-rate-ppg"


@dataclass(frozen=True)
class Shipped:
    """A network of the package by its name."""

    name: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return shipped_folder() / "models" / self.name

    @property
    def card(self) -> str:
        """What it was trained of and tested on, as Markdown."""
        return (self.folder / CARD).read_text(encoding="utf-8")

    def load(self) -> tuple[IntegerModel, Tracker]:
        """The network and its tracker. Raises InputError where this installation has none."""
        if not (self.folder / MODEL).exists():
            raise InputError(f"{NAME}: no model {self.name} in this installation; give the folder of a run or bundle")
        return load_model(self.folder / MODEL), load_tracker(self.folder / TRACKER)


def shipped_for(has_acceleration: bool) -> Shipped:
    """The network for recordings with an accelerometer, or without."""
    return Shipped(WITH_ACCELEROMETER if has_acceleration else PULSE_ALONE)
