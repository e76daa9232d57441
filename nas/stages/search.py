"""Stage 5: evolutionary search within the budgets; every evaluated subnet goes into the archive."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hwmodels.device import load_device
from nas.files import digest
from nas.hardware import cost_model
from nas.progress import progress
from nas.run_directory import RunDirectory
from nas.space import space_of
from nas.stages.choice import archive_path, budgets_of, shared_weights
from nas.stages.loading import sides, trained_supernet, training_task
from nas.workers import worker_pool
from search.archive import Archive, Provenance
from search.budgets import Budgets
from search.cost_plan import compile_costs
from search.evaluator import Evaluator, MacroF1Error, MeanOfSubjects, Score
from search.search import SearchResult, run_search
from search.settings import SearchSettings
from supernet.arch import Arch
from supernet.batches import TrainingSet, input_of
from supernet.evaluate import predict, ready_subnet
from supernet.network import SuperNet
from supernet.space import SearchSpace, SpaceError
from supernet.students import mobilenet_1d, temporal_convolutions
from supernet.tasks import HeartRateTask, RhythmTask

NAME = "search"
NEEDS: tuple[str, ...] = ("prepare", "profile", "supernet")


def inputs(run: RunDirectory) -> object:
    """Budgets, device, the search's section, and how many candidates are wanted."""
    search = run.config.search.model_dump(exclude={"workers"})
    device = load_device(run.config.device).model_dump()
    return [run.config.budgets.model_dump(), device, search, run.config.finish.candidates]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The archive."""
    return (Path(archive_path(run)),)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Search for the configured device and budgets; names the candidates to finish."""
    result = search_run(run, run.config.device, budgets_of(run.config.budgets))
    best = result.front[0]
    return {
        "evaluated": len(result.rows),
        "front": len(result.front),
        "best": best.arch_id,
        "best_error": round(best.error, 4),
        "predictor": "not used" if result.predictor is None else str(result.predictor),
        "screened": result.screened,
        "reevaluated": result.reevaluated,
        "open_contenders": result.open_contenders,
        "candidates": [row.arch_id for row in result.front[: run.config.finish.candidates]],
    }


def search_run(
    run: RunDirectory, device: str, budgets: Budgets, evaluations: int | None = None
) -> SearchResult:
    """Search a trained supernet for any device and budgets; nothing is trained.

    Raises InfeasibleBudget, with the nearest feasible point, before anything is evaluated.
    """
    torch.set_num_threads(run.config.threads)
    settings, space = run.config.search, space_of(run.config)
    plan = compile_costs(space, cost_model(run, device))

    def say(text: str) -> None:
        run.say(f"search: {text}")
        run.log("search", text=text)

    executor = worker_pool(settings.workers) if settings.workers > 1 else nullcontext(None)
    with executor as pool, Archive(archive_path(run)) as archive, progress("search") as advance:
        first, *finer = (
            Evaluator(held, held.score(run), held.provenance(run), pool)
            for held in SubnetEvaluation.all_of(run)
        )
        return run_search(
            space, plan, first, budgets,
            SearchSettings(evaluations=evaluations or settings.evaluations,
                           population=settings.population, seed=run.config.seed,
                           is_screened=settings.screening == "predictor",
                           reevaluations=settings.reevaluations, confidence=settings.confidence),
            archive, device=device, students=students_within(space), finer=finer, progress=advance, say=say,
        )  # fmt: skip


def students_within(space: SearchSpace) -> list[Arch]:
    """The hand-made students that are members of the space."""
    found = []
    for student in (mobilenet_1d(), temporal_convolutions()):
        with suppress(SpaceError):
            space.encode([student])
            found.append(student)
    return found


def _thinned(windows: TrainingSet, count: int) -> TrainingSet:
    """`count` of the windows, evenly spaced."""
    return windows.subset(np.linspace(0, len(windows) - 1, count).round().astype(int))


class SubnetEvaluation:
    """Estimates of one arch on validation windows, by inherited weights with its own statistics.

    Called with an Arch; gives one figure per window (n,): the absolute error in BPM, or the
    estimated class. Can be sent to worker processes.
    """

    def __init__(
        self,
        supernet: SuperNet,
        training: TrainingSet,
        validation: TrainingSet,
        task: HeartRateTask | RhythmTask,
        calibration_windows: int,
    ) -> None:
        self._supernet, self._training, self._task = supernet, training, task
        self._inputs, self._targets = validation.normalized(), validation.targets
        self._subjects = validation.subjects
        self._calibration_windows = calibration_windows

    @classmethod
    def all_of(cls, run: RunDirectory) -> list[SubnetEvaluation]:
        """Those of a run: on the windows of the first look, then on those of the race where they are more."""
        settings = run.config.search
        training, validation = sides(run)
        task, supernet = training_task(run, training), trained_supernet(run)
        counts = [min(settings.validation_windows, len(validation))]
        if min(settings.racing_windows, len(validation)) > counts[0]:
            counts.append(min(settings.racing_windows, len(validation)))
        sets = (_thinned(validation, count) for count in counts)
        return [cls(supernet, training, held, task, settings.calibration_windows) for held in sets]

    def __call__(self, arch: Arch) -> NDArray[np.float64]:
        """Figures of one arch, (n,)."""
        subnet = ready_subnet(self._supernet, arch, self._training, self._calibration_windows)
        estimate, _ = predict(subnet, input_of(self._inputs, arch), self._task)
        if isinstance(self._task, RhythmTask):
            return estimate.astype(np.float64)
        return np.abs(estimate.astype(np.float64) - self._targets)

    def score(self, run: RunDirectory) -> Score:
        """How figures become an error with its interval over subjects."""
        assert self._subjects is not None
        if isinstance(self._task, RhythmTask):
            return MacroF1Error(self._targets, self._subjects, seed=run.config.seed)
        return MeanOfSubjects(self._subjects, seed=run.config.seed)

    def provenance(self, run: RunDirectory) -> Provenance:
        """What the figures depend on besides the arch."""
        windows = [run.config.search.calibration_windows, len(self._targets), run.config.seed]
        is_rhythm = isinstance(self._task, RhythmTask)
        return Provenance(
            weights=str(shared_weights(run)),
            fold=digest(run.config.data.model_dump(mode="json")),
            protocol=digest(windows),
            metric="macro_f1_error" if is_rhythm else "mae_bpm",
        )
