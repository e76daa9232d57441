"""What every search algorithm must hold, as checks that whoever writes one can run over it.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_algorithm_conforms(check):
        check(MyAlgorithm)

Each check takes what would be registered and raises ConformanceError, in words, where it does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from search.evolution.algorithm import Algorithm, AlgorithmKind, Problem, Resumable
from search.pareto.fronts import Booleans, Floats
from supernet.space.search_space import Genes, SearchSpace

_POPULATION = 16
_LARGEST_COUNT = 3 * _POPULATION


class ConformanceError(AssertionError):
    """Something that the search relies on does not hold."""


def candidates_are_canonical_distinct_and_admitted(kind: AlgorithmKind) -> None:
    """Rows of genes as the space keeps them, at most as many as asked for, within the screen, none twice."""
    algorithm = kind(_problem(screen=_is_even))
    asked = []
    for count in (None, 5, _LARGEST_COUNT, None, 1, None):
        genes = algorithm.ask(count)
        _require(genes.ndim == 2 and genes.shape[1] == space_of_checks().gene_count, "ask: not rows of genes")
        _require(0 < len(genes) <= (_POPULATION if count is None else count), f"ask({count}) gave {len(genes)} rows")
        algorithm.tell(genes, _objectives(genes))
        asked.append(genes)
    rows = np.concatenate(asked)
    _require(np.issubdtype(rows.dtype, np.integer), f"ask: genes are {rows.dtype}, not integers")
    _require(np.array_equal(space_of_checks().canonical(rows), rows), "ask: not canonical; space.canonical makes it so")
    _require(bool(_is_even(rows).all()), "ask: a candidate that problem.screen does not admit")
    _require(_distinct(rows) == len(rows), "ask: a candidate came twice")


def equal_seeds_give_equal_candidates_and_other_seeds_others(kind: AlgorithmKind) -> None:
    """Deterministic by the problem's seed, an integer or a sequence of them, and by nothing global."""
    for seed in (3, [3, 37, 60]):
        first, second = _asked(kind(_problem(seed=seed))), _asked(kind(_problem(seed=seed)))
        _require(np.array_equal(first, second), f"seed {seed}: two searches of one seed differ")
    _require(not np.array_equal(_asked(kind(_problem(seed=4))), first), "another seed makes no difference")


def initial_candidates_come_first(kind: AlgorithmKind) -> None:
    """The first ask begins with those initial rows that the screen admits."""
    members = _members()
    initial = np.concatenate([members[_is_even(members)][:3], members[~_is_even(members)][:3]])
    asked = kind(_problem(screen=_is_even, initial=initial)).ask(10)
    _require(np.array_equal(asked[:3], initial[:3]), "ask: the admitted initial rows do not come first")


def what_is_excluded_or_told_is_not_asked(kind: AlgorithmKind) -> None:
    """Neither excluded candidates nor those told by others are ever asked for, told before the first ask or later."""
    members = _members()
    known = members[::3]
    for tells in (True, False):
        algorithm = kind(_problem())
        if tells:
            algorithm.tell(known, _objectives(known))
        else:
            algorithm.exclude(known)
        rows = np.concatenate([known, _asked(algorithm)])
        _require(_distinct(rows) == len(rows), f"ask: a candidate that was {'told' if tells else 'excluded'} before")


def batches_may_be_under_way_at_once(kind: AlgorithmKind) -> None:
    """Several are asked for before the first is told, as workers that share the evaluations need it."""
    algorithm = kind(_problem())
    batches = [algorithm.ask(6) for _ in range(3)]
    for _ in range(4):
        algorithm.tell(batches[-3], _objectives(batches[-3]))
        batches.append(algorithm.ask(6))
    rows = np.concatenate(batches)
    _require(len(rows) == 6 * len(batches), "ask: fewer candidates than wanted although the space has more")
    _require(_distinct(rows) == len(rows), "ask: a candidate came twice while batches were under way")


def any_number_of_objectives_is_taken(kind: AlgorithmKind) -> None:
    """One objective or many, with ties and violations."""
    for count in (1, 2, 3, 5):
        algorithm = kind(_problem())
        for generation in range(6):
            genes = algorithm.ask()
            points = _objectives(genes, count).round(1)
            algorithm.tell(genes, points, np.maximum(points[:, 0] - 4, 0) if generation % 2 else None)
            _require(len(genes) > 0, f"ask: nothing after {generation} generations of {count} objectives")
            _require(algorithm.objectives.shape == (len(algorithm.genes), count), "objectives: not one row a member")


def the_population_is_what_was_told(kind: AlgorithmKind) -> None:
    """Members are candidates that were told, beside their own objectives."""
    algorithm = kind(_problem())
    _asked(algorithm)
    _require(len(algorithm.genes) > 0, "genes: no population after results were told")
    _require(np.array_equal(_objectives(algorithm.genes), algorithm.objectives), "objectives: not those that were told")


def a_spent_space_ends_the_search(kind: AlgorithmKind) -> None:
    """Asking ends with no candidates, at the latest when every member was asked for; at once where none is admitted."""
    algorithm, count = kind(_problem()), 0
    while len(genes := algorithm.ask(_LARGEST_COUNT)):
        algorithm.tell(genes, _objectives(genes))
        count += len(genes)
        _require(count <= space_of_checks().size(), "ask: more candidates than the space has members")
    nothing = kind(_problem(screen=lambda genes: np.zeros(len(genes), bool))).ask()
    _require(len(nothing) == 0, "ask: candidates although the screen admits none")


def a_restored_search_continues_as_undisturbed(kind: AlgorithmKind) -> None:
    """What `state` gives passes through JSON and continues bit for bit; for those that can be saved."""
    for generations in (0, 1, 4):
        undisturbed = kind(_problem())
        if not isinstance(undisturbed, Resumable):
            return
        _asked(undisturbed, generations)
        resumed = kind(_problem(seed=99))
        assert isinstance(resumed, Resumable)
        resumed.restore(json.loads(json.dumps(undisturbed.state())))
        is_same = np.array_equal(_asked(undisturbed), _asked(resumed))
        _require(is_same, f"restore: another path after {generations} generations")


def its_kind_says_whether_the_predictor_may_choose(kind: AlgorithmKind) -> None:
    """`uses_predictor` is yes or no, known before a search begins."""
    _require(isinstance(getattr(kind, "uses_predictor", None), bool), "uses_predictor: must be True or False")


CHECKS: tuple[Callable[[AlgorithmKind], None], ...] = (
    candidates_are_canonical_distinct_and_admitted,
    equal_seeds_give_equal_candidates_and_other_seeds_others,
    initial_candidates_come_first,
    what_is_excluded_or_told_is_not_asked,
    batches_may_be_under_way_at_once,
    any_number_of_objectives_is_taken,
    the_population_is_what_was_told,
    a_spent_space_ends_the_search,
    a_restored_search_continues_as_undisturbed,
    its_kind_says_whether_the_predictor_may_choose,
)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ConformanceError(otherwise)


@cache
def space_of_checks() -> SearchSpace:
    """A space of a few hundred members, with blocks that may be absent."""
    blocks = {
        "inverted_residual": {"kernels": (3, 5), "dilations": (1,), "expansions": (1, 2)},
        "dilated": {"kernels": (3,), "dilations": (2,)},
    }
    content = {
        "name": "conformance",
        "sensors": ("ppg", "ppg_acc"),
        "stems": ({"rate_hz": 8, "kernel": 3, "stride": 1},),
        "stem_widths": (4, 8),
        "stages": ({"stride": 2, "widths": (4, 8, 12), "min_depth": 1, "blocks": (blocks, blocks)},),
        "window_s": 4,
        "outputs": 12,
    }
    return SearchSpace.model_validate(content)


@cache
def _members() -> Genes:
    """All of them, (n, genes)."""
    space = space_of_checks()
    axes = [np.arange(low, high + 1) for low, high in zip(space.lows, space.highs, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, space.gene_count)
    return np.unique(space.canonical(grid), axis=0)


def _problem(**changes: Any) -> Problem:
    return Problem(space_of_checks(), **{"population": _POPULATION, "seed": 7, **changes})


def _is_even(genes: Genes) -> Booleans:
    """A screen that admits about half of the space."""
    return np.asarray(genes, np.int64).sum(axis=1) % 2 == 0


def _objectives(genes: Genes, count: int = 3) -> Floats:
    """Invented objectives (n, count), the first against the others; equal genes, equal objectives."""
    scaled = np.asarray(genes, np.float64) / np.maximum(space_of_checks().highs, 1)
    pairs = list(combinations(range(scaled.shape[1]), 2))
    columns = [6.0 * np.exp(-scaled.sum(axis=1))]
    columns += [scaled @ (1.0 + np.arange(scaled.shape[1]) % (number + 2)) for number in range(count - 1)]
    columns[0] += 0.3 * sum(np.sin(3.0 * (scaled[:, one] + 2.0 * scaled[:, other])) for one, other in pairs)
    return np.stack(columns[:count], axis=1)


def _asked(algorithm: Algorithm, generations: int = 5) -> Genes:
    """All that it asks for in so many generations, each told."""
    asked = [_members()[:0]]
    for _ in range(generations):
        genes = algorithm.ask()
        algorithm.tell(genes, _objectives(genes))
        asked.append(genes)
    return np.concatenate(asked)


def _distinct(rows: Genes) -> int:
    return len(np.unique(rows, axis=0))
