"""What a bundle's sensors deliver, as `--sensors` of `ppg-nas export` takes it: name=value, by commas."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import Sensors


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    return int(low), int(high)


_FIELDS: dict[str, Callable[[str], Any]] = {
    "ppg_hz": float,
    "ppg_channels": int,
    "ppg_range": _range,
    "contact": _range,
    "acc_hz": float,
    "acc_counts_per_g": int,
    "acc_range": _range,
}


def sensors(text: str) -> Sensors:
    """Parse the option's value. Raises ArgumentTypeError naming the field that is unknown or wrong."""
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in _FIELDS:
            raise argparse.ArgumentTypeError(f"unknown field {name!r}; choose from {', '.join(_FIELDS)}")
        try:
            given[name] = _FIELDS[name](value)
        except ValueError:
            kind = "LOWEST:HIGHEST in counts" if _FIELDS[name] is _range else "a number"
            raise argparse.ArgumentTypeError(f"{name}: needs {kind}, got {value!r}") from None
    try:
        return Sensors(**given)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
