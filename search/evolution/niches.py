"""Survival by niches: who stands for which direction of the objectives, when there are too many of a rank.

Source: Deb and Jain, An evolutionary many-objective optimization algorithm using reference-point-based
nondominated sorting approach, IEEE TEVC 18(4), 2014 (NSGA-III).
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from search.pareto.fronts import Floats, Integers, ranks

_NEARLY = 1e-6


def reference_directions(objectives: int, most: int) -> Floats:
    """The finest even grid of at most `most` directions, (n, objectives). Source: Das and Dennis 1998."""
    if objectives == 1:
        return np.ones((1, 1))
    parts = 1
    while comb(parts + objectives, objectives - 1) <= most:
        parts += 1
    bars = np.array(list(combinations(range(parts + objectives - 1), objectives - 1)))
    edges = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), parts + objectives - 1)])
    return (np.diff(edges, axis=1) - 1) / parts


def survive_in_niches(
    objectives: Floats, violations: Floats, count: int, directions: Floats, rng: np.random.Generator
) -> Integers:
    """Indices of `count` of n rows: whole ranks, then of the next one those whose niches are emptiest.

    `objectives` (n, m), `violations` (n,) with 0 for feasible, `directions` (d, m). Infeasible rows that are
    left over go by their violation, which is their rank.
    """
    rank = ranks(objectives, violations, enough=count)
    order = np.argsort(rank, kind="stable")
    if len(order) <= count:
        return order
    last = rank[order[count - 1]]
    kept, split = np.flatnonzero(rank < last), np.flatnonzero(rank == last)
    kept = kept[np.argsort(rank[kept], kind="stable")]
    wanted = count - len(kept)
    if wanted == len(split) or violations[split[0]] > 0:
        return np.concatenate([kept, split[:wanted]])
    together = np.concatenate([kept, split])
    niche, distance = _niches(_normalized(objectives[together], objectives[rank == 0]), directions)
    taken = np.bincount(niche[: len(kept)], minlength=len(directions))
    niche_of, away = niche[len(kept) :], distance[len(kept) :]
    # An empty niche takes its nearest; a niche that has someone takes any.
    shuffle = rng.random(len(split))
    sequence = np.lexsort((np.where(taken[niche_of] == 0, away, shuffle), niche_of))
    first = np.r_[True, niche_of[sequence][1:] != niche_of[sequence][:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(sequence)), 0))
    place = np.arange(len(sequence)) - start
    # Whoever is k-th in a niche that holds c comes in round c + k; rounds are taken in turn.
    turn = taken[niche_of[sequence]] + place
    chosen = sequence[np.lexsort((shuffle[sequence], turn))[:wanted]]
    return np.concatenate([kept, split[chosen]])


def _normalized(points: Floats, front: Floats) -> Floats:
    """Points with the ideal at 0 and the intercepts of the plane through the extremes of `front` at 1."""
    ideal = front.min(axis=0)
    shifted = front - ideal
    span = np.where(shifted.max(axis=0) > 0, shifted.max(axis=0), 1.0)
    weights = np.eye(front.shape[1]) + _NEARLY
    # Achievement scalarizing: the member that is least bad off each axis is that axis's extreme.
    extremes = shifted[((shifted / span)[:, None, :] / weights).max(axis=2).argmin(axis=0)]
    try:
        intercepts = 1.0 / np.linalg.solve(extremes, np.ones(len(extremes)))
        is_sound = bool(np.isfinite(intercepts).all() and (intercepts > _NEARLY * span).all())
    except np.linalg.LinAlgError:
        is_sound = False
    if not is_sound:
        intercepts = span
    return (points - ideal) / np.minimum(intercepts, span)


def _niches(points: Floats, directions: Floats) -> tuple[Integers, npt.NDArray[np.float64]]:
    """The nearest direction of each point, and the perpendicular distance to it, (n,) each."""
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = points @ units.T
    squared = (points**2).sum(axis=1)[:, None] - along**2
    niche = squared.argmin(axis=1)
    return niche, np.sqrt(np.maximum(squared[np.arange(len(points)), niche], 0.0))
