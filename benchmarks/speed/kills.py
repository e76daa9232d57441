"""Searches killed at random instants, and workers killed in every generation: archives compared row by row.

A real search (untrained supernet, noise for windows) is killed once with SIGKILL, at an instant drawn from
its whole length, then given again; its archive must hold what the undisturbed one holds, in the same order.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speed.evaluate import made_up
from benchmarks.speed.search import BUDGETS
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import DEFAULT_DEVICE, load_device
from nas.assembly.hardware import cached_table
from nas.assembly.subnet_evaluation import SubnetEvaluation
from nas.run.cluster import spread
from nas.terminal.arguments import count
from search.archive.archive import Archive
from search.costs.cost_plan import CostPlan, compile_costs
from search.loop.prefix_tree import block_work
from search.loop.search_loop import SearchResult, Study, run_search
from search.loop.settings import SearchSettings
from supernet.space.arch import Arch
from supernet.space.search_space import load_space

_QUIET = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": "CRITICAL"}
SETTINGS = SearchSettings(evaluations=60, population=20, batch=10)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks kills`."""
    parser.add_argument("--kills", type=count, default=100, help="searches to kill (100)")
    parser.add_argument("--seed", type=count, default=0, help="of the instants (0)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Kill and compare; see the module's first lines."""
    torch.set_num_threads(1)
    space, device = load_space("default"), load_device(DEFAULT_DEVICE)
    plan = compile_costs(space, CostModel(cached_table(space, device.target), device))
    measure = made_up(space, windows=64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.perf_counter()
        search(plan, measure, folder / "undisturbed.sqlite")
        length_s = time.perf_counter() - begun
        wanted = content(folder / "undisturbed.sqlite")
        return {
            **_killed(plan, measure, folder, wanted, length_s, options),
            **_workers_killed(plan, measure, folder, wanted),
            "evaluations": SETTINGS.evaluations,
            "search_s": round(length_s, 2),
        }


def search(plan: CostPlan, measure: Any, path: Path, workers: int = 1, cluster: str | None = None) -> SearchResult:
    """One search into the archive at `path`."""
    with spread({"benchmark": measure}, workers, cluster) as workplace, Archive(path) as archive:
        work = block_work(plan.space)
        evaluator = workplace.evaluator("benchmark", measure.score(0), measure.provenance, work)
        study = Study(plan=plan, budgets=BUDGETS, evaluators=(evaluator,), device="benchmark", seed=1)
        return run_search(study, SETTINGS, archive)


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of an archive, whole."""
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: connection.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in names}
    connection.close()
    return found


def _killed(
    plan: CostPlan,
    measure: SubnetEvaluation,
    folder: Path,
    wanted: Any,
    length_s: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Kill searches of this process's children, resume them, and compare."""
    rng = np.random.default_rng([options.seed, 61])
    identical, attempts = 0, 0
    rows_at_kill: list[int] = []
    while len(rows_at_kill) < options.kills and attempts < 3 * options.kills:
        path = folder / f"killed-{attempts}.sqlite"
        attempts += 1
        child = _fork(lambda path=path: search(plan, replace(measure), path))  # type: ignore[misc]
        time.sleep(rng.uniform(0.0, length_s))
        os.kill(child, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            continue
        rows_at_kill.append(len(content(path).get("evaluations", ())) if path.exists() else 0)
        search(plan, replace(measure), path)
        identical += content(path) == wanted
        path.unlink()
    return {
        "kills": len(rows_at_kill),
        "identical": identical,
        "rows_at_kill_quartiles": np.quantile(rows_at_kill or [0], [0, 0.25, 0.5, 0.75, 1]).tolist(),
    }


def _fork(body: Callable[[], object]) -> int:
    """Do something in a child process; returns its number."""
    child = os.fork()
    if child:
        return child
    try:
        body()
    finally:
        os._exit(0)


@dataclass(frozen=True, eq=False)
class Deadly:
    """A measure that ends its own process, once for each of some architectures."""

    inner: SubnetEvaluation
    folder: Path
    arch_ids: frozenset[str]

    def __call__(self, arch: Arch) -> NDArray[np.float64]:
        """Figures of one arch, unless this is the end."""
        marker = self.folder / arch.id
        if arch.id in self.arch_ids and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner(arch)

    def score(self, seed: int) -> Any:
        """As the inner one's."""
        return self.inner.score(seed)

    @property
    def provenance(self) -> Any:
        """As the inner one's."""
        return self.inner.provenance


def _workers_killed(plan: CostPlan, measure: SubnetEvaluation, folder: Path, wanted: Any) -> dict[str, Any]:
    """A search by two processes, and one by two dask workers, that are killed in every generation."""
    from distributed import LocalCluster

    with Archive(folder / "undisturbed.sqlite") as archive:
        first = {row.generation: row.arch_id for row in reversed(archive.rows())}
    found: dict[str, Any] = {}
    for kind in ("processes", "dask"):
        graves = folder / kind
        graves.mkdir()
        path, deadly = folder / f"{kind}.sqlite", Deadly(measure, graves, frozenset(first.values()))
        if kind == "processes":
            result = search(plan, deadly, path, workers=2)
        else:
            with LocalCluster(**_QUIET) as cluster:
                result = search(plan, deadly, path, cluster=cluster.scheduler_address)
        dead = {row.generation for row in result.rows if (graves / row.arch_id).exists()}
        found |= {
            f"{kind}_generations": result.generations,
            f"{kind}_generations_with_a_kill": len(dead),
            f"{kind}_identical": content(path) == wanted,
        }
    return found
