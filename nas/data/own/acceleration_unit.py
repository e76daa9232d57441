"""Acceleration to g: by the unit that a file names, else by the one in which gravity has the size of 1 g."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError

_GRAVITY_M_S2 = 9.80665
_SCALES = {"g": 1.0, "m/s2": _GRAVITY_M_S2, "1/64 g": 64.0, "mg": 1000.0}
"""Per unit, how many of it make 1 g; 1/64 g are the counts of an Empatica E4."""
_LOWEST, _HIGHEST = 0.6, 1.6
"""Medians of worn sensors in g, from an arm in swing to a runner."""
_HIGHEST_AS_G = 3.0
_METRES = {"m/s2", "m/s/s", "m/(s2)", "ms-2", "ms2", "m.s-2", "m*s-2", "mps2", "m/sec2"}
_COUNTS = re.compile(r"1/(\d{1,6}(?:\.\d{1,6})?)g")
KNOWN = "g, mg, m/s2, or 1/N g for N counts a g"


def counts_per_g(unit: str) -> float | None:
    """How many of a named unit make 1 g; None for a name that is not known."""
    plain = re.sub(r"[\s^_]", "", unit.strip().lower().replace("²", "2").replace("⁻", "-"))
    if plain in _METRES:
        return _GRAVITY_M_S2
    if plain in ("g", "gravity", "grav."):
        return 1.0
    if plain in ("mg", "millig", "milli-g"):
        return 1000.0
    match = _COUNTS.fullmatch(plain)
    return float(match[1]) or None if match else None


def in_g(acc: NDArray[np.float64], declared: str = "") -> tuple[NDArray[np.float64], str]:
    """Acceleration (3, n) in g, and what is to be said of it ("" for values that are in g already).

    Raises InputError for a declared unit that is not known.
    """
    if declared:
        per_g = counts_per_g(declared)
        if per_g is None:
            raise InputError(f"acc_unit: {declared[:40]!r} is unknown; write {KNOWN}")
        return acc / per_g, "" if per_g == 1.0 else f"acceleration in {declared.strip()} divided by {per_g:g}"
    sizes = np.sqrt((acc.astype(np.float64) ** 2).sum(axis=0))
    median = float(np.median(sizes[np.isfinite(sizes)])) if np.isfinite(sizes).any() else 1.0
    if _LOWEST <= median <= _HIGHEST_AS_G:
        return acc, ""
    for unit, per_g in _SCALES.items():
        if _LOWEST <= median / per_g <= _HIGHEST:
            return acc / per_g, (
                f"acceleration taken as {unit}, divided by {per_g:g}, for its median size is near that; give acc_unit "
                "if it is another"
            )
    return acc, ""
