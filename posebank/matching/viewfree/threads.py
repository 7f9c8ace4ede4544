"""Threads for the compiled loops, which release the interpreter's lock.

Numba's own ``prange`` would compile the whole search three times more.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from posebank.threads import n_threads


def on_threads(call: Callable[[int], None], n: int) -> None:
    """Call ``call(i)`` for i = 0 to n - 1, on the threads of this process."""
    threads = min(n_threads(), n)
    if threads <= 1:
        for i in range(n):
            call(i)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(call, i) for i in range(n)]:
            done.result()
