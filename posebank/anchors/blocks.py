"""Work on consecutive blocks of rows in threads, with results that do not depend on how many."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_BLOCK = 1 << 14


def in_blocks(work: Callable[[slice], T], n: int, block: int = _BLOCK) -> list[T]:
    """Return the results of ``work`` on consecutive slices of ``n`` rows, in their order.

    ``work`` should leave Python's lock (numpy and ``nogil`` kernels do). The slices do not depend
    on the number of threads, so neither does a sum over the results in order.
    """
    slices = [slice(start, min(start + block, n)) for start in range(0, n, block)]
    n_threads = min(len(slices), _n_cores())
    if n_threads < 2:
        return [work(s) for s in slices]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(work, slices))


def _n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
