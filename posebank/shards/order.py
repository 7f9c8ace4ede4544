"""In which order images are read: shuffled, dealt out to ranks, resumable.

The order is a plain function of (seed, epoch), computed by every process for itself. Row groups
are put in random order; a window of consecutive ones is read together and the images in it are
shuffled. With a window as large as the data the shuffle is a uniform permutation; smaller windows
keep reading cheap, and their content is new in each epoch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.shards.read import ImageIndex


def epoch_order(
    places: ImageIndex, *, seed: int, epoch: int, window: int, shuffle: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every image's number once, in the order of one epoch.

    Parameters
    ----------
    places : ImageIndex
        Where the images are.
    seed : int
        Seed of the order.
    epoch : int
        Number of the epoch.
    window : int
        Images that are shuffled together, at least (whole row groups).
    shuffle : bool
        False keeps the order of the shards.

    Returns
    -------
    (order, ends) : the images' numbers (n,), and the positions where the windows end.
    """
    n = len(places)
    if not shuffle:
        return np.arange(n), np.append(np.arange(window, n, window), n)
    rng = np.random.default_rng([seed, epoch])
    new = (np.diff(places.part) != 0) | (np.diff(places.group) != 0)
    start = np.concatenate([[0], np.flatnonzero(new) + 1, [n]]) if n else np.zeros(1, np.int64)
    groups = rng.permutation(len(start) - 1)
    size = np.diff(start)[groups]
    order = np.concatenate(
        [np.zeros(0, np.int64), *(np.arange(start[g], start[g + 1]) for g in groups)]
    )
    # A window ends with the row group that fills it.
    ends = np.cumsum(size)
    first, window_ends = 0, []
    while first < n:
        after = int(ends[np.searchsorted(ends, min(first + window, n))])
        order[first:after] = rng.permutation(order[first:after])
        window_ends.append(after)
        first = after
    return order, np.array(window_ends, np.int64)


def of_rank(n: int, rank: int, world_size: int) -> tuple[int, int]:
    """Return the first position, and the one after the last, of one of ``world_size`` ranks.

    Consecutive pieces, so that a rank reads as few row groups as possible; they differ by at most
    one image in length.
    """
    return n * rank // world_size, n * (rank + 1) // world_size


def of_worker(first: int, after: int, worker: int, n_workers: int, batch: int) -> NDArray[np.int64]:
    """Return the positions in [first, after) that one of a loader's workers reads.

    Whole batches in turn, as a loader asks its workers: what comes out of the loader is the
    rank's sequence, whatever the number of workers.
    """
    positions = np.arange(first, after)
    result: NDArray[np.int64] = positions[(positions - first) // batch % n_workers == worker]
    return result
