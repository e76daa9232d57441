"""Candidates screened by the accuracy predictor: a search within the search that evaluates by prediction.

The predictor is judged by what it said of candidates before they were measured; while it is poor it
screens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.costs.cost_plan import CostPlan
from search.evolution import NSGA2, AlgorithmKind, Problem
from search.evolution.survival import best_first
from search.loop.predictor import INTERVAL, LEAST_SAMPLES, MEMBERS, Features, Predictor, fit_predictor, is_within
from search.pareto.fronts import Floats
from supernet.space.search_space import Genes

LEAST_TAU = 0.3
LEAST_COVERAGE = 0.7
_RECENT = 60
_JUDGED_FROM = 20
_GENERATIONS = 20
_GROWTH = 1.05


@dataclass(frozen=True)
class Quality:
    """How good predictions are of what the predictor had not seen.

    `kendall_tau` over architectures left out of its members' samples; `coverage` of the latest candidates
    by the intervals that were to hold `INTERVAL` of them, stated before they were measured, None while they
    are few; `samples` evaluations were learned from.
    """

    kendall_tau: float
    coverage: float | None
    samples: int

    @property
    def fault(self) -> str | None:
        """What is too poor for screening, in words."""
        if self.kendall_tau < LEAST_TAU:
            return f"held-out Kendall tau {self.kendall_tau:.2f} is below {LEAST_TAU}"
        if self.coverage is not None and self.coverage < LEAST_COVERAGE:
            return f"{INTERVAL:.0%} intervals hold {self.coverage:.0%} of new errors, fewer than {LEAST_COVERAGE:.0%}"
        return None

    def __str__(self) -> str:
        text = f"held-out Kendall tau {self.kendall_tau:.2f}"
        if self.coverage is not None:
            text += f", {INTERVAL:.0%} intervals hold {self.coverage:.0%} of new errors"
        return text


class Screening:
    """Learns from every evaluation and proposes what its predictor expects on the front.

    `objectives` are names, "error" among them; `problem` is the search's own, whose seed is `seed`; `kind` of
    algorithm searches what the predictor expects.
    Equal calls with one seed give equal answers.
    """

    def __init__(
        self, plan: CostPlan, objectives: Sequence[str], problem: Problem, *, seed: int, kind: AlgorithmKind = NSGA2
    ) -> None:
        self._plan, self._names = plan, tuple(objectives)
        self._problem, self._seed, self._kind = problem, seed, kind
        self._features = Features.of(plan.space)
        self._genes = plan.space.lows[None][:0]
        self._errors: Floats = np.zeros(0)
        self._under_way = self._genes
        self._was_within = np.zeros(0, bool)
        self._predictor: Predictor | None = None
        self._fitted = 0

    def exclude(self, genes: Genes) -> None:
        """Do not propose candidates (n, genes) that are being evaluated."""
        self._under_way = np.concatenate([self._under_way, genes])

    def learn(self, genes: Genes, errors: Floats) -> None:
        """Take in errors (n,) of genes (n, genes), and see first how well they were predicted."""
        errors = np.asarray(errors, np.float64)
        # They come back in the order in which they went.
        self._under_way = self._under_way[len(genes) :]
        if self._predictor is not None:
            was_within = is_within(errors, *self._predictor(genes))
            self._was_within = np.concatenate([self._was_within, was_within])[-_RECENT:]
        self._genes = np.concatenate([self._genes, genes])
        self._errors = np.concatenate([self._errors, errors])
        if len(self._errors) >= max(LEAST_SAMPLES, _GROWTH * self._fitted):
            self._fitted = len(self._errors)
            self._predictor = fit_predictor(self._features, self._genes, self._errors, self._seed)

    @property
    def quality(self) -> Quality | None:
        """How good the predictor is; None before there is one."""
        if self._predictor is None:
            return None
        is_judged = len(self._was_within) >= _JUDGED_FROM
        coverage = float(self._was_within.mean()) if is_judged else None
        return Quality(self._predictor.kendall_tau, coverage, len(self._errors))

    @property
    def is_trusted(self) -> bool:
        """Whether there is a predictor and nothing is wrong with it."""
        quality = self.quality
        return quality is not None and quality.fault is None

    def ask(self, count: int, genes: Genes, objectives: Floats) -> Genes:
        """Up to `count` new candidates to evaluate beside a population (n, genes) of known objectives (n, m).

        The inner search believes one member of the ensemble at a time, another for every batch: where
        members disagree, batches differ (Thompson sampling). None before there is a predictor.
        """
        if self._predictor is None:
            return genes[:0]
        known = len(self._errors)
        population = max(self._problem.population, 2 * count)
        inner = self._kind(replace(self._problem, population=population, seed=[self._seed, 37, known], initial=None))
        inner.exclude(self._genes)
        inner.exclude(self._under_way)
        inner.tell(genes, objectives)
        member = int(np.random.default_rng([self._seed, 41, known]).integers(MEMBERS))
        asked, points = [genes[:0]], [objectives[:0]]
        for _ in range(_GENERATIONS):
            proposed = inner.ask()
            if len(proposed) == 0:
                break
            expected = self._expected(self._predictor, proposed, member)
            inner.tell(proposed, expected)
            asked.append(proposed)
            points.append(expected)
        candidates = np.concatenate(asked)
        return candidates[_longest_surviving(np.concatenate(points), objectives, count)]

    def _expected(self, predictor: Predictor, genes: Genes, member: int) -> Floats:
        errors, costs = predictor.members(genes)[:, member], self._plan.costs(genes)
        columns = [errors if name == "error" else costs.column(name) for name in self._names]
        return np.stack(columns, axis=1)


def _longest_surviving(points: Floats, known: Floats, count: int) -> np.ndarray:
    """Indices of `count` points that survive beside the `known`, the crowd being halved again and again.

    So they keep their distance from one another too, which choosing all at once would not see to.
    """
    kept = np.arange(len(points))
    while True:
        together = np.concatenate([known, points[kept]])
        order = best_first(together, np.zeros(len(together)), len(together))
        order = order[order >= len(known)] - len(known)
        kept = kept[order[: max(count, len(kept) // 2)]]
        if len(kept) <= count:
            return kept
