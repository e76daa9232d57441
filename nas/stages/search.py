"""Stage 5: evolutionary search within the budgets; every evaluated subnet goes into the archive."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hwmodels.device.device import Device
from nas.assembly.choice import archive_path, budgets_of
from nas.assembly.hardware import cost_plan
from nas.assembly.run_space import space_of
from nas.assembly.subnet_evaluation import SubnetEvaluation
from nas.run.cluster import spread
from nas.run.run_directory import RunDirectory
from nas.terminal.progress import progress
from search.archive.archive import Archive
from search.costs.budgets import Budgets
from search.loop.prefix_tree import block_work
from search.loop.search_loop import SearchResult, Study, examine, run_search
from supernet.space.arch import Arch
from supernet.space.search_space import SearchSpace, SpaceError
from supernet.space.students import mobilenet_1d, temporal_convolutions

NAME = "search"
NEEDS: tuple[str, ...] = ("prepare", "profile", "supernet")


def inputs(run: RunDirectory) -> object:
    """Budgets, device, the search's section, and how many candidates are wanted."""
    search = run.config.search.model_dump(exclude={"workers", "memory_mb"})
    device = run.device().model_dump()
    return [run.config.budgets.model_dump(), device, search, run.config.finish.candidates]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The archive."""
    return (Path(archive_path(run)),)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Search for the configured device and budgets; names the candidates to finish."""
    result = search_run(run, run.device(), budgets_of(run.config.budgets))
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
    run: RunDirectory,
    device: Device,
    budgets: Budgets,
    evaluations: int | None = None,
    objectives: tuple[str, ...] | None = None,
) -> SearchResult:
    """Search a trained supernet for any device and budgets; nothing is trained.

    Raises InfeasibleBudget, with the nearest feasible point, before anything is evaluated.
    """
    settings, seed = run.config.search.overridden(evaluations, objectives), run.config.seed
    plan, space = cost_plan(run, device), space_of(run.config)
    examined = examine(plan, budgets, settings, seed)  # before any window is read

    def say(text: str) -> None:
        run.say(f"search: {text}")
        run.log("search", text=text)

    measures = {measure.name: measure for measure in SubnetEvaluation.all_of(run)}
    workers = run.config.threads if settings.workers is None else settings.workers
    with (
        spread(measures, workers, run.cluster) as workplace,
        Archive(archive_path(run)) as archive,
        progress("search") as advance,
    ):
        work = block_work(space)
        study = Study(
            plan=plan,
            budgets=budgets,
            evaluators=[
                workplace.evaluator(name, measure.score(seed), measure.provenance, work)
                for name, measure in measures.items()
            ],
            device=device.name,
            seed=seed,
            students=students_within(space),
        )
        return run_search(study, settings, archive, examined=examined, progress=advance, say=say)


def students_within(space: SearchSpace) -> list[Arch]:
    """The hand-made students that are members of the space."""
    found = []
    for student in (mobilenet_1d(), temporal_convolutions()):
        with suppress(SpaceError):
            space.encode([student])
            found.append(student)
    return found
