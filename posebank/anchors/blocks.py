"""Work on consecutive blocks of rows in threads, with results that do not depend on how many."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from posebank.threads import n_threads

T = TypeVar("T")

_BLOCK = 1 << 14


def in_blocks(work: Callable[[slice], T], n: int, block: int = _BLOCK) -> list[T]:
    """Return the results of ``work`` on consecutive slices of ``n`` rows, in their order.

    ``work`` should leave Python's lock (numpy and ``nogil`` kernels do). The slices do not depend
    on the number of threads, so neither does a sum over the results in order.
    """
    slices = [slice(start, min(start + block, n)) for start in range(0, n, block)]
    threads = min(len(slices), n_threads())
    if threads < 2:
        return [work(s) for s in slices]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, slices))
