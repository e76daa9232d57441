"""Every search algorithm: deterministic, duplicate-free, resumable, within its screen; NSGA-II is good."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from search.costs.cost_plan import compile_costs
from search.evolution import (
    NSGA2,
    NSGA3,
    Algorithm,
    Ledger,
    RandomSearch,
    RegularisedEvolution,
    Stopping,
    Variation,
    reference_directions,
    survive_in_niches,
)
from search.evolution.selection import survive, tournament
from search.pareto import fronts as pareto
from supernet.space.search_space import Genes, SearchSpace, load_space
from tests.search.search_fakes import FakeCostModel, every_member, made_up_errors, small_space

SPACE = small_space()
PLAN = compile_costs(SPACE, FakeCostModel())
LIMIT = float(np.median(PLAN.costs(every_member(SPACE)).latency_ms))
MAKERS: list[Callable[..., Algorithm]] = [NSGA2, NSGA3, RandomSearch, RegularisedEvolution]


def objectives(genes: Genes, space: SearchSpace = SPACE, plan=PLAN) -> np.ndarray:
    costs = plan.costs(genes)
    return np.stack([made_up_errors(space, genes), costs.latency_ms, costs.column("flash_bytes")], axis=1)


def is_quick(genes: Genes) -> np.ndarray:
    return PLAN.costs(genes).latency_ms <= LIMIT


def make(maker: Callable[..., Algorithm], **changes) -> Algorithm:
    return maker(SPACE, **{"population": 20, "seed": 7, "screen": is_quick, **changes})


def advance(algorithm: Algorithm, generations: int) -> list[Genes]:
    asked = []
    for _ in range(generations):
        genes = algorithm.ask()
        algorithm.tell(genes, objectives(genes))
        asked.append(genes)
    return asked


@pytest.mark.parametrize("maker", MAKERS)
def test_equal_seeds_give_equal_candidates_and_other_seeds_others(maker) -> None:
    first, second = advance(make(maker), 6), advance(make(maker), 6)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    other = advance(make(maker, seed=8), 6)
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("maker", MAKERS)
def test_candidates_are_canonical_distinct_and_admitted(maker) -> None:
    rows = np.concatenate(advance(make(maker), 12))
    assert len(np.unique(rows, axis=0)) == len(rows) == 12 * 20
    assert (SPACE.canonical(rows) == rows).all()
    assert is_quick(rows).all()


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("generations", [0, 1, 5])
def test_state_through_json_continues_bit_for_bit(maker, generations: int) -> None:
    undisturbed = make(maker)
    advance(undisturbed, generations)
    resumed = make(maker, seed=99)
    resumed.restore(json.loads(json.dumps(undisturbed.state())))
    for a, b in zip(advance(undisturbed, 4), advance(resumed, 4), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("maker", MAKERS)
def test_the_admitted_space_is_exhausted_and_then_nothing_is_asked(maker) -> None:
    fine = {"dilated": {"kernels": (3, 5), "dilations": (1, 2)}}
    tiny = small_space(stages=({"stride": 2, "widths": (4, 8), "min_depth": 1, "blocks": (fine, fine)},))
    plan = compile_costs(tiny, FakeCostModel())
    algorithm = maker(tiny, population=30, seed=0)
    found = []
    while len(genes := algorithm.ask()):
        found.append(genes)
        algorithm.tell(genes, objectives(genes, tiny, plan))
    assert len(np.unique(np.concatenate(found), axis=0)) == tiny.size() == sum(map(len, found))


@pytest.mark.parametrize("maker", MAKERS)
def test_a_screen_that_admits_nothing_ends_at_once(maker) -> None:
    assert len(make(maker, screen=lambda genes: np.zeros(len(genes), bool)).ask()) == 0


@pytest.mark.parametrize("maker", MAKERS)
def test_initial_candidates_come_first_when_admitted(maker) -> None:
    members = every_member(SPACE)
    initial = np.concatenate([members[is_quick(members)][:3], members[~is_quick(members)][:3]])
    asked = make(maker, initial=initial).ask(10)
    assert len(asked) == 10
    assert (asked[:3] == initial[:3]).all()
    assert is_quick(asked).all()


@pytest.mark.parametrize("maker", MAKERS)
def test_results_of_the_wrong_length_and_tiny_populations_are_refused(maker) -> None:
    algorithm = make(maker)
    genes = algorithm.ask()
    with pytest.raises(ValueError, match="tell"):
        algorithm.tell(genes, objectives(genes)[:-1])
    with pytest.raises(ValueError, match="population"):
        make(maker, population=1)


@pytest.mark.parametrize("maker", [NSGA2, NSGA3, RegularisedEvolution])
def test_selection_beats_random_search_at_equal_budgets(maker) -> None:
    space = load_space("default")
    plan = compile_costs(space, FakeCostModel())
    volumes: dict[str, list[float]] = {"random": [], "other": []}
    for seed in range(3):
        for name, kind in (("random", RandomSearch), ("other", maker)):
            algorithm = kind(space, population=40, seed=seed)
            seen = []
            for _ in range(15):
                genes = algorithm.ask()
                values = objectives(genes, space, plan)
                algorithm.tell(genes, values)
                seen.append(values)
            points = np.log(np.concatenate(seen))
            volumes[name].append(pareto.hypervolume(points, np.array([2.5, 5.0, 13.0])))
    assert np.mean(volumes["other"]) > np.mean(volumes["random"])


def test_survivors_are_the_first_fronts_and_feasible_ones_go_first() -> None:
    rng = np.random.default_rng(0)
    points, violations = rng.random((60, 2)), np.maximum(rng.normal(size=60), 0)
    kept = survive(points, violations, 30)
    ranks = pareto.ranks(points, violations)
    assert len(set(kept.tolist())) == 30
    assert ranks[kept].tolist() == sorted(ranks[kept].tolist())
    assert ranks[kept].max() <= np.sort(ranks)[29]


def test_the_tournament_prefers_better_positions() -> None:
    drawn = tournament(10, 20_000, np.random.default_rng(0), contestants=2)
    counts = np.bincount(drawn, minlength=10) / 20_000
    expected = (2 * (10 - np.arange(10)) - 1) / 100
    assert np.abs(counts - expected).max() < 0.02


def test_the_whole_front_of_an_enumerated_space_is_found_within_half_of_it() -> None:
    members = every_member(SPACE)
    values = objectives(members)[:, :2]
    expected = {tuple(row) for row in members[pareto.non_dominated(values)].tolist()}
    algorithm = NSGA2(SPACE, population=60, seed=1)
    found, seen = [], 0
    while seen < len(members) // 2:
        genes = algorithm.ask()
        algorithm.tell(genes, objectives(genes)[:, :2])
        found.append(genes)
        seen += len(genes)
    rows = np.concatenate(found)
    front = {tuple(row) for row in rows[pareto.non_dominated(objectives(rows)[:, :2])].tolist()}
    assert front == expected


def test_the_ledger_tells_all_members_apart_also_beyond_63_bits() -> None:
    members = every_member(SPACE)
    ledger = Ledger(SPACE)
    assert len(set(ledger.keys(members))) == len(members)
    assert len(ledger.take(members, most=10)) == 10
    assert (ledger.take(members, most=5) == members[10:15]).all()
    stages = load_space("default").stages
    wide = load_space("default").model_copy(update={"stages": stages * 3})
    rows = wide.sample(500, np.random.default_rng(0))
    assert len(set(Ledger(wide).keys(rows))) == len(np.unique(rows, axis=0))
    taken = Ledger(wide)
    taken.take(rows)
    again = Ledger(wide, json.loads(json.dumps(taken.state())))
    assert len(again.take(rows)) == 0


def test_rates_outside_zero_and_one_are_refused() -> None:
    with pytest.raises(ValueError, match="mutation"):
        Variation(mutation=1.5)


@pytest.mark.parametrize(("objectives", "most", "parts"), [(3, 100, 12), (4, 40, 4), (5, 40, 3), (2, 10, 9)])
def test_reference_directions_equal_pymoo_and_are_as_many_as_fit(objectives: int, most: int, parts: int) -> None:
    oracle = pytest.importorskip("pymoo.util.ref_dirs")
    found = reference_directions(objectives, most)
    expected = oracle.get_reference_directions("das-dennis", objectives, n_partitions=parts)
    assert len(found) == len(expected) <= most
    assert np.allclose(np.sort(found, axis=0), np.sort(expected, axis=0))
    assert np.allclose(found.sum(axis=1), 1.0)


def test_niches_keep_whole_ranks_and_spread_evenly_over_a_sphere() -> None:
    rng = np.random.default_rng(0)
    sphere = np.abs(rng.normal(size=(4000, 3)) * [1.0, 1.0, 0.15])
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    directions = reference_directions(3, 60)
    kept = survive_in_niches(sphere, np.zeros(4000), 60, directions, rng)
    assert len(set(kept.tolist())) == 60
    # Most of the points crowd near one edge; of those kept about as many as there are directions lie beyond.
    beyond = sphere[kept][:, 2] > 0.3
    assert beyond.mean() > 3 * (sphere[:, 2] > 0.3).mean()
    points, violations = rng.random((60, 2)), np.maximum(rng.normal(size=60), 0)
    kept = survive_in_niches(points, violations, 30, reference_directions(2, 30), rng)
    ranks = pareto.ranks(points, violations)
    assert len(set(kept.tolist())) == 30
    assert ranks[kept].max() <= np.sort(ranks)[29]


def test_a_search_stops_when_its_front_or_its_hypervolume_does_not_move() -> None:
    stopping = Stopping(patience=20)
    for value in (4.0, 3.0, 2.0, 1.0):
        stopping.tell(np.array([[value, 5.0 - value]] * 10))
        assert stopping.reason is None
    for _ in range(2):
        assert stopping.reason is None
        stopping.tell(np.full((10, 2), 9.0))
    assert "the same for 20" in str(stopping.reason)
    crawling = Stopping(patience=20)
    crawling.tell(np.array([[1.0, 1.0], [5.0, 5.0]]))
    for number in range(1, 30):
        crawling.tell(np.full((1, 2), 1.0 - number * 1e-6))
    assert "hypervolume grew by less" in str(crawling.reason)
    never = Stopping()
    never.tell(np.ones((500, 2)))
    assert never.reason is None
