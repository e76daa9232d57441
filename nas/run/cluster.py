"""Where the search is computed: here, in worker processes, or on a cluster; the figures are the same.

What is measured (weights and windows) goes to each worker once; a worker that joins later gets it then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hwmodels.basics.errors import InputError
from nas.run.workers import Held, LastingPool, hold, let_go, worker_pool
from search.archive.rows import Provenance
from search.loop.evaluator import Evaluate, Evaluator, Score
from search.loop.prefix_tree import Work

_CONNECT_S = 10.0
_TASKS_PER_WORKER = 2
_ADVICE = "lower search.workers or search.memory_mb in the run's config.yaml"
_CLUSTER_ADVICE = "give the workers more memory or lower search.memory_mb in the run's config.yaml"


class ClusterError(InputError):
    """A cluster that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Workplace:
    """Who computes: `executor` (None is this process), how many tasks it wants at a time, the `measures`."""

    measures: Mapping[str, Evaluate]
    executor: Executor | None = None
    tasks: int | None = None

    def evaluator(self, name: str, score: Score, provenance: Provenance, work: Work) -> Evaluator:
        """The evaluator of the named measure at this workplace."""
        evaluate = self.measures[name] if self.executor is None else Held(name)
        return Evaluator(evaluate, score, provenance, self.executor, self.tasks, work)


@contextmanager
def spread(measures: Mapping[str, Evaluate], workers: int, cluster: str | None) -> Iterator[Workplace]:
    """A workplace that holds `measures` by name: the dask cluster at an address, or `workers` processes.

    Raises ClusterError when the cluster cannot be used.
    """
    if cluster is not None:
        with _cluster(measures, cluster) as workplace:
            yield workplace
    elif workers > 1:
        with worker_pool(workers, measures, _ADVICE) as pool:
            yield Workplace(measures, pool, workers * _TASKS_PER_WORKER)
    else:
        yield Workplace(measures)


@contextmanager
def _cluster(measures: Mapping[str, Evaluate], address: str) -> Iterator[Workplace]:
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise ClusterError(f"--cluster {address}: dask is not installed; pip install 'ppg-nas[cluster]'") from None
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError):
        raise ClusterError(
            f"--cluster {address}: no dask scheduler answers there; start one with dask scheduler and give "
            "its address, such as tcp://host:8786"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError:
            raise ClusterError(
                f"--cluster {address}: has no workers; start some with dask worker {address} --nthreads 1"
            ) from None
        name = f"ppg-nas-{'-'.join(measures)}"
        client.register_plugin(_plugin(measures), name=name)
        lost = (BrokenExecutor, KilledWorker)
        pool = LastingPool(lambda: client.get_executor(pure=False), _CLUSTER_ADVICE, lost)
        try:
            with pool:
                yield Workplace(measures, pool, sum(client.nthreads().values()) * _TASKS_PER_WORKER)
        finally:
            client.unregister_worker_plugin(name)


def _plugin(measures: Mapping[str, Callable[..., Any]]) -> Any:
    """What a worker of the cluster does when it joins, and at the end."""
    from distributed import WorkerPlugin

    class Holding(WorkerPlugin):
        """Keeps the measures in the worker's process."""

        def __init__(self) -> None:
            self.measures = dict(measures)

        def setup(self, worker: Any) -> None:
            hold(self.measures)

        def teardown(self, worker: Any) -> None:
            let_go(self.measures)

    return Holding()
