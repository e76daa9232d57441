"""Simulated windows beside real ones: how many of them train.

Between windows and training. Every training draws its windows equally often, so the share of what is drawn is the
share of what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError


def within_shares(
    source: NDArray[np.str_], is_training: NDArray[np.bool_], shares: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Which windows stay so that `shares` of the training windows come from those sources: (n,) mask.

    source: (n,) of each window. is_training: (n,). A source's first windows stay, in the order given (person by
    person, along time), to the nearest whole number; others stay all. Raises InputError where a source has too few,
    saying how many times as many people it takes.
    """
    kept = np.ones(source.size, dtype=bool)
    shared = np.isin(source, list(shares))
    total = int((is_training & ~shared).sum()) / (1.0 - sum(shares.values()))
    for name, share in shares.items():
        own = np.flatnonzero(is_training & (source == name))
        wanted = round(share * total)
        if wanted > own.size:
            raise InputError(
                f"data.sources: a share of {share:g} takes {wanted} training windows of {name}, its people give "
                f"{own.size}; simulate {wanted / max(own.size, 1):.1f} times as many subjects, or lower share"
            )
        kept[own[wanted:]] = False
    return kept
