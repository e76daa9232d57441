"""What the search asks of a trained supernet: figures of any architecture on validation windows.

It is sent to worker processes whole, once; tasks then name architectures alone (nas/run/workers.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.assembly.choice import shared_weights
from nas.assembly.loading import sides, trained_supernet, training_task
from nas.evaluation.task_kind import TaskKind
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest
from search.archive.rows import Provenance
from search.loop.evaluator import Score
from supernet.compute.allocation import keep_freed_memory
from supernet.network.shared_prefixes import SharedPrefixes
from supernet.network.supernet import SuperNet
from supernet.space.arch import Arch
from supernet.tasks.task import Task
from supernet.training.window_outputs import calibration_inputs
from supernet.windows.steps import blocks_of
from supernet.windows.training_set import Inputs, TrainingSet

_TURN = Lock()
"""Evaluations of one process take turns: what they keep of one another is no place for two."""


@dataclass(frozen=True, eq=False)
class SubnetEvaluation:
    """Estimates of one arch on validation windows, by inherited weights with its own statistics.

    Called with an Arch; gives one figure per window (n,), as its task keeps it for `score`. `calibration` and
    `inputs` are normalized windows as SharedPrefixes takes them; `memory_mb` bounds what it keeps of
    prefixes. The same figures to the last bit in any process and order: it computes in one thread, as sums
    over several would depend on their number.
    """

    supernet: SuperNet
    calibration: Sequence[Inputs]
    inputs: Inputs
    targets: NDArray[Any]
    subjects: NDArray[np.str_]
    kind: TaskKind
    task: Task
    provenance: Provenance
    memory_mb: int = 2048

    @classmethod
    def all_of(cls, run: RunDirectory) -> list[SubnetEvaluation]:
        """Those of a run: on the windows of the first look, then on those of the race where they are more."""
        settings = run.config.search
        training, validation = sides(run)
        task, supernet = training_task(run, training), trained_supernet(run)
        calibration = calibration_inputs(training, settings.calibration_windows)
        counts = [min(settings.validation_windows, len(validation))]
        if min(settings.racing_windows, len(validation)) > counts[0]:
            counts.append(min(settings.racing_windows, len(validation)))
        evaluations = []
        for count in counts:
            windows = _thinned(validation, count)
            assert windows.subjects is not None
            origin = _provenance(run, count)
            evaluations.append(
                cls(
                    supernet,
                    calibration,
                    windows.normalized(),
                    windows.targets,
                    windows.subjects,
                    run.config.task_kind,
                    task,
                    origin,
                    settings.memory_mb,
                )
            )
        return evaluations

    @property
    def name(self) -> str:
        """What tells it from every other one that gives other figures."""
        origin = self.provenance
        return f"{origin.weights}-{origin.fold}-{origin.protocol}"

    def __call__(self, arch: Arch) -> NDArray[np.float64]:
        """Figures of one arch, (n,)."""
        with _TURN, _one_thread():
            estimate = self.task.estimate(self._prefixes.logits(arch))[0].numpy().astype(np.float64)
        return self.kind.window_figures(estimate, self.targets)

    @cached_property
    def _prefixes(self) -> SharedPrefixes:
        keep_freed_memory()
        memory_bytes = self.memory_mb * 1024 * 1024
        return SharedPrefixes(self.supernet, self.calibration, self.inputs, memory_bytes=memory_bytes)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to a worker: everything but what was kept of prefixes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def score(self, seed: int) -> Score:
        """How figures become an error with its interval over subjects."""
        return self.kind.score(self.targets, self.subjects, seed)


def _provenance(run: RunDirectory, windows: int) -> Provenance:
    """What figures depend on besides the arch."""
    measured = ["shared prefixes", run.config.search.calibration_windows, windows, run.config.seed]
    return Provenance(
        weights=str(shared_weights(run)),
        fold=digest(run.config.data.model_dump(mode="json")),
        protocol=digest(measured),
        metric=run.config.task_kind.metric,
    )


def _thinned(windows: TrainingSet, count: int) -> TrainingSet:
    """`count` of the windows, evenly spaced, or about as many in blocks that follow each other."""
    if windows.block == 1:
        return windows.subset(np.linspace(0, len(windows) - 1, count).round().astype(int))
    blocks = blocks_of(len(windows), windows.block, 0)
    chosen = np.linspace(0, len(blocks) - 1, max(1, min(len(blocks), round(count / windows.block)))).round().astype(int)
    return windows.subset(np.concatenate([blocks[number] for number in chosen]))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
