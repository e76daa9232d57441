"""Which errors can be told apart: paired bootstrap over subjects of the difference of two architectures.

The same resample of subjects serves both, so what is hard about a subject cancels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.archive.rows import Row
from search.pareto.fronts import Booleans, Floats

CONFIDENCE = 0.95
_RESAMPLES = 1000


def surely_smaller(
    rows: Sequence[Row], others: Sequence[Row], confidence: float = CONFIDENCE, seed: int = 0
) -> Booleans:
    """Matrix (rows, others): whether a row's error is smaller than the other's at this two-sided confidence.

    Rows measured on other subjects cannot be paired; their own 95 % intervals must not overlap. Source: Efron
    and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, percentile intervals.
    """
    tail = (1.0 - confidence) / 2
    is_smaller = np.array([[row.error_high < other.error_low for other in others] for row in rows], bool)
    is_smaller = is_smaller.reshape(len(rows), len(others))
    people = {frozenset(row.subject_errors) for row in rows}
    for names in people & {frozenset(row.subject_errors) for row in others}:
        mine = [index for index, row in enumerate(rows) if frozenset(row.subject_errors) == names]
        theirs = [index for index, row in enumerate(others) if frozenset(row.subject_errors) == names]
        draws = _draws(len(names), seed)
        second = draws @ _table([others[index] for index in theirs], sorted(names))
        for index, means in zip(mine, (draws @ _table([rows[i] for i in mine], sorted(names))).T, strict=True):
            is_smaller[index, theirs] = (means[:, None] < second).mean(axis=0) > 1.0 - tail
    return is_smaller


def _draws(subjects: int, seed: int) -> Floats:
    """How much each resample (resamples, subjects) weighs each subject."""
    rng = np.random.default_rng([seed, 29])
    return rng.multinomial(subjects, np.full(subjects, 1 / subjects), _RESAMPLES) / subjects


def _table(rows: Sequence[Row], names: Sequence[str]) -> Floats:
    """Errors (subjects, rows)."""
    return np.array([[row.subject_errors[name] for row in rows] for name in names], np.float64)


def indistinguishable_from_best(rows: Sequence[Row]) -> Booleans:
    """Which rows' errors cannot be told from the smallest, (n,), the smallest included."""
    if not rows:
        return np.zeros(0, bool)
    best = min(range(len(rows)), key=lambda index: (rows[index].error, rows[index].arch))
    ties = ~surely_smaller([rows[best]], rows)[0]
    ties[best] = True
    return ties


def tied(rows: Sequence[Row]) -> Booleans:
    """Matrix (n, n): which errors cannot be told from one another; symmetric, true on the diagonal."""
    smaller = surely_smaller(rows, rows)
    np.fill_diagonal(smaller, False)
    is_tied: Booleans = ~(smaller | smaller.T)
    return is_tied
