"""Where tasks run: in this process, on local worker processes, or on a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import repeat
from multiprocessing import resource_tracker
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from posebank.errors import PosebankError, SettingsError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called as progress(label, done, total)."""


# On macOS the system's own libraries do not survive a fork.
_CAN_FORK = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"


def silent(label: str, done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait, and keep it for good from the processes that are started meanwhile.

    Half-started workers cannot be closed in order, and every worker would print a traceback of its
    own; this process closes them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # when multiprocessing starts it, it lets interrupts in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Runner:
    """Runs a function over partitions; the cluster starts with the first task that needs it.

    Parameters
    ----------
    workers : worker processes on this machine; 1 runs everything in this process.
    scheduler : address of a running Dask scheduler; it takes the place of local workers.
    progress : called after every finished task.
    connect_timeout : how long to wait for the scheduler's answer.
    """

    def __init__(
        self,
        workers: int = 1,
        scheduler: str | None = None,
        progress: Progress = silent,
        connect_timeout: str = "20s",
    ) -> None:
        if workers < 1:
            raise SettingsError(f"--workers: expected at least 1, got {workers}")
        self.workers = workers
        self.scheduler = scheduler
        self.progress = progress
        self.connect_timeout = connect_timeout
        self._client: Client | None = None
        self._cluster: LocalCluster | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _connect(self) -> Client:
        # Imported here, because it takes longer than many a stage that runs in this process.
        from distributed import Client, LocalCluster  # noqa: PLC0415

        if self._client is None:
            if self.scheduler:
                try:
                    self._client = Client(self.scheduler, timeout=self.connect_timeout)
                except (OSError, ValueError) as error:
                    raise SettingsError(
                        f"--scheduler {self.scheduler}: no Dask scheduler answers there: {error}"
                    ) from error
            else:
                # An error of a task is raised here; what else Dask would log is a worker that is
                # told to stop while it sends its heartbeat.
                logging.getLogger("distributed").setLevel(logging.CRITICAL)
                with _interrupts_held_back():
                    self._cluster = LocalCluster(
                        n_workers=self.workers,
                        threads_per_worker=1,
                        dashboard_address=":0",  # any free port: several runs may share a machine
                        silence_logs=logging.CRITICAL,
                    )
                self._client = Client(self._cluster)
        return self._client

    def map(
        self, label: str, function: Callable[..., T], items: Sequence[Any], *common: Any
    ) -> list[T]:
        """``function(item, *common)`` for every item; the results in the order of the items.

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
    ) -> Iterator[T]:
        """As ``map``, one result after the other, while later ones are being made.

        Parameters
        ----------
        light : the function uses no OpenMP, no GPU and no threads. Local workers are then forks
            of this process, which start in a hundredth of a second; a Dask worker takes two.
        """
        if self.scheduler is None and (self.workers == 1 or len(items) < 2):
            results: Iterator[T] = (function(item, *common) for item in items)
        elif self.scheduler is None and light and _CAN_FORK:
            results = self._on_forks(function, items, common)
        else:
            results = self._on_cluster(function, items, common)
        for done, result in enumerate(results, 1):
            self.progress(label, done, len(items))
            yield result

    def _on_forks(
        self, function: Callable[..., T], items: Sequence[Any], common: Sequence[Any]
    ) -> Iterator[T]:
        yield function(items[0], *common)  # loads here, once, what the forks would each load
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(min(self.workers, len(items)), context) as pool:
            try:
                yield from pool.map(function, items[1:], *map(repeat, common))
            except BrokenProcessPool as error:
                raise PosebankError("a worker process ended: out of memory, or killed") from error

    def _on_cluster(
        self, function: Callable[..., T], items: Sequence[Any], common: Sequence[Any]
    ) -> Iterator[T]:
        client = self._connect()
        futures = deque(client.map(lambda item: function(item, *common), items, pure=False))
        try:
            while futures:
                yield futures[0].result()
                futures.popleft()  # lets the worker forget the result
        finally:
            client.cancel(list(futures))
