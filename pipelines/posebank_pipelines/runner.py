"""Where tasks run: in this process, on local worker processes, or on a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future as PoolFuture
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from posebank.errors import PosebankError, SettingsError
from posebank_pipelines.processes import (
    environment_of_children,
    held_back,
    start_fork,
    start_fork_server,
    threads_of_workers,
)

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

T = TypeVar("T")


class Progress(Protocol):
    """Shows how far the work is: ``progress("match", 1_024, 6_000, "people")``.

    The first call of a label comes before its work, with what is done already.
    """

    def __call__(self, label: str, done: int, total: int, unit: str = "", /) -> None:
        """Show that ``done`` of ``total`` units are done."""


# On macOS the system's own libraries do not survive a fork.
_CAN_FORK = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"

_METHOD = "distributed.worker.multiprocessing-method"
_VARIABLES = "distributed.nanny.pre-spawn-environ"
# Dask profiles the tasks and looks at the machine several times a second, which takes 8 and 2 % of
# the time of matching.
_WATCH_LESS = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
}

_POLL_S = 1.0  # how often the state of the cluster is looked at
_KILL_AGAIN_S = 0.05  # between two rounds of killing the workers of a cluster that is closed
_LOST_WORKERS = 3  # times that a task's worker may be lost before it counts as the task's fault
_RESUME = "the finished partitions are kept: run the same command again to go on"


def _silence_dask() -> None:
    """Keep Dask from logging what goes wrong: it is raised here, in one line."""
    for name in list(logging.root.manager.loggerDict):  # Dask gives each of its loggers a level
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def silent(label: str, done: int, total: int, unit: str = "", /) -> None:
    """Report nothing."""


def _no_notice(text: str) -> None:
    """Show nothing."""


class Runner:
    """Runs a function over partitions; the cluster starts with the first task that needs it.

    Parameters
    ----------
    workers : worker processes on this machine; 1 runs everything in this process.
    scheduler : address of a running Dask scheduler; it takes the place of local workers.
    progress : called before the first task and after every finished one.
    notify : called with a line for the user: the dashboard, what is waited for.
    connect_timeout : how long to wait for the scheduler's answer.
    worker_timeout_s : how long to wait while the cluster at ``scheduler`` has no worker.
    """

    def __init__(
        self,
        workers: int = 1,
        scheduler: str | None = None,
        progress: Progress = silent,
        *,
        notify: Callable[[str], None] = _no_notice,
        connect_timeout: str = "20s",
        worker_timeout_s: float = 300.0,
    ) -> None:
        if workers < 1:
            raise SettingsError(f"--workers: expected at least 1, got {workers}")
        self.workers = workers
        self.scheduler = scheduler
        self.progress = progress
        self.notify = notify
        self.connect_timeout = connect_timeout
        self.worker_timeout_s = worker_timeout_s
        self._client: Client | None = None
        self._cluster: LocalCluster | None = None
        self._alone_since: float | None = None
        self._told_alone = False
        self._others: set[multiprocessing.process.BaseProcess] = set()
        self._at_exit = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Ending the workers is what a signal asks for: another one does not interrupt it.
        with held_back(signal.SIGINT, signal.SIGTERM):
            if kind is None:
                self._close()
            else:
                self._close_at_once()
            self._at_exit.close()

    def _close(self) -> None:
        if self._client is not None:
            # The scheduler may have gone, and the client not have noticed all of it.
            with suppress(TimeoutError, OSError, RuntimeError):
                self._client.close(timeout=2)
        if self._cluster is not None:
            self._cluster.close()

    def _close_at_once(self) -> None:
        """Kill the local workers; asked to close, busy ones would finish their tasks first.

        Dask waits for those that are starting, so they are killed while it closes the cluster.
        """
        for nanny in self._cluster.workers.values() if self._cluster is not None else ():
            nanny.close_gracefully()  # it starts no other worker instead
        closing = threading.Thread(target=self._close)
        closing.start()
        while closing.is_alive():
            if self._cluster is not None:
                for worker in set(multiprocessing.active_children()) - self._others:
                    worker.kill()
            closing.join(_KILL_AGAIN_S)

    def map(
        self, label: str, function: Callable[..., T], items: Sequence[Any], *common: Any
    ) -> list[T]:
        """Return ``function(item, *common)`` for every item, in the order of the items.

        The first error of a task is raised here and cancels the rest.
        """
        return list(self.imap(label, function, items, *common))

    def imap(
        self,
        label: str,
        function: Callable[..., T],
        items: Sequence[Any],
        *common: Any,
        light: bool = False,
        sizes: Sequence[int] | None = None,
        unit: str = "",
        finished: int = 0,
    ) -> Iterator[T]:
        """Do as ``map``, one result after the other, while later ones are being made.

        Parameters
        ----------
        label : str
            Name of the tasks, for progress and the dashboard.
        function : callable
            Called as ``function(item, *common)``.
        items : sequence of Any
            One task each.
        common : Any
            Further arguments, the same for every task.
        light : bool
            The function uses no OpenMP, no GPU and no threads. Local workers are then
            forks of this process, which start in a hundredth of a second; a Dask worker
            takes two.
        sizes : sequence of int or None
            How many units each item has, for progress; one by default.
        unit : str
            What progress counts, such as ``people``.
        finished : int
            Units that need not be done again; progress counts them.
        """
        sizes = [1] * len(items) if sizes is None else sizes
        done, total = finished, finished + sum(sizes)
        if items:
            self.progress(label, done, total, unit)
        if self.scheduler is None and (self.workers == 1 or len(items) < 2):
            results: Iterator[T] = (function(item, *common) for item in items)
        elif self.scheduler is None and light and _CAN_FORK:
            results = self._on_forks(function, items, common)
        else:
            results = self._on_cluster(label, function, items, common)
        for size, result in zip(sizes, results, strict=True):
            done += size
            self.progress(label, done, total, unit)
            yield result

    def on_workers(self, function: Callable[[], T]) -> list[T]:
        """Return what a function returns in each worker of the cluster."""
        return list(self._connect().run(function).values())

    def _on_forks(
        self, function: Callable[..., T], items: Sequence[Any], common: Sequence[Any]
    ) -> Iterator[T]:
        yield function(items[0], *common)  # loads here, once, what the forks would each load
        done, lost = 1, 0
        while done < len(items):
            try:
                for result in self._on_pool(function, items[done:], common):
                    done, lost = done + 1, 0
                    yield result
            except BrokenProcessPool as error:
                lost += 1
                if lost > _LOST_WORKERS:
                    raise PosebankError(
                        "a worker process ended again and again: out of memory, or killed"
                    ) from error

    def _on_pool(
        self, function: Callable[..., T], items: Sequence[Any], common: Sequence[Any]
    ) -> Iterator[T]:
        context = multiprocessing.get_context("fork")
        workers = min(self.workers, len(items))
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(
            workers, context, initializer=start_fork, initargs=(os.getpid(),)
        )
        try:
            waiting: deque[PoolFuture[T]] = deque(pool.submit(function, i, *common) for i in items)
            while waiting:
                yield waiting.popleft().result()
        except (KeyboardInterrupt, GeneratorExit):  # nobody waits for what is still running
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _connect(self) -> Client:
        if self._client is not None:
            return self._client
        _silence_dask()
        client = self._connected() if self.scheduler else self._with_local_workers()
        if find_spec("bokeh") and "dashboard" in client.scheduler_info()["services"]:
            self.notify(f"dashboard: {client.dashboard_link}")
        return client

    def _connected(self) -> Client:
        # Imported here, because it takes longer than many a stage that runs in this process.
        from distributed import Client  # noqa: PLC0415

        try:
            self._client = client = Client(self.scheduler, timeout=self.connect_timeout)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"--scheduler {self.scheduler}: no Dask scheduler answers there: {error}"
            ) from error
        self._wait_for_workers(client, 1)
        return client

    def _with_local_workers(self) -> Client:
        """Start a scheduler in this process, then the workers, which can be interrupted."""
        import dask  # noqa: PLC0415
        from distributed import Client, LocalCluster  # noqa: PLC0415
        from distributed.system import MEMORY_LIMIT  # noqa: PLC0415

        # Not Dask's own variables: its MALLOC_TRIM_THRESHOLD_ makes every array cost page faults.
        variables = threads_of_workers(self.workers)
        self._others = set(multiprocessing.active_children())
        with environment_of_children(variables):
            with held_back(signal.SIGINT):
                chosen: dict[str, Any] = {_VARIABLES: variables, **_WATCH_LESS}
                if sys.platform.startswith("linux"):
                    start_fork_server(variables)
                    # Dask sets the variables in this process each time that a worker starts.
                    chosen |= {_METHOD: "forkserver", _VARIABLES: {}}
                self._at_exit.enter_context(dask.config.set(chosen))
                self._cluster = LocalCluster(
                    n_workers=0,
                    threads_per_worker=1,
                    memory_limit=MEMORY_LIMIT // self.workers,
                    dashboard_address=":0",  # any free port: several runs may share a machine
                    silence_logs=logging.CRITICAL,
                )
                self._client = client = Client(self._cluster)
            self._cluster.scale(self.workers)
            self._wait_for_workers(client, self.workers)
        return client

    def _wait_for_workers(self, client: Client, count: int) -> None:
        if self.scheduler and not client.scheduler_info()["workers"]:
            self.notify(
                f"waiting up to {self.worker_timeout_s:.0f} s for a worker of {self.scheduler} "
                f"(dask worker {self.scheduler})"
            )
        try:
            client.wait_for_workers(count, timeout=self.worker_timeout_s)
        except TimeoutError as error:
            raise self._no_worker() from error

    def _on_cluster(
        self, label: str, function: Callable[..., T], items: Sequence[Any], common: Sequence[Any]
    ) -> Iterator[T]:
        from distributed.client import FutureCancelledError, FuturesCancelledError  # noqa: PLC0415
        from distributed.comm.core import CommClosedError  # noqa: PLC0415

        client = self._connect()
        # The dashboard shows the part of a key before its first number: the label.
        name = f"{label.replace(' ', '_').replace('-', '_')}-{uuid.uuid4().hex[:12]}1"
        futures: deque[Future[T]] = deque()
        try:
            futures += client.map(
                lambda item: function(item, *common),
                items,
                key=[f"{name}-{number:05d}" for number in range(len(items))],
                pure=False,
                retries=0,
            )
            for item in items:
                yield self._result(client, futures[0], function, item, common)
                futures.popleft()  # lets the worker forget the result
        except (CommClosedError, FutureCancelledError, FuturesCancelledError) as error:
            raise self._no_scheduler() from error  # nobody else cancels a future
        finally:
            if client.status == "running":
                with suppress(CommClosedError):
                    client.cancel(list(futures))

    def _result(
        self,
        client: Client,
        future: Future[T],
        function: Callable[..., T],
        item: Any,
        common: Sequence[Any],
    ) -> T:
        """Wait for a task; hand it out again where its worker was lost too often."""
        from distributed import KilledWorker, wait  # noqa: PLC0415

        for attempt in range(_LOST_WORKERS):
            while not future.done():
                try:
                    wait([future], timeout=_POLL_S)
                except TimeoutError:
                    self._check_cluster(client)
            self._check_status(client)
            try:
                result: T = future.result()
                return result
            except KilledWorker as error:
                if attempt == _LOST_WORKERS - 1:
                    raise PosebankError(
                        f"the workers of one task ended again and again (out of memory, or "
                        f"killed): {error.task}; {_RESUME}"
                    ) from error
                future = client.submit(function, item, *common, pure=False)
        raise AssertionError("unreachable")

    def _check_cluster(self, client: Client) -> None:
        """Raise if the scheduler has gone, or has been without a worker for too long."""
        self._check_status(client)
        if self.scheduler is None:
            return  # the nannies of the local workers start them again
        try:
            alone = not client.scheduler_info()["workers"]
        except OSError as error:
            raise self._no_scheduler() from error
        now = time.monotonic()
        if not alone:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since, self._told_alone = now, False
        elif not self._told_alone:  # not at once: a client that loses the scheduler sees this first
            self._told_alone = True
            self.notify(f"{self.scheduler} has lost its last worker; waiting for another")
        elif now - self._alone_since > self.worker_timeout_s:
            raise self._no_worker()

    def _check_status(self, client: Client) -> None:
        if client.status != "running":
            raise self._no_scheduler()

    def _no_scheduler(self) -> PosebankError:
        where = self.scheduler or "on this machine"
        return PosebankError(f"the Dask scheduler {where} has gone; {_RESUME}")

    def _no_worker(self) -> PosebankError:
        if self.scheduler is None:
            return PosebankError(
                f"--workers {self.workers}: not all started within {self.worker_timeout_s:.0f} s; "
                f"{_RESUME}"
            )
        return PosebankError(
            f"--scheduler {self.scheduler}: no worker for {self.worker_timeout_s:.0f} s; start one "
            f"(dask worker {self.scheduler}); {_RESUME}"
        )
