"""Work done in threads before its results are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ahead(
    work: Callable[[S], T], items: Iterable[S], *, threads: int, most: int = 1
) -> Iterator[T]:
    """Yield the results of ``work`` on items in their order, up to ``most`` items ahead in threads.

    The items are made by the caller's thread, when there is room for them. With no thread this is
    ``map``.
    """
    if threads == 0:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
