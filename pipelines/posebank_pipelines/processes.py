"""Worker processes that end with their parent, and signals that end a command in order."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from types import FrameType
from typing import NoReturn

from posebank.threads import n_threads

PARENT = "POSEBANK_PARENT"
"""Environment variable with the process id of the fork server's parent."""

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent: int) -> None:
    """Make this process end when its parent does, even if that is killed (Linux only).

    Parameters
    ----------
    parent : int
        Process id of the parent. If that has ended before, this process ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def start_fork(parent: int) -> None:
    """Prepare a forked worker: it ends with its parent, and leaves Ctrl-C to it."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def start_fork_server(environment: Mapping[str, str]) -> None:
    """Start multiprocessing's fork server such that it and its children end with this process.

    A spawned worker could set that up only after its imports, which take seconds; a child of the
    fork server does it in its first instructions (``fork_server.py``).

    Parameters
    ----------
    environment : mapping
        Variables that the server and its children have besides those of this process.
    """
    forkserver.set_forkserver_preload(["posebank_pipelines.fork_server", "distributed"])
    with environment_of_children({**environment, PARENT: str(os.getpid())}):
        forkserver.ensure_running()


@contextmanager
def environment_of_children(environment: Mapping[str, str]) -> Iterator[None]:
    """Give the processes that are started in the body these variables; restore them after it."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def threads_of_workers(workers: int) -> dict[str, str]:
    """Return variables that share the threads of this process among worker processes.

    Every worker would otherwise start as many threads as this process may use.
    """
    share = str(max(1, n_threads() // workers))
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), share)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def end_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: workers are ended, finished work is kept."""
    if threading.current_thread() is threading.main_thread():  # only this one may set handlers
        signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def held_back(*signals: signal.Signals) -> Iterator[None]:
    """Let signals wait, and keep them from the processes that are started meanwhile.

    Every worker would print a traceback of its own after Ctrl-C; this process ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # when multiprocessing starts it, it lets interrupts in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
