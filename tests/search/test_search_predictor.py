"""The accuracy predictor: what it computes, how honest its uncertainty is, when it is switched off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from search.archive.archive import Archive
from search.archive.rows import Provenance
from search.costs.budgets import Budgets
from search.costs.cost_plan import compile_costs
from search.evolution import Problem
from search.loop.evaluator import Evaluator, MeanOfSubjects
from search.loop.predictor import INTERVAL, LEAST_SAMPLES, Features, fit_predictor, is_within
from search.loop.screening import LEAST_COVERAGE, LEAST_TAU, Quality, Screening
from search.loop.search_loop import SearchResult, Study, run_search
from search.loop.settings import SearchSettings
from search.pareto.fronts import hypervolume
from supernet.space.arch import Arch
from supernet.space.search_space import Genes, load_space
from tests.search.search_fakes import FakeCostModel, made_up_errors

SPACE = load_space("default")
PLAN = compile_costs(SPACE, FakeCostModel())
FEATURES = Features.of(SPACE)
NAMES = ("error", "latency_ms")


def noisy_errors(genes: Genes, seed: int = 0) -> np.ndarray:
    return made_up_errors(SPACE, genes) + np.random.default_rng(seed).normal(0, 0.1, len(genes))


def test_members_are_linear_in_the_features_and_mean_and_deviation_are_theirs() -> None:
    genes = SPACE.sample(120, np.random.default_rng(0))
    predictor = fit_predictor(FEATURES, genes, noisy_errors(genes))
    table, found = FEATURES(genes), predictor.members(genes)
    with_one = np.hstack([table, np.ones((len(table), 1))])
    weights = np.linalg.lstsq(with_one, found, rcond=None)[0]
    assert np.allclose(with_one @ weights, found)
    mean, deviation = predictor(genes)
    assert np.allclose(mean, found.mean(axis=1))
    assert np.allclose(deviation, predictor.scale * np.sqrt(found.var(axis=1) + predictor.noise**2))


@pytest.mark.parametrize("count", [100, 300])
def test_held_out_figures_are_those_of_new_architectures(count: int) -> None:
    rng = np.random.default_rng(count)
    genes, fresh = SPACE.sample(count, rng), SPACE.sample(2000, rng)
    predictor = fit_predictor(FEATURES, genes, noisy_errors(genes))
    truth = noisy_errors(fresh, seed=1)
    mean, deviation = predictor(fresh)
    assert predictor.kendall_tau == pytest.approx(kendalltau(mean, truth).statistic, abs=0.12)
    assert is_within(truth, mean, deviation).mean() == pytest.approx(INTERVAL, abs=0.08)


def test_equal_seeds_give_equal_predictors_and_too_few_samples_none() -> None:
    genes = SPACE.sample(60, np.random.default_rng(0))
    errors = noisy_errors(genes)
    first, second = (fit_predictor(FEATURES, genes, errors, seed=3).members(genes) for _ in range(2))
    assert (first == second).all()
    with pytest.raises(ValueError, match="needs"):
        fit_predictor(FEATURES, genes[: LEAST_SAMPLES - 1], errors[: LEAST_SAMPLES - 1])
    constant = fit_predictor(FEATURES, genes, np.full(60, 5.0))
    assert np.allclose(constant(genes)[0], 5.0)
    assert constant.kendall_tau == 0.0


def test_quality_tells_what_is_poor() -> None:
    assert Quality(0.8, None, 40).fault is None
    assert Quality(0.8, 0.9, 40).fault is None
    assert "Kendall tau" in str(Quality(LEAST_TAU - 0.01, 0.9, 40).fault)
    assert "intervals hold" in str(Quality(0.8, LEAST_COVERAGE - 0.01, 40).fault)


def test_screened_candidates_are_new_admitted_and_expected_to_be_good() -> None:
    rng = np.random.default_rng(0)
    limit = float(np.median(PLAN.costs(SPACE.sample(500, rng)).latency_ms))

    def is_quick(genes: Genes) -> np.ndarray:
        return PLAN.costs(genes).latency_ms <= limit

    def screening() -> Screening:
        return Screening(PLAN, NAMES, Problem(SPACE, population=20, seed=1, screen=is_quick), seed=1)

    genes = SPACE.sample(400, rng)
    genes = np.unique(genes[is_quick(genes)], axis=0)[:80]
    errors = made_up_errors(SPACE, genes)
    points = np.stack([errors, PLAN.costs(genes).latency_ms], axis=1)
    screened = screening()
    assert len(screened.ask(10, genes, points)) == 0
    screened.learn(genes, errors)
    asked = screened.ask(10, genes, points)
    assert len(np.unique(asked, axis=0)) == len(asked) == 10
    assert is_quick(asked).all()
    assert not {tuple(row) for row in asked.tolist()} & {tuple(row) for row in genes.tolist()}
    again = screening()
    again.learn(genes, errors)
    assert (again.ask(10, genes, points) == asked).all()
    found = np.stack([made_up_errors(SPACE, asked), PLAN.costs(asked).latency_ms], axis=1)
    reference = points.max(axis=0)
    gain = hypervolume(np.concatenate([points, found]), reference) - hypervolume(points, reference)
    blind = SPACE.sample(200, rng)
    blind = blind[is_quick(blind)][:10]
    other = np.stack([made_up_errors(SPACE, blind), PLAN.costs(blind).latency_ms], axis=1)
    assert gain > hypervolume(np.concatenate([points, other]), reference) - hypervolume(points, reference)


def searched(folder: Path, evaluate, **changes) -> tuple[SearchResult, list[str]]:
    said: list[str] = []
    settings = SearchSettings(**{"evaluations": 150, "population": 30, "objectives": NAMES, **changes})
    evaluator = Evaluator(evaluate, MeanOfSubjects(np.array(["a"])), Provenance("w", "0", "p"))
    study = Study(plan=PLAN, budgets=Budgets(), evaluators=(evaluator,), device="fake")
    with Archive(folder / f"{len(list(folder.iterdir()))}.sqlite") as archive:
        result = run_search(study, settings, archive, say=said.append)
    return result, said


def test_a_screened_search_covers_more_than_an_unscreened_one(tmp_path: Path) -> None:
    def evaluate(arch: Arch) -> np.ndarray:
        return made_up_errors(SPACE, SPACE.encode([arch]))

    volumes = []
    for is_screened in (True, False):
        result, said = searched(tmp_path, evaluate, screening="predictor" if is_screened else "none")
        points = np.array([[row.error, row.latency_ms] for row in result.rows])
        volumes.append(hypervolume(points, np.array([10.0, 60.0])))
        assert (result.screened > 60) == is_screened
        assert bool(said) == is_screened
        assert (result.predictor is not None) == is_screened
    assert volumes[0] > volumes[1]


def test_a_predictor_of_noise_is_switched_off_loudly(tmp_path: Path) -> None:
    def evaluate(arch: Arch) -> np.ndarray:
        return np.random.default_rng(int(arch.id, 16)).uniform(1.0, 9.0, 1)

    result, said = searched(tmp_path, evaluate)
    assert result.predictor is not None
    assert result.predictor.fault is not None
    assert result.screened < 60

    assert "OFF" in said[-1]
    assert all(("OFF" in line) != ("OFF" in before) for line, before in zip(said[1:], said, strict=False))
