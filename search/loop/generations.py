"""Candidates bred, measured and told to the algorithm, generation by generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from search.archive.rows import Row
from search.evolution import Problem, Stopping
from search.loop.evaluator import Evaluator
from search.loop.prefix_tree import depth_first
from search.loop.racing import objectives_of
from search.loop.recorder import Recorder
from search.loop.screening import Quality, Screening
from search.loop.settings import SearchSettings
from supernet.space.search_space import Genes

Say = Callable[[str], None]
"""Called with one line that the user should read."""


class Generations:
    """A search until its evaluations are spent, its space is, or its front no longer moves.

    `count` generations were begun, `screened` candidates chosen by the accuracy predictor.
    """

    def __init__(self, settings: SearchSettings, problem: Problem, recorder: Recorder, say: Say | None) -> None:
        self._settings, self._recorder, self._say = settings, recorder, say
        self._algorithm = settings.kind(problem)
        self._screening: Screening | None = None
        if settings.uses_predictor:
            self._screening = Screening(
                recorder.plan, settings.objectives, problem, seed=recorder.seed, kind=settings.kind
            )
        self._stopping = Stopping(settings.patience)
        self._was_trusted: bool | None = None
        self._proposed = 0
        self.count = 0
        self.screened = 0

    @property
    def predictor_quality(self) -> Quality | None:
        """How good the accuracy predictor is; None where there is none."""
        return None if self._screening is None else self._screening.quality

    def run(self, evaluator: Evaluator) -> None:
        """Breed, measure and tell until the end."""
        while True:
            while self._begins_another(evaluator):
                pass
            if not self._recorder.under_way:
                break
            self._take_in(*self._recorder.finish())
        if self._say and self._stopping.reason is not None:
            self._say(f"ended after {len(self._recorder.rows)} evaluations: {self._stopping.reason}")

    def _begins_another(self, evaluator: Evaluator) -> bool:
        """Give another generation to the workers, if it is time for one and there is any."""
        settings, left = self._settings, self._settings.evaluations - self._proposed
        if len(self._recorder.under_way) > settings.ahead or left <= 0 or self._stopping.reason is not None:
            return False
        genes = self._candidates(min(settings.batch_size if self.count else settings.population, left))
        if len(genes) == 0:
            return False
        self._recorder.begin(evaluator, depth_first(genes), self.count)
        self._proposed += len(genes)
        self.count += 1
        return True

    def _candidates(self, wanted: int) -> Genes:
        """Up to `wanted` candidates: those that the predictor chooses, the others of the algorithm itself."""
        screening, algorithm = self._screening, self._algorithm
        if screening is None:
            return algorithm.ask(wanted)
        chosen = np.zeros((0, self._recorder.plan.space.gene_count), np.int16)
        if screening.is_trusted:
            chosen = screening.ask(wanted, algorithm.genes, algorithm.objectives)
            algorithm.exclude(chosen)
            self.screened += len(chosen)
        genes = np.concatenate([chosen, algorithm.ask(wanted - len(chosen))])
        screening.exclude(genes)
        return genes

    def _take_in(self, genes: Genes, rows: Sequence[Row]) -> None:
        """Tell the algorithm, the predictor and the rule for stopping what was measured."""
        points = objectives_of(rows, self._settings.objectives)
        self._algorithm.tell(genes, points)
        self._stopping.tell(points)
        if self._screening is None:
            return
        self._screening.learn(genes, np.array([row.error for row in rows]))
        quality, is_trusted = self._screening.quality, self._screening.is_trusted
        if quality is not None and is_trusted != self._was_trusted:
            self._was_trusted = is_trusted
            if self._say:
                self._say(_switched(quality))


def _switched(quality: Quality) -> str:
    """What the user reads when screening begins or ends."""
    if quality.fault is None:
        return f"accuracy predictor on after {quality.samples} evaluations: {quality}"
    return (
        f"WARNING: accuracy predictor OFF after {quality.samples} evaluations: {quality.fault}; candidates "
        "come from crossover and mutation alone until it is better"
    )
