"""Evaluating generations with shared prefixes, as a search does, beside evaluating their members one by one.

A search is bred; each of its generations is evaluated both ways in turn, in one process, in its order: with
what was kept of those before, and keeping nothing. Seconds are CPU time of one thread. `speedup` is the
median of the generations that were bred. `from_nothing` are the last generation and a random population with
nothing kept before; there one by one is the quicker of two ways: the other is by extracted, folded subnets.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speed.search import BUDGETS, Landscape
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import DEFAULT_DEVICE, load_device
from nas.assembly.hardware import cached_table, cost_model
from nas.assembly.run_space import space_of
from nas.assembly.subnet_evaluation import SubnetEvaluation
from nas.evaluation.task_settings import TASKS
from nas.run.run_directory import RunDirectory
from nas.terminal.arguments import count, positive_count
from search.archive.archive import Archive
from search.archive.rows import Provenance
from search.costs.cost_plan import CostPlan, compile_costs
from search.loop.evaluator import Evaluator, MeanOfSubjects
from search.loop.prefix_tree import block_work, depth_first, shared_factor
from search.loop.search_loop import Study, run_search
from search.loop.settings import SearchSettings
from supernet.network.calibrate import calibrate
from supernet.network.extract import extract
from supernet.network.supernet import SuperNet
from supernet.space.arch import Arch
from supernet.space.search_space import SearchSpace, load_space
from supernet.tasks.task import HeartRateTask
from supernet.training.window_outputs import predict
from supernet.windows.training_set import Inputs, input_of

Figures = list[NDArray[np.float64]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks evaluate`."""
    parser.add_argument("--run", type=Path, help="run whose supernet and windows to use (default: made-up)")
    parser.add_argument("--space", default="default", help="search space without a run (default)")
    parser.add_argument("--population", type=positive_count, default=100, help="architectures (100)")
    parser.add_argument("--generations", type=positive_count, default=6, help="bred after the first (6)")
    parser.add_argument("--repeats", type=positive_count, default=1, help="measurements from nothing (1)")
    parser.add_argument("--windows", type=positive_count, default=2000, help="made-up windows (2000)")
    parser.add_argument("--memory-mb", type=count, default=2048, help="kept of prefixes (2048)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module's first lines."""
    torch.set_num_threads(1)
    if options.run is None:
        space = load_space(options.space)
        measure = made_up(space, options.windows)
        device = load_device(DEFAULT_DEVICE)
        plan = compile_costs(space, CostModel(cached_table(space, device.target), device))
        steering: Callable[[Arch], Any] = _Steering(space)
        score = MeanOfSubjects(np.array(["all"]))
    else:
        directory = RunDirectory.open(options.run)
        space = space_of(directory.config)
        measure = SubnetEvaluation.all_of(directory)[0]
        plan = compile_costs(space, cost_model(directory, directory.device()))
        steering, score = measure, measure.score(0)  # type: ignore[assignment]
    measure = replace(measure, memory_mb=options.memory_mb)
    with tempfile.TemporaryDirectory() as folder:
        generations = bred(plan, steering, score, options, Path(folder))
    searched = _in_turn(measure, generations)
    rng = np.random.default_rng(1)
    members = np.unique(space.sample(options.population, rng), axis=0)
    found = {
        "last_generation": _compare(measure, space, generations[-1], options.repeats),
        "random": _compare(measure, space, space.decode(depth_first(members)), options.repeats),
    }
    return {
        "speedup": round(float(np.median(searched["speedups"][1:])), 2),
        "identical": all(one["identical"] for one in (searched, *found.values())),
        "space": space.name,
        "population": options.population,
        "windows": len(measure.targets),
        "memory_mb": options.memory_mb,
        "weights": "made-up" if options.run is None else "trained",
        "search": searched,
        "from_nothing": found,
    }


def _in_turn(measure: SubnetEvaluation, generations: Sequence[Sequence[Arch]]) -> dict[str, Any]:
    """Times of each generation of one search, and whether the figures are the same to the last bit."""
    lasting, forgetful = replace(measure), replace(measure, memory_mb=0)
    together, alone, same = [], [], True
    for archs in generations:
        begun = time.process_time()
        figures = list(map(lasting, archs))
        halfway = time.process_time()
        single = list(map(forgetful, archs))
        together.append(halfway - begun)
        alone.append(time.process_time() - halfway)
        same = same and all(map(np.array_equal, figures, single))
    return {
        "archs": sum(map(len, generations)),
        "speedups": [round(one / shared, 2) for one, shared in zip(alone, together, strict=True)],
        "speedup_of_all": round(sum(alone) / sum(together), 2),
        "identical": same,
        "shared_s": round(sum(together), 2),
        "one_by_one_s": round(sum(alone), 2),
    }


def made_up(space: SearchSpace, windows: int) -> SubnetEvaluation:
    """An evaluation of an untrained supernet on noise: as long and as wide as a real one."""
    rng = np.random.default_rng(0)

    def noise(many: int, rate: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal((many, 4, space.window_s * rate), np.float32))

    return SubnetEvaluation(
        SuperNet(space, rng),
        [Inputs({rate: noise(128, rate) for rate in space.rates}) for _ in range(4)],
        Inputs({rate: noise(windows, rate) for rate in space.rates}),
        rng.uniform(50, 180, windows),
        np.repeat("all", windows),
        TASKS["heart_rate"],
        HeartRateTask(bins=space.outputs),
        Provenance(weights="made-up", fold="", protocol=""),
    )


class _Steering:
    """Errors of a made-up landscape: what leads evolution where there is no trained supernet."""

    def __init__(self, space: SearchSpace) -> None:
        self._space, self._landscape = space, Landscape.over(space)

    def __call__(self, arch: Arch) -> NDArray[np.float64]:
        return self._landscape.errors(self._space.encode([arch]))


def bred(
    plan: CostPlan, evaluate: Callable[[Arch], Any], score: Any, options: argparse.Namespace, folder: Path
) -> list[list[Arch]]:
    """The generations of a search as a run makes it, with the predictor, each in depth-first order."""
    size = options.population
    settings = SearchSettings(evaluations=size * (1 + options.generations), population=size, batch=size)
    evaluator = Evaluator(evaluate, score, Provenance(weights="", fold="", protocol=""))
    study = Study(plan=plan, budgets=BUDGETS, evaluators=(evaluator,), device="benchmark")
    with Archive(folder / "archive.sqlite") as archive:
        result = run_search(study, settings, archive)
    genes: dict[int, list[tuple[int, ...]]] = {}
    for row in result.rows:
        genes.setdefault(row.generation, []).append(row.genes)
    return [plan.space.decode(depth_first(np.array(held, np.int16))) for _, held in sorted(genes.items())]


def _compare(measure: SubnetEvaluation, space: SearchSpace, archs: Sequence[Arch], repeats: int) -> dict[str, Any]:
    """Times of one population each way, and whether the figures are the same to the last bit."""

    def together() -> Iterator[NDArray[np.float64]]:
        return map(replace(measure), archs)

    def alone() -> Iterator[NDArray[np.float64]]:
        return map(replace(measure, memory_mb=0), archs)

    def extracted() -> Iterator[NDArray[np.float64]]:
        return (_extracted(measure, arch) for arch in archs)

    ways = {"together": together, "alone": alone, "extracted": extracted}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    figures: dict[str, Figures] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            begun = time.process_time()
            figures[name] = list(way())
            seconds[name].append(time.process_time() - begun)
    taken = {name: float(np.median(times)) for name, times in seconds.items()}
    best = min(taken["alone"], taken["extracted"])
    apart = [np.abs(one - other).max() for one, other in zip(figures["together"], figures["extracted"], strict=True)]
    same = map(np.array_equal, figures["together"], figures["alone"])
    return {
        "archs": len(archs),
        "speedup": round(best / taken["together"], 2),
        "identical": all(same),
        "work_shared_factor": round(shared_factor(archs, block_work(space)), 2),
        "shared_s": round(taken["together"], 2),
        "one_by_one_s": round(taken["alone"], 2),
        "extracted_s": round(taken["extracted"], 2),
        "largest_difference_to_extracted_bpm": float(max(apart)),
    }


def _extracted(measure: SubnetEvaluation, arch: Arch) -> NDArray[np.float64]:
    """The figures by a subnet of its own."""
    subnet = extract(measure.supernet, arch)
    calibrate(subnet, (input_of(batch, arch) for batch in measure.calibration))
    for layer in subnet.layers.values():
        layer.fold()
    estimate, _ = predict(subnet, input_of(measure.inputs, arch), measure.task)
    return np.abs(estimate.astype(np.float64) - measure.targets)
