"""The Pareto core against brute force and pymoo."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.pareto import fronts as pareto
from search.pareto.proposals import proposals

points_of = st.tuples(st.integers(1, 24), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(0, 5).map(float))
)


def _beats(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@given(points_of)
@settings(max_examples=150, deadline=None)
def test_non_dominated_points_are_those_that_no_other_beats(points: np.ndarray) -> None:
    expected = [not any(_beats(other, point) for other in points) for point in points]
    assert pareto.non_dominated(points).tolist() == expected


@given(points_of, st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_ranks_peel_fronts_under_constrained_domination(points: np.ndarray, seed: int) -> None:
    violations = np.random.default_rng(seed).integers(0, 3, len(points)).astype(float)

    def wins(i: int, j: int) -> bool:
        if violations[i] != violations[j] and max(violations[i], violations[j]) > 0:
            return bool(violations[i] < violations[j])
        return violations[i] == 0 and _beats(points[i], points[j])

    left, rank, expected = set(range(len(points))), 0, np.zeros(len(points), int)
    while left:
        front = {i for i in left if not any(wins(j, i) for j in left)}
        expected[list(front)] = rank
        left, rank = left - front, rank + 1
    found = pareto.ranks(points, violations)
    assert found.tolist() == expected.tolist()
    enough = pareto.ranks(points, violations, enough=5)
    cut = np.sort(expected)[min(4, len(points) - 1)]
    assert (enough[expected <= cut] == expected[expected <= cut]).all()
    assert (enough[expected > cut] > cut).all()


def test_large_sets_take_another_path_to_the_same_front_and_ranks() -> None:
    rng = np.random.default_rng(3)
    points = np.round(rng.random((6000, 3)), 2)
    alone = np.array([not ((points <= p).all(1) & (points < p).any(1)).any() for p in points])
    assert (pareto.non_dominated(points) == alone).all()
    ranks = pareto.ranks(points)
    assert ((ranks == 0) == alone).all()
    for rank in (1, 2):
        left = points[ranks >= rank]
        assert (pareto.non_dominated(left) == (ranks[ranks >= rank] == rank)).all()


def test_ranks_equal_pymoo() -> None:
    sorting = pytest.importorskip("pymoo.util.nds.non_dominated_sorting")
    rng = np.random.default_rng(0)
    for objectives in (2, 3, 5):
        points = np.round(rng.random((200, objectives)), 1)
        expected = np.zeros(200, int)
        for rank, front in enumerate(sorting.NonDominatedSorting().do(points)):
            expected[front] = rank
        assert (pareto.ranks(points) == expected).all()


def test_crowding_equals_pymoo_on_a_front_without_ties() -> None:
    survival = pytest.importorskip("pymoo.operators.survival.rank_and_crowding.metrics")
    points = np.random.default_rng(1).random((60, 3))
    front = points[pareto.non_dominated(points)]
    expected = survival.calc_crowding_distance(front) * front.shape[1]
    found = pareto.crowding(front, np.zeros(len(front), int))
    assert np.allclose(found, expected)


def test_crowding_of_all_ranks_at_once_equals_crowding_rank_by_rank() -> None:
    points = np.random.default_rng(2).random((80, 2))
    ranks = pareto.ranks(points)
    together = pareto.crowding(points, ranks)
    for rank in range(ranks.max() + 1):
        alone = points[ranks == rank]
        assert np.allclose(together[ranks == rank], pareto.crowding(alone, np.zeros(len(alone), int)))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_hypervolume_equals_pymoo_and_counting_cells(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    points = rng.integers(0, 7, (25, objectives)).astype(float)
    cells = np.stack(np.meshgrid(*[np.arange(6)] * objectives, indexing="ij"), -1).reshape(-1, objectives)
    counted = sum(bool((points <= cell).all(axis=1).any()) for cell in cells)
    reference = np.full(objectives, 6.0)
    assert pareto.hypervolume(points, reference) == counted
    oracle = pytest.importorskip("pymoo.indicators.hv")
    points = rng.random((30, objectives))
    reference = np.full(objectives, 1.1)
    assert pareto.hypervolume(points, reference) == pytest.approx(oracle.HV(ref_point=reference)(points))


@given(points_of)
@settings(max_examples=50, deadline=None)
def test_adding_a_point_never_shrinks_the_hypervolume(points: np.ndarray) -> None:
    reference = np.full(points.shape[1], 6.0)
    volumes = [pareto.hypervolume(points[: count + 1], reference) for count in range(len(points))]
    assert all(after >= before for before, after in pairwise(volumes))


def test_nothing_beyond_the_reference_counts() -> None:
    assert pareto.hypervolume(np.array([[1.0, 1.0]]), np.array([1.0, 2.0])) == 0.0
    assert pareto.hypervolume(np.zeros((0, 2)), np.array([1.0, 2.0])) == 0.0


def test_the_knee_is_the_bend_of_the_front() -> None:
    assert pareto.knee(np.array([[0.0, 100.0], [1.0, 1.0], [50.0, 0.0]])) == 1
    with pytest.raises(ValueError, match="at least one"):
        pareto.knee(np.zeros((0, 2)))


def brute(points: np.ndarray, count: int) -> float:
    """The largest hypervolume of so many of the points, all subsets tried."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled, edge = (points - low) / (high - low), np.full(points.shape[1], 1.05)
    return max(pareto.hypervolume(scaled[list(some)], edge) for some in combinations(range(len(points)), count))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_proposals_of_two_objectives_dominate_the_most_that_so_many_can(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(5):
        x = np.sort(rng.uniform(1, 50, 12))
        points = np.stack([x, np.sort(rng.uniform(2, 9, 12))[::-1]], axis=1)
        mixed = np.concatenate([points, points[3:4], points[2:5] + 1.0])
        chosen = proposals(mixed, count)
        assert len(chosen) == count and len(np.unique(mixed[chosen], axis=0)) == count
        low, high = points.min(axis=0), points.max(axis=0)
        found = pareto.hypervolume((mixed[chosen] - low) / (high - low), np.full(2, 1.05))
        assert found == pytest.approx(brute(points, count), rel=1e-9)


def test_proposals_of_three_objectives_come_near_the_best() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (60, 3))
    front = points[pareto.non_dominated(points)][:14]
    chosen = proposals(front, 3)
    low, high = front.min(axis=0), front.max(axis=0)
    found = pareto.hypervolume((front[chosen] - low) / (high - low), np.full(3, 1.05))
    assert 0.63 * brute(front, 3) <= found <= brute(front, 3) + 1e-12


def test_a_short_front_is_proposed_whole() -> None:
    assert proposals(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]]), 4).tolist() == [0, 1]
    with pytest.raises(ValueError, match="at least one"):
        proposals(np.zeros((3, 2)), 0)
