"""Threads for the compiled loops, which release the interpreter's lock.

Numba's own ``prange`` would compile the whole search three times more.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from numba import get_num_threads


def on_threads(call: Callable[[int], None], n: int) -> None:
    """Call ``call(i)`` for i = 0 to n - 1, on as many threads as numba would use."""
    n_threads = min(get_num_threads(), n)
    if n_threads <= 1:
        for i in range(n):
            call(i)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(call, i) for i in range(n)]:
            done.result()
