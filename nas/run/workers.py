"""Worker processes that end with their parent, and are replaced when they are lost.

What all tasks need is sent to a worker once, at its start; tasks name it by a `Held`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from hwmodels.basics.errors import InputError

_PATIENCE = 3
_HELD: dict[str, Callable[..., Any]] = {}
"""What this process was given as a worker; empty in others."""


class WorkersLostError(InputError):
    """Worker processes end again and again before they have done anything."""

    exit_code = 1


@dataclass(frozen=True)
class Held:
    """Stands in a task for a callable that the workers hold under `name`, and is called like it."""

    name: str

    def __call__(self, *arguments: Any) -> Any:
        """What the callable gives."""
        return _HELD[self.name](*arguments)


def hold(held: Mapping[str, Callable[..., Any]]) -> None:
    """Keep callables in this process for tasks to come."""
    _HELD.update(held)


def let_go(names: Mapping[str, Callable[..., Any]]) -> None:
    """Forget what `hold` was given."""
    for name in names:
        _HELD.pop(name, None)


def worker_pool(
    workers: int, held: Mapping[str, Callable[..., Any]] | None = None, advice: str = "use fewer workers"
) -> LastingPool:
    """A pool of `workers` processes that hold `held`; none outlives a parent that was killed.

    A worker that is lost is replaced and its task done again. `advice` is what the user reads when that
    happens again and again.
    """
    # Processes are begun by a server, as forking this one is unsafe once torch has run threads in it.
    context = multiprocessing.get_context("forkserver")
    if held:
        context.set_forkserver_preload(["nas.assembly.subnet_evaluation"])

    def make() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(dict(held or {}),))

    return LastingPool(make, advice)


class LastingPool(Executor):
    """An executor that outlives the pools it is made of: when one breaks, the next does its tasks.

    Tasks must be free of side effects. `lost` are the errors that say that workers are gone. After several
    in a row before any task was done, the tasks fail with WorkersLostError, whose message holds `advice`.
    """

    def __init__(
        self,
        make: Callable[[], Executor],
        advice: str,
        lost: tuple[type[BaseException], ...] = (BrokenExecutor,),
    ) -> None:
        self._make, self._advice, self._errors = make, advice, lost
        self._lock = threading.RLock()
        self._pool = make()
        self._losses = 0
        self._is_over = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call `fn`."""
        outer: Future[Any] = Future()
        self._start(outer, lambda pool: pool.submit(fn, *args, **kwargs))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers."""
        self._is_over = True
        # dask's executor does not know the second argument.
        self._pool.shutdown(wait, **({"cancel_futures": True} if cancel_futures else {}))

    def _start(self, outer: Future[Any], begin: Callable[[Executor], Future[Any]]) -> None:
        with self._lock:
            pool = self._pool
            try:
                inner = begin(pool)
            except BrokenExecutor as error:
                inner = Future()
                inner.set_exception(error)
        outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
        inner.add_done_callback(lambda done: self._finish(outer, begin, pool, done))

    def _finish(
        self, outer: Future[Any], begin: Callable[[Executor], Future[Any]], pool: Executor, done: Future[Any]
    ) -> None:
        error = BrokenExecutor() if done.cancelled() else done.exception()
        if outer.cancelled():
            return
        if error is None:
            self._losses = 0
        elif done.cancelled() and self._is_over:
            outer.cancel()
            return
        elif isinstance(error, (BrokenExecutor, *self._errors)):
            with self._lock:
                if self._pool is pool:
                    self._losses += 1
                    pool.shutdown(wait=False)
                    self._pool = self._make()
                losses = self._losses
            if losses <= _PATIENCE:
                self._start(outer, begin)
                return
            error = WorkersLostError(
                f"workers were lost {losses} times in a row, probably for lack of memory; {self._advice}; "
                "the same command continues"
            )
        if outer.set_running_or_notify_cancel():
            outer.set_result(done.result()) if error is None else outer.set_exception(error)


def _begin(held: Mapping[str, Callable[..., Any]]) -> None:
    """The first thing that a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hold(held)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
