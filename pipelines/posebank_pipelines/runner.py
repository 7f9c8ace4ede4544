"""Where tasks run: in this process, on local worker processes, or on a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import dask
from distributed import Client, LocalCluster, as_completed

from posebank.errors import SettingsError

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called as progress(label, done, total)."""


def silent(label: str, done: int, total: int) -> None:
    """Report nothing."""


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
                multiprocessing.set_start_method("spawn", force=True)
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
        total = len(items)
        if self.scheduler is None and (self.workers == 1 or total < 2):
            results = []
            for done, item in enumerate(items, 1):
                task = dask.delayed(function, pure=False)(item, *common)
                results.append(task.compute(scheduler="synchronous"))
                self.progress(label, done, total)
            return results
        client = self._connect()
        futures = client.map(lambda item: function(item, *common), items, pure=False)
        try:
            for done, _ in enumerate(as_completed(futures, raise_errors=False), 1):
                self.progress(label, done, total)
            return client.gather(futures)
        finally:
            client.cancel(futures)
