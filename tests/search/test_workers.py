"""Workers of any kind, lost or not, make the same archive; what cannot work is told in one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from nas.run.cluster import ClusterError, spread
from nas.run.workers import Held, LastingPool, WorkersLostError, worker_pool
from search.archive.archive import Archive
from search.loop.evaluator import Evaluator, MeanOfSubjects
from search.loop.prefix_tree import block_work
from search.loop.search_loop import SearchResult, run_search
from search.loop.settings import SearchSettings
from supernet.space.arch import Arch
from tests.search.test_search_run import ORIGIN, SPACE, SUBJECTS, content, study, window_errors

SETTINGS = SearchSettings(evaluations=24, population=8, batch=8, ahead=1)
SCORE = MeanOfSubjects(SUBJECTS, resamples=50)


@dataclass(frozen=True)
class DeadlyOnce:
    """Measures, but ends its own process at the first sight of one architecture in four."""

    folder: Path

    def __call__(self, arch: Arch) -> np.ndarray:
        marker = self.folder / arch.id
        if arch.id[0] in "0123" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return window_errors(arch)


def search(path: Path, evaluate=window_errors, workers: int = 1, cluster: str | None = None) -> SearchResult:
    with spread({"measure": evaluate}, workers, cluster) as workplace, Archive(path) as archive:
        evaluator = workplace.evaluator("measure", SCORE, ORIGIN, block_work(SPACE))
        return run_search(study(evaluator, 2), SETTINGS, archive)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alone") / "archive.sqlite"
    search(path)
    return path


def test_workers_killed_in_every_generation_leave_the_same_archive(tmp_path, alone):
    killed = tmp_path / "killed"
    killed.mkdir()
    result = search(tmp_path / "archive.sqlite", DeadlyOnce(killed), workers=2)
    at = {row.generation for row in result.rows if (killed / row.arch_id).exists()}
    assert at == {0, 1, 2}
    assert content(tmp_path / "archive.sqlite") == content(alone)


def test_workers_that_are_always_lost_are_told_in_one_line():
    with worker_pool(1, advice="use less") as pool, pytest.raises(WorkersLostError, match="use less") as told:
        pool.submit(os._exit, 9).result(60)
    assert isinstance(told.value, InputError)
    assert told.value.exit_code == 1
    assert "\n" not in str(told.value)


def test_errors_of_tasks_reach_the_caller_and_cancelled_tasks_are_not_done():
    done = []
    with LastingPool(lambda: ThreadPoolExecutor(1), "") as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        gate = threading.Event()
        first, second = pool.submit(gate.wait), pool.submit(done.append, 1)
        assert second.cancel()
        gate.set()
        assert first.result()
    assert done == []


def test_a_dask_cluster_makes_the_same_archive(tmp_path, alone):
    distributed = pytest.importorskip("distributed")
    quiet = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**quiet) as cluster:
        search(tmp_path / "archive.sqlite", cluster=cluster.scheduler_address)
    assert content(tmp_path / "archive.sqlite") == content(alone)
    with pytest.raises(KeyError):
        Held("measure")(SPACE.smallest())


def test_a_cluster_that_cannot_be_used_is_told_in_one_line(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("nas.run.cluster._CONNECT_S", 0.3)
    with pytest.raises(ClusterError, match="no dask scheduler answers there"):
        search(tmp_path / "archive.sqlite", cluster="tcp://127.0.0.1:9")
    with pytest.raises(ClusterError, match="no dask scheduler answers there"):
        search(tmp_path / "archive.sqlite", cluster="nonsense://x")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'ppg-nas\[cluster\]'"):
        search(tmp_path / "archive.sqlite", cluster="tcp://127.0.0.1:9")


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_no_architecture_is_proposed_twice_however_many_batches_are_under_way(tmp_path, ahead):
    settings = SearchSettings(evaluations=120, population=40, batch=10, ahead=ahead)
    evaluator = Evaluator(window_errors, SCORE, ORIGIN)
    with Archive(tmp_path / "archive.sqlite") as archive:
        result = run_search(study(evaluator, 2), settings, archive)
        assert len(archive) == len(result.rows) == len({row.genes for row in result.rows}) == 120
    assert result.screened > 0


def search_with_seed(path: Path, seed: int) -> set[tuple[int, ...]]:
    settings = SearchSettings(evaluations=48, population=16, batch=8)
    with Archive(path) as archive:
        evaluator = Evaluator(window_errors, SCORE, ORIGIN)
        result = run_search(study(evaluator, seed), settings, archive)
    return {row.genes for row in result.rows}


def test_two_searches_at_once_share_one_archive(tmp_path):
    path = tmp_path / "archive.sqlite"
    with worker_pool(2) as pool:
        tasks = [pool.submit(search_with_seed, path, seed) for seed in (5, 6)]
        first, second = (task.result() for task in tasks)
    with Archive(path) as archive:
        genes = [row.genes for row in archive.rows()]
    assert len(first) == len(second) == 48
    assert first != second
    assert sorted(genes) == sorted(first | second)
