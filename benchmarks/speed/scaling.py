"""What more workers bring: two processes here, and 64 workers of a dask cluster that take the measured times.

The search is the one of a run, with its predictor, on an untrained supernet and noise. Locally whole searches
are timed in turn, from the first proposal to the last row, workers' start included; beside them stands what
two processes gain that share nothing, as others may use this machine. On the cluster every task sleeps
as long as its architecture took here, times a scale: as if there were so many more windows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speed.evaluate import made_up
from benchmarks.speed.kills import content
from benchmarks.speed.search import BUDGETS
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import DEFAULT_DEVICE, load_device
from nas.assembly.hardware import cached_table
from nas.run.cluster import spread
from nas.terminal.arguments import positive_count, positive_number
from search.archive.archive import Archive
from search.costs.cost_plan import CostPlan, compile_costs
from search.loop.evaluator import Evaluate, MeanOfSubjects
from search.loop.prefix_tree import block_work
from search.loop.search_loop import SearchResult, Study, run_search
from search.loop.settings import SearchSettings
from supernet.space.arch import Arch
from supernet.space.search_space import load_space


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks scaling`."""
    parser.add_argument("--evaluations", type=positive_count, default=480, help="of each local search (480)")
    parser.add_argument("--pairs", type=positive_count, default=3, help="local searches of each kind (3)")
    parser.add_argument("--windows", type=positive_count, default=2000, help="validation windows (2000)")
    parser.add_argument("--simulated", type=positive_count, default=64, help="workers of the cluster (64)")
    parser.add_argument("--rounds", type=positive_count, default=24, help="tasks a simulated worker gets (24)")
    parser.add_argument("--scale", type=positive_number, default=10.0, help="slower than measured (10)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module's first lines."""
    torch.set_num_threads(1)
    space, device = load_space("default"), load_device(DEFAULT_DEVICE)
    plan = compile_costs(space, CostModel(cached_table(space, device.target), device))
    measure = made_up(space, options.windows)
    with tempfile.TemporaryDirectory() as folder:
        return {
            **_local(plan, measure, options, Path(folder)),
            **_cluster(plan, measure, options, Path(folder)),
        }


def _search(
    plan: CostPlan, measure: Evaluate, path: Path, settings: SearchSettings, workers: int, address: str | None
) -> SearchResult:
    score = MeanOfSubjects(np.repeat("all", len(measure.targets)), resamples=50)  # type: ignore[attr-defined]
    origin = measure.provenance  # type: ignore[attr-defined]
    with spread({"benchmark": measure}, workers, address) as workplace, Archive(path) as archive:
        evaluator = workplace.evaluator("benchmark", score, origin, block_work(plan.space))
        study = Study(plan=plan, budgets=BUDGETS, evaluators=(evaluator,), device="benchmark")
        return run_search(study, settings, archive)


def _local(plan: CostPlan, measure: Evaluate, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    settings = SearchSettings(evaluations=options.evaluations, population=80, batch=40, ahead=1)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    archives, plain = [], []
    for pair in range(options.pairs):
        plain.append(_plain_gain())
        for workers, taken in seconds.items():
            path = folder / f"local-{pair}-{workers}.sqlite"
            begun = time.perf_counter()
            _search(plan, replace(measure), path, settings, workers, None)  # type: ignore[type-var]
            taken.append(time.perf_counter() - begun)
            archives.append(content(path))
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    return {
        "two_workers_speedup": round(float(np.median(ratios)), 2),
        "two_workers_speedups": [round(ratio, 2) for ratio in ratios],
        "two_plain_processes_speedups": [round(gain, 2) for gain in plain],
        "one_worker_s": round(float(np.median(seconds[1])), 1),
        "two_workers_s": round(float(np.median(seconds[2])), 1),
        "same_archive": all(one == archives[0] for one in archives),
        "local_evaluations": options.evaluations,
    }


def _plain_gain() -> float:
    """How many times as much two processes do in the time of one, without anything to share."""
    context = multiprocessing.get_context("fork")

    def took(many: int) -> float:
        begun = time.perf_counter()
        processes = [context.Process(target=_spin) for _ in range(many)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return time.perf_counter() - begun

    return 2 * took(1) / took(2)


def _spin() -> None:
    sum(range(60_000_000))


@dataclass(frozen=True, eq=False)
class _Replay:
    """Sleeps as long as evaluations took here, `scale` times, and gives figures that lead somewhere."""

    seconds: tuple[float, ...]
    scale: float
    targets: NDArray[Any]
    provenance: Any

    def __call__(self, arch: Arch) -> NDArray[np.float64]:
        """Made-up errors of an arch, the same each time."""
        chance = np.random.default_rng(int(arch.id, 16))
        time.sleep(self.scale * self.seconds[int(chance.integers(len(self.seconds)))])
        depth = sum(len(stage.blocks) for stage in arch.stages)
        return 8.0 - 0.4 * depth + chance.normal(0.0, 0.5, len(self.targets))

    def slept(self, arch: Arch) -> float:
        """Seconds that a call takes."""
        chance = np.random.default_rng(int(arch.id, 16))
        return self.scale * self.seconds[int(chance.integers(len(self.seconds)))]


def _cluster(plan: CostPlan, measure: Any, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from distributed import LocalCluster

    alone, seconds = replace(measure, memory_mb=0), []
    for arch in plan.space.decode(plan.space.sample(64, np.random.default_rng(5))):
        begun = time.perf_counter()
        alone(arch)
        seconds.append(time.perf_counter() - begun)
    replay = _Replay(tuple(seconds), options.scale, measure.targets[:1], measure.provenance)
    many = options.simulated
    settings = SearchSettings(evaluations=many * options.rounds, population=2 * many, batch=many, ahead=2)
    quiet = {"n_workers": 1, "threads_per_worker": many, "processes": False, "dashboard_address": None}
    with LocalCluster(**quiet) as cluster:
        begun = time.perf_counter()
        address = cluster.scheduler_address
        result = _search(plan, replay, folder / "cluster.sqlite", settings, 1, address)
        wall = time.perf_counter() - begun
    busy = sum(replay.slept(plan.space.decode([row.genes])[0]) for row in result.rows)
    return {
        "simulated_workers": many,
        "efficiency": round(busy / (many * wall), 3),
        "time_scale": options.scale,
        "task_s_median": round(float(np.median(seconds)), 3),
        "task_s_largest": round(max(seconds), 3),
        "cluster_evaluations": len(result.rows),
        "cluster_s": round(wall, 1),
        "cluster_busy_s": round(busy, 1),
        "batch": settings.batch_size,
        "ahead": settings.ahead,
    }
