"""Pareto mathematics on plain arrays: domination, fronts, crowding, hypervolume, knee.

Knows nothing of architectures. Every objective is minimised; `points` has shape (n, objectives).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]
Booleans = npt.NDArray[np.bool_]

_MATRIX_LIMIT = 2048
_PIVOTS = 32


def is_at_most(first: Floats, second: Floats) -> Booleans:
    """Matrix (a, b): whether row i of `first` is at most row j of `second` in every objective."""
    # Contiguous columns let the comparison run on whole vector registers.
    lefts, rights = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)
    holds = np.ones((len(first), len(second)), bool)
    for left, right in zip(lefts, rights, strict=True):
        holds &= left[:, None] <= right
    return holds


def dominates(points: Floats) -> Booleans:
    """Matrix (n, n): whether i is nowhere worse than j and somewhere better. Equal points do not dominate."""
    at_most = is_at_most(points, points)
    is_dominating: Booleans = at_most & ~at_most.T
    return is_dominating


def non_dominated(points: Floats) -> Booleans:
    """Which points no other dominates, (n,); equal points are kept together. Fit for millions of points."""
    points = np.asarray(points, np.float64)
    if len(points) <= _MATRIX_LIMIT:
        return np.logical_not(dominates(points).any(axis=0))
    alive = _prune(points)
    # A dominating point has a strictly smaller sum of dense ranks, so earlier rows decide later ones.
    left = points[alive]
    rank_sum = sum(np.unique(column, return_inverse=True)[1] for column in left.T)
    order = np.argsort(rank_sum, kind="stable")
    front = left[:0]
    kept: list[Integers] = []
    for start in range(0, len(order), _MATRIX_LIMIT):
        chunk = order[start : start + _MATRIX_LIMIT]
        for part in range(0, len(front), _MATRIX_LIMIT):
            block = front[part : part + _MATRIX_LIMIT]
            rows = left[chunk]
            beaten = is_at_most(block, rows) & ~is_at_most(rows, block).T
            chunk = chunk[~beaten.any(axis=0)]
        chunk = chunk[~dominates(left[chunk]).any(axis=0)]
        kept.append(chunk)
        front = np.concatenate([front, left[chunk]])
    mask = np.zeros(len(points), bool)
    mask[alive[np.concatenate(kept)]] = True
    return mask


def _prune(points: Floats) -> Integers:
    """Indices left when everything that a few strong points dominate is gone."""
    alive = np.arange(len(points))
    low, high = points.min(axis=0), points.max(axis=0)
    score = ((points - low) / np.where(high > low, high - low, 1.0)).sum(axis=1)
    pivots = points[np.argpartition(score, min(_PIVOTS, len(points) - 1))[:_PIVOTS]]
    for pivot in pivots:
        rows = points[alive]
        alive = alive[(rows < pivot).any(axis=1) | (rows <= pivot).all(axis=1)]
    return alive


def ranks(points: Floats, violations: Floats | None = None, enough: int | None = None) -> Integers:
    """Non-dominated rank of each point from 0, (n,), under constrained domination (Deb et al. 2002).

    `violations` (n,): 0 for feasible, else how far outside; a feasible point dominates an infeasible
    one, and of two infeasible ones the smaller violation wins. Once `enough` points are ranked, the
    rest shares the next rank.
    """
    points = np.asarray(points, np.float64)
    if violations is None:
        return _ranks(points, enough)
    violations = np.asarray(violations, np.float64)
    is_outside = violations > 0
    if not is_outside.any():
        return _ranks(points, enough)
    rank = np.zeros(len(points), np.intp)
    inside = np.flatnonzero(~is_outside)
    start = 0
    if len(inside):
        rank[inside] = _ranks(points[inside], enough)
        start = int(rank[inside].max()) + 1
    rank[is_outside] = start + np.unique(violations[is_outside], return_inverse=True)[1]
    return rank


def _ranks(points: Floats, enough: int | None) -> Integers:
    count = len(points)
    wanted = count if enough is None else min(enough, count)
    found = np.zeros(count, np.intp)
    if count > _MATRIX_LIMIT:
        left, rank, done = np.arange(count), 0, 0
        while done < wanted:
            first = non_dominated(points[left])
            found[left[first]] = rank
            done += int(first.sum())
            left, rank = left[~first], rank + 1
        found[left] = rank
        return found
    above = dominates(points)
    dominators = above.sum(axis=0)
    is_left = np.ones(count, bool)
    rank, done = 0, 0
    while done < wanted:
        front = is_left & (dominators == 0)
        found[front] = rank
        is_left &= ~front
        dominators -= above[front].sum(axis=0)
        done += int(front.sum())
        rank += 1
    found[is_left] = rank
    return found


def crowding(points: Floats, rank: Integers) -> Floats:
    """Crowding distance of each point within its rank, (n,); infinite at the ends (Deb et al. 2002)."""
    count = len(points)
    if count == 0:
        return np.zeros(0)
    is_first = np.ones(count, bool)
    is_last = np.ones(count, bool)
    grouped = np.sort(rank)
    is_first[1:] = grouped[1:] != grouped[:-1]
    is_last[:-1] = is_first[1:]
    group = np.cumsum(is_first) - 1
    columns = np.ascontiguousarray(points.T)
    order = np.lexsort((columns, np.broadcast_to(rank, columns.shape)), axis=-1)
    value = np.take_along_axis(columns, order, axis=1)
    span = (value[:, is_last] - value[:, is_first])[:, group]
    gap = np.zeros(columns.shape)
    np.subtract(value[:, 2:], value[:, :-2], out=gap[:, 1:-1])
    gap /= np.where(span > 0, span, 1.0)
    gap[:, is_first | is_last] = np.inf
    distance = np.empty(columns.shape)
    np.put_along_axis(distance, order, gap, axis=1)
    total: Floats = distance.sum(axis=0)
    return total


def hypervolume(points: Floats, reference: Floats) -> float:
    """Volume that `points` dominate below `reference` (objectives,), exactly.

    Dimension sweep over exclusive contributions, after the WFG algorithm (While, Bradstreet and
    Barone, IEEE TEVC 16(1), 2012). Points not strictly below the reference add nothing.
    """
    reference = np.asarray(reference, np.float64)
    points = np.asarray(points, np.float64).reshape(-1, len(reference))
    points = np.unique(points[(points < reference).all(axis=1)], axis=0)
    if len(points) == 0:
        return 0.0
    return _volume(points[non_dominated(points)], reference)


def _volume(points: Floats, reference: Floats) -> float:
    """Hypervolume of points below the reference; they may dominate one another."""
    dimensions = len(reference)
    if dimensions == 1:
        return float(reference[0] - points.min())
    if dimensions == 2:
        order = np.lexsort((points[:, 1], points[:, 0]))
        first, second = points[order].T
        floor = np.minimum.accumulate(second)
        ceiling = np.r_[reference[1], floor[:-1]]
        return float(((reference[0] - first) * (ceiling - floor)).sum())
    # Worst last objective first: against every later point the last objective is then this point's own.
    points = points[np.argsort(-points[:, -1], kind="stable")]
    depth = reference[-1] - points[:, -1]
    base, floor = points[:, :-1], reference[:-1]
    total = 0.0
    for index, point in enumerate(base):
        exclusive = float((floor - point).prod())
        others = np.maximum(base[index + 1 :], point)
        if len(others):
            if dimensions > 3:
                others = others[non_dominated(others)]
            exclusive -= _volume(others, floor)
        total += float(depth[index]) * exclusive
    return total


def knee(points: Floats) -> int:
    """Index of the point nearest to the ideal one after scaling each objective to its range.

    Raises ValueError for no points.
    """
    if len(points) == 0:
        raise ValueError("a knee needs at least one point")
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin((scaled**2).sum(axis=1)))
