"""Whether inherited weights rank subnets as training each one by itself would, and how far they lie apart.

Architectures are taken evenly over the cost range of the run's front. Each is judged on validation subjects
with inherited weights, after fine-tuning, and after trainings of its own from random weights, whose errors
are averaged: one training's luck is no property of an architecture, and how well one ranks as another does
is the most that anything could. Every training is kept in RUN/ranks, so that an interrupted measurement goes
on. Test subjects are not read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import nn

from benchmarks.support.trials import FoldData, TrialError, by_subject, once, origin, recipe, train_graph
from nas.assembly.choice import archive_path, shared_weights
from nas.assembly.loading import trained_supernet, trained_teacher
from nas.assembly.run_space import space_of
from nas.run.run_directory import RunDirectory
from nas.terminal.arguments import positive_count
from nas.terminal.progress import progress
from search.archive.archive import Archive
from search.archive.rows import Row
from search.pareto.fronts import non_dominated
from supernet.network.supernet import SuperNet
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch
from supernet.training.teaching import Teaching
from supernet.training.window_outputs import predict, ready_subnet

_KINDS = ("inherited", "independent", "fine_tuned")
PAIRS = (("inherited", "independent"), ("inherited", "fine_tuned"), ("fine_tuned", "independent"))
_RESAMPLES = 1000
_FEWEST = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks ranks`."""
    parser.add_argument("run", type=Path, help="run directory whose search is done")
    parser.add_argument("--archs", type=positive_count, default=30, help="architectures (30)")
    parser.add_argument("--epochs", type=positive_count, default=10, help="of a training by itself (10)")
    parser.add_argument("--seeds", type=positive_count, default=3, help="trainings by itself (3)")
    parser.add_argument("--tuning-epochs", type=positive_count, default=3, help="of fine-tuning (3)")
    parser.add_argument("--seconds", type=positive_count, help="begin no further one after so many seconds")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is missing, then the rank correlations of all that is there."""
    directory = RunDirectory.open(options.run)
    with directory.exclusive():
        rows = _measured(directory, options)
    settings = {name: getattr(options, name) for name in ("epochs", "seeds", "tuning_epochs")}
    return {**summary(rows), **settings, "rows": rows}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Kendall's tau of each pair of errors, over all and within a sensor set, and the gaps; errors in BPM.

    Intervals are 95 % bootstraps over architectures (resampled pairs of one architecture with itself count as
    ties, which tau-b leaves out).
    """
    if len(rows) < 3:
        raise TrialError(
            f"{len(rows)} architectures measured, too few to rank; give the command again, with --archs 30"
        )
    errors = {kind: np.array([row[kind] for row in rows]) for kind in _KINDS}
    told: dict[str, Any] = {"archs": len(rows)}
    for first, second in PAIRS:
        tau, low, high = rank_correlation(errors[first], errors[second])
        told[f"tau_{first}_{second}"] = round(tau, 3)
        told[f"tau_{first}_{second}_interval"] = f"[{low:.2f}, {high:.2f}]"
    by_seed = np.array([row["independent_by_seed"] for row in rows]).T
    if len(by_seed) > 1:
        told["tau_inherited_one_training"] = _mean_tau((errors["inherited"], own) for own in by_seed)
        told["tau_between_trainings"] = _mean_tau(combinations(by_seed, 2))
    sensors = np.array([row["arch"].split("/")[1] for row in rows])
    for name in sorted(set(sensors.tolist())):
        # Sensor sets lie far apart: ranks within one are the harder question.
        own = sensors == name
        if own.sum() >= _FEWEST:
            tau, low, high = rank_correlation(errors["inherited"][own], errors["independent"][own])
            told[f"tau_within_{name}"] = f"{tau:.2f} [{low:.2f}, {high:.2f}] ({own.sum()} architectures)"
    for kind in _KINDS:
        told[f"{kind}_mae_bpm"] = round(float(errors[kind].mean()), 3)
    told["gap_inherited_fine_tuned_bpm"] = round(float((errors["inherited"] - errors["fine_tuned"]).mean()), 3)
    told["gap_inherited_independent_bpm"] = round(float((errors["inherited"] - errors["independent"]).mean()), 3)
    told["latency_ms"] = f"{min(row['latency_ms'] for row in rows):.1f} to {max(row['latency_ms'] for row in rows):.1f}"
    told["seconds"] = round(sum(row["seconds"] for row in rows), 1)
    return told


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float, float]:
    """Kendall's tau-b of two figures of the same architectures (n,), and its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(first), size=(_RESAMPLES, len(first)))
    found = np.array([kendalltau(first[draw], second[draw]).statistic for draw in draws])
    low, high = np.quantile(found[np.isfinite(found)], [0.025, 0.975])
    return float(kendalltau(first, second).statistic), float(low), float(high)


def _mean_tau(pairs: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    return round(float(np.mean([kendalltau(first, second).statistic for first, second in pairs])), 3)


def chosen_rows(rows: list[Row], count: int) -> list[Row]:
    """At most `count` archived rows, evenly over the latency range of the front of error and latency.

    Members of the front come first; where none lies near, the row nearest in latency stands in.
    """
    costs = np.array([[row.error, row.latency_ms] for row in rows])
    on_front = non_dominated(costs)
    low, high = costs[on_front, 1].min(), costs[on_front, 1].max()
    within = [i for i in range(len(rows)) if low <= costs[i, 1] <= high]
    left, picked = set(within), []
    width = (high - low) / max(1, count)
    for target in np.linspace(low, high, count):
        if not left:
            break
        near = [i for i in left if on_front[i] and abs(costs[i, 1] - target) <= width / 2]
        best = min(near or left, key=lambda i: (abs(costs[i, 1] - target), rows[i].arch_id))
        left.discard(best)
        picked.append(rows[best])
    return picked


def _measured(run: RunDirectory, options: argparse.Namespace) -> list[dict[str, Any]]:
    trials = _Trials.of(run, options)
    found: list[dict[str, Any]] = []
    chosen = chosen_rows(_archived(run), options.archs)
    begun = time.monotonic()
    with progress("ranks") as advance:
        for number, row in enumerate(chosen):
            arch = space_of(run.config).decode([row.genes])[0]
            is_late = options.seconds and time.monotonic() - begun > options.seconds
            if is_late and not all(trials.path(arch, own).exists() for own in (None, *trials.alone)):
                continue
            costs = {"latency_ms": round(row.latency_ms, 3), "flash_bytes": row.flash_bytes}
            held = {"id": arch.id, **costs, "searched_error": round(row.error, 4), **trials.of_arch(arch)}
            found.append(held)
            mark = ", ".join(f"{kind} {held[kind]:.2f}" for kind in _KINDS)
            run.say(f"{number + 1} {arch.id}: {mark}")
            advance(number + 1, len(chosen), f"{mark} BPM")
    return found


@dataclass(frozen=True)
class _Trials:
    """What is done to each architecture: judged as inherited, tuned, and trained alone once a seed."""

    data: FoldData
    supernet: SuperNet
    teacher: Teaching
    tuning: TrainSettings
    alone: tuple[TrainSettings, ...]

    @classmethod
    def of(cls, run: RunDirectory, options: argparse.Namespace) -> _Trials:
        own = (recipe(run, options.epochs, seed) for seed in range(options.seeds))
        tuning = recipe(run, options.tuning_epochs)
        return cls(FoldData.of(run), trained_supernet(run), trained_teacher(run), tuning, tuple(own))

    def path(self, arch: Arch, own: TrainSettings | None) -> Path:
        """The file of a training alone, or without settings of what starts from inherited weights."""
        name = arch.id if own is None else f"{arch.id}-alone{own.seed}"
        return self.data.run.path / "ranks" / f"{name}.json"

    def of_arch(self, arch: Arch) -> dict[str, Any]:
        """Errors of all kinds, over validation subjects and by subject; alone, the mean over seeds."""
        base, text = origin(self.data.run, "teacher", "supernet"), str(arch)
        shared = [base, self.tuning.to_dict(), text]
        held = once(self.path(arch, None), shared, partial(self._from_shared, arch))
        trained = [
            once(self.path(arch, own), [base, own.to_dict(), text], partial(self._alone, arch, own))
            for own in self.alone
        ]
        by_seed = [one["independent"] for one in trained]
        return {
            "arch": text,
            **held,
            "independent": round(float(np.mean(by_seed)), 4),
            "independent_by_seed": by_seed,
            "seconds": sum(one["seconds"] for one in (held, *trained)),
        }

    def _from_shared(self, arch: Arch) -> dict[str, Any]:
        subnet = ready_subnet(self.supernet, arch, self.data.training)
        told = self._judged("inherited", arch, subnet)
        tuned = train_graph(self.data, subnet.graph, self.tuning, self.teacher, subnet).module
        return told | self._judged("fine_tuned", arch, tuned)

    def _alone(self, arch: Arch, own: TrainSettings) -> dict[str, Any]:
        graph = self.supernet.space.lower(arch)
        return self._judged("independent", arch, train_graph(self.data, graph, own, self.teacher).module)

    def _judged(self, kind: str, arch: Arch, network: nn.Module) -> dict[str, Any]:
        held, task = self.data.validation, self.data.task
        estimate, _ = predict(network.eval(), held.read(arch), task)
        error = task.error(estimate, held.targets, held.subjects)
        return {kind: round(error, 4), f"{kind}_by_subject": by_subject(estimate, held)}


def _archived(run: RunDirectory) -> list[Row]:
    """What the run's search has evaluated on its device by its present supernet."""
    device, weights = run.device().name, shared_weights(run)
    with Archive(archive_path(run), create=False) as archive:
        rows = [row for row in archive.rows() if row.device == device and row.weights == weights]
    if len(rows) < 3:
        raise TrialError(f"{run.path}: the archive holds {len(rows)} architectures of its supernet; search first")
    return list({row.arch_id: row for row in rows}.values())
