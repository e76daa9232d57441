"""Every search algorithm: deterministic, duplicate-free, resumable, within its screen; NSGA-II is good."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from search.costs.cost_plan import compile_costs
from search.evolution import ALGORITHMS, NSGA2, Evolution, GeneMutation, Ledger, Mating, Problem, Stopping
from search.evolution.algorithm import Algorithm, AlgorithmKind
from search.evolution.conformance import CHECKS, ConformanceError, space_of_checks
from search.evolution.niches import reference_directions, survive_in_niches
from search.evolution.population import Population
from search.evolution.selection import Tournament
from search.evolution.survival import best_first
from search.evolution.variation import UniformCrossover
from search.pareto import fronts as pareto
from supernet.space.search_space import Genes, SearchSpace, load_space
from tests.search.search_fakes import FakeCostModel, every_member, made_up_errors, small_space

SPACE = small_space()
PLAN = compile_costs(SPACE, FakeCostModel())
LIMIT = float(np.median(PLAN.costs(every_member(SPACE)).latency_ms))


def objectives(genes: Genes, space: SearchSpace = SPACE, plan=PLAN) -> np.ndarray:
    costs = plan.costs(genes)
    return np.stack([made_up_errors(space, genes), costs.latency_ms, costs.column("flash_bytes")], axis=1)


def is_quick(genes: Genes) -> np.ndarray:
    return PLAN.costs(genes).latency_ms <= LIMIT


def make(kind: AlgorithmKind, **changes) -> Algorithm:
    return kind(Problem(SPACE, **{"population": 20, "seed": 7, "screen": is_quick, **changes}))


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_registered_algorithm_conforms(check, name: str) -> None:
    check(ALGORITHMS[name])


class Flawed:
    """NSGA-II with one thing made wrong, by the name of a method."""

    uses_predictor = False

    def __init__(self, **changed: Callable[..., object]) -> None:
        self.changed = changed

    def __call__(self, problem: Problem) -> Algorithm:
        algorithm = NSGA2(problem)
        for name, method in self.changed.items():
            setattr(algorithm, name, partial(method, algorithm, getattr(algorithm, name)))
        return algorithm


def fixed_rows(search, ask, count=None):
    return space_of_checks().sample(count or 16, np.random.default_rng(0))


FLAWS = [
    ("candidates_are_canonical_distinct_and_admitted", {"ask": fixed_rows}),
    ("candidates_are_canonical_distinct_and_admitted", {"ask": lambda search, ask, count=None: ask(99)}),
    ("candidates_are_canonical_distinct_and_admitted", {"ask": lambda search, ask, count=None: ask(count) + 0.0}),
    ("equal_seeds_give_equal_candidates", {"ask": fixed_rows}),
    ("initial_candidates_come_first", {"ask": lambda search, ask, count=None: ask(count)[::-1]}),
    ("what_is_excluded_or_told_is_not_asked", {"exclude": lambda search, exclude, genes: None}),
    ("batches_may_be_under_way_at_once", {"ask": lambda search, ask, count=None: ask(count)[:4]}),
    ("a_spent_space_ends_the_search", {"ask": fixed_rows}),
    ("a_restored_search_continues", {"restore": lambda search, restore, state: None}),
]


@pytest.mark.parametrize(("check", "changed"), FLAWS)
def test_the_conformance_suite_sees_an_algorithm_that_does_not_keep_to_it(check: str, changed) -> None:
    (fitting,) = [each for each in CHECKS if each.__name__.startswith(check)]
    with pytest.raises(ConformanceError):
        fitting(Flawed(**changed))


def test_an_algorithm_is_varied_by_other_parts_without_a_class_of_its_own() -> None:
    def one_point(first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
        cuts = rng.integers(1, first.shape[1], len(first))
        return np.where(np.arange(first.shape[1]) < cuts[:, None], first, second)

    mating = Mating(selection=Tournament(contestants=2), crossover=one_point, mutation=GeneMutation(chance=0.2))
    varied = Evolution(breeding=mating, survival=best_first)
    for check in CHECKS:
        check(varied)


def test_parts_of_the_same_rates_are_nsga2_and_other_rates_are_not() -> None:
    def asked(kind: AlgorithmKind) -> list[Genes]:
        algorithm, rows = make(kind), []
        for _ in range(4):
            rows.append(algorithm.ask())
            algorithm.tell(rows[-1], objectives(rows[-1]))
        return rows

    def composed(share: float) -> Evolution:
        crossover, mutation = UniformCrossover(share=share), GeneMutation(chance=0.5 / SPACE.gene_count)
        return Evolution(
            breeding=Mating(selection=Tournament(), crossover=crossover, mutation=mutation), survival=best_first
        )

    assert np.array_equal(asked(NSGA2), asked(composed(0.8)))
    assert not np.array_equal(asked(NSGA2), asked(composed(0.1)))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_admitted_space_is_exhausted_and_then_nothing_is_asked(name: str) -> None:
    fine = {"dilated": {"kernels": (3, 5), "dilations": (1, 2)}}
    tiny = small_space(stages=({"stride": 2, "widths": (4, 8), "min_depth": 1, "blocks": (fine, fine)},))
    plan = compile_costs(tiny, FakeCostModel())
    algorithm = ALGORITHMS[name](Problem(tiny, population=30))
    batches = []
    while len(genes := algorithm.ask()):
        batches.append(genes)
        algorithm.tell(genes, objectives(genes, tiny, plan))
    assert len(np.unique(np.concatenate(batches), axis=0)) == tiny.size() == sum(map(len, batches))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_results_of_the_wrong_length_and_tiny_populations_are_refused(name: str) -> None:
    algorithm = make(ALGORITHMS[name])
    genes = algorithm.ask()
    with pytest.raises(ValueError, match="tell"):
        algorithm.tell(genes, objectives(genes)[:-1])
    with pytest.raises(ValueError, match="population"):
        make(ALGORITHMS[name], population=1)


@pytest.mark.parametrize("name", ["nsga2", "nsga3", "regularised"])
def test_selection_beats_random_search_at_equal_budgets(name: str) -> None:
    space = load_space("default")
    plan = compile_costs(space, FakeCostModel())
    volumes: dict[str, list[float]] = {"random": [], "other": []}
    for seed in range(3):
        for label, kind in (("random", "random"), ("other", name)):
            algorithm = ALGORITHMS[kind](Problem(space, population=40, seed=seed))
            told = []
            for _ in range(15):
                genes = algorithm.ask()
                values = objectives(genes, space, plan)
                algorithm.tell(genes, values)
                told.append(values)
            points = np.log(np.concatenate(told))
            volumes[label].append(pareto.hypervolume(points, np.array([2.5, 5.0, 13.0])))
    assert np.mean(volumes["other"]) > np.mean(volumes["random"])


def test_survivors_are_the_first_fronts_and_feasible_ones_go_first() -> None:
    rng = np.random.default_rng(0)
    points, violations = rng.random((60, 2)), np.maximum(rng.normal(size=60), 0)
    kept = best_first(points, violations, 30)
    ranks = pareto.ranks(points, violations)
    assert len(set(kept.tolist())) == 30
    assert ranks[kept].tolist() == sorted(ranks[kept].tolist())
    assert ranks[kept].max() <= np.sort(ranks)[29]


def test_the_tournament_prefers_better_positions() -> None:
    members = Population(every_member(SPACE)[:10], np.zeros((10, 1)), np.zeros(10))
    drawn = Tournament(contestants=2)(members, 20_000, np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=10) / 20_000
    expected = (2 * (10 - np.arange(10)) - 1) / 100
    assert np.abs(counts - expected).max() < 0.02


def test_the_whole_front_of_an_enumerated_space_is_found_within_half_of_it() -> None:
    members = every_member(SPACE)
    values = objectives(members)[:, :2]
    expected = {tuple(row) for row in members[pareto.non_dominated(values)].tolist()}
    algorithm = NSGA2(Problem(SPACE, population=60, seed=1))
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
        GeneMutation(chance=1.5)
    with pytest.raises(ValueError, match="crossover"):
        UniformCrossover(share=-0.1)


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
