"""Evaluating a whole population with shared prefixes beside evaluating its members one by one.

Seconds are CPU time of one thread, the median over repeats taken in turn, in one process. One by one is the
quicker of two ways: the same evaluation that keeps nothing, and extracted, calibrated, folded subnets.
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

from hwmodels.cost import CostModel
from hwmodels.device import DEFAULT_DEVICE, load_device
from nas.arguments import count, positive_count
from nas.bench.search import BUDGETS, Landscape
from nas.hardware import cached_table, cost_model
from nas.run_directory import RunDirectory
from nas.space import space_of
from nas.subnet_evaluation import SubnetEvaluation
from search.archive import Archive, Provenance
from search.cost_plan import CostPlan, compile_costs
from search.evaluator import Evaluator, MeanOfSubjects
from search.prefix import block_work, depth_first, shared_factor
from search.search import run_search
from search.settings import SearchSettings
from supernet.arch import Arch
from supernet.batches import Inputs, input_of
from supernet.calibrate import calibrate
from supernet.evaluate import predict
from supernet.extract import extract
from supernet.network import SuperNet
from supernet.space import SearchSpace, load_space
from supernet.tasks import HeartRateTask

Figures = list[NDArray[np.float64]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ppg-nas bench evaluate`."""
    parser.add_argument("--run", type=Path, help="run whose supernet and windows to use (default: made-up)")
    parser.add_argument("--space", default="default", help="search space without a run (default)")
    parser.add_argument("--population", type=positive_count, default=100, help="architectures (100)")
    parser.add_argument("--generations", type=positive_count, default=6, help="bred before it is taken (6)")
    parser.add_argument("--repeats", type=positive_count, default=3, help="measurements of each (3)")
    parser.add_argument("--windows", type=positive_count, default=2000, help="made-up windows (2000)")
    parser.add_argument("--memory-mb", type=count, default=512, help="kept of prefixes (512)")


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
        plan = compile_costs(space, cost_model(directory, directory.config.device))
        steering, score = measure, measure.score(0)  # type: ignore[assignment]
    measure = replace(measure, memory_mb=options.memory_mb)
    with tempfile.TemporaryDirectory() as folder:
        evolved = bred(plan, steering, score, options, Path(folder))
    rng = np.random.default_rng(1)
    members = np.unique(space.sample(options.population, rng), axis=0)
    found = {
        "evolved": _compare(measure, space, evolved, options.repeats),
        "random": _compare(measure, space, space.decode(depth_first(members)), options.repeats),
    }
    return {
        "speedup": found["evolved"]["speedup"],
        "identical": all(one["identical"] for one in found.values()),
        "space": space.name,
        "population": options.population,
        "windows": len(measure.targets),
        "memory_mb": options.memory_mb,
        "weights": "made-up" if options.run is None else "trained",
        "populations": found,
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
        rng.uniform(50, 180, windows), np.repeat("all", windows), HeartRateTask(bins=space.outputs),
        Provenance(weights="made-up", fold="", protocol=""),
    )  # fmt: skip


class _Steering:
    """Errors of a made-up landscape: what leads evolution where there is no trained supernet."""

    def __init__(self, space: SearchSpace) -> None:
        self._space, self._landscape = space, Landscape.over(space)

    def __call__(self, arch: Arch) -> NDArray[np.float64]:
        return self._landscape.errors(self._space.encode([arch]))


def bred(
    plan: CostPlan, evaluate: Callable[[Arch], Any], score: Any, options: argparse.Namespace, folder: Path
) -> list[Arch]:
    """The last generation of a search as a run makes it, with the predictor, in depth-first order."""
    size = options.population
    settings = SearchSettings(
        evaluations=size * (1 + options.generations), population=size, batch=size, seed=0
    )
    evaluator = Evaluator(evaluate, score, Provenance(weights="", fold="", protocol=""))
    with Archive(folder / "archive.sqlite") as archive:
        result = run_search(plan.space, plan, evaluator, BUDGETS, settings, archive, device="benchmark")
    last = [row.genes for row in result.rows if row.generation == result.generations - 1]
    return plan.space.decode(depth_first(np.array(last, np.int16)))


def _compare(
    measure: SubnetEvaluation, space: SearchSpace, archs: Sequence[Arch], repeats: int
) -> dict[str, Any]:
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
    apart = [
        np.abs(one - other).max()
        for one, other in zip(figures["together"], figures["extracted"], strict=True)
    ]
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
