"""How many threads this process may use."""

from __future__ import annotations

import os


def n_threads() -> int:
    """Return the number of threads for work that keeps cores busy.

    It is that of the environment variable ``OMP_NUM_THREADS``, which torch, FAISS and NumPy follow
    too, and otherwise the number of cores that this process may use.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return n_cores()


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
