"""Bootstrap confidence intervals over images.

People in one image (and joints of one person) are not independent, so images are drawn, with
replacement, and everything in an image comes along (the cluster bootstrap); of Human3.6M, whole
clips, because the frames of a clip are no more independent. Every metric here is a function of
sums over images, so a replicate is a weighted sum, not a second evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
_UNKNOWN: Interval = (float("nan"), float("nan"))
_BLOCK = 64  # replicates at once


def _draws(n: int, replicates: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """How often each of n images is drawn in each replicate, in blocks (n_replicates, n)."""
    for start in range(0, replicates, _BLOCK):
        rows = min(_BLOCK, replicates - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n)
        yield counts.reshape(rows, n).astype(np.float64)


def _quantiles(values: NDArray[np.float64], confidence: float) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        return _UNKNOWN
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return (float(low), float(high))


def ratio_intervals(
    part: NDArray[np.number],
    whole: NDArray[np.number],
    *,
    replicates: int,
    confidence: float,
    rng: np.random.Generator,
) -> list[Interval]:
    """Return the percentile interval of sum(part) / sum(whole), column by column.

    Parameters
    ----------
    part, whole : array (n_images, n_ratios)
        Numerator and denominator of each ratio in each image; all ratios use the same draws.
    replicates : int
        Number of bootstrap replicates.
    confidence : float
        Coverage of the intervals, such as 0.95.
    rng : Generator
        Source of the draws.

    Returns
    -------
    An interval for each ratio; NaN where fewer than two images count, and with no replicate.
    """
    n, n_ratios = part.shape
    if n == 0 or replicates == 0:
        return [_UNKNOWN] * n_ratios
    sums = np.concatenate([part, whole], axis=1, dtype=np.float64)
    totals = np.concatenate([weight @ sums for weight in _draws(n, replicates, rng)])
    above, below = totals[:, :n_ratios], totals[:, n_ratios:]
    ratios = np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
    enough = (whole > 0).sum(axis=0) > 1
    return [
        _quantiles(column, confidence) if several else _UNKNOWN
        for column, several in zip(ratios.T, enough, strict=True)
    ]


def interval(
    statistic: Callable[[NDArray[np.float64]], float],
    n_images: int,
    *,
    replicates: int,
    confidence: float,
    rng: np.random.Generator,
) -> Interval:
    """Return the percentile interval of a statistic of image weights (n_images,), unbiased.

    The mean of the replicates is moved onto the statistic itself: precision's envelope, for one,
    rises with every image that is not drawn.

    Returns
    -------
    Lower and upper bound; NaN with fewer than two images or no replicate.
    """
    if n_images < 2 or replicates == 0:
        return _UNKNOWN
    values = [statistic(weight) for draws in _draws(n_images, replicates, rng) for weight in draws]
    low, high = _quantiles(np.array(values), confidence)
    bias = float(np.nanmean(values)) - statistic(np.ones(n_images)) if not np.isnan(low) else 0.0
    return (low - bias, high - bias)


class MeanIntervals:
    """Intervals of means over people, who are drawn by the image (or the clip) they are in.

    Parameters
    ----------
    cluster : (n_people,) name of what is drawn.
    """

    def __init__(
        self, cluster: NDArray[np.object_], *, replicates: int, confidence: float, seed: int
    ) -> None:
        names, self._cluster = np.unique(cluster.astype(str), return_inverse=True)
        self._n = len(names)
        self._replicates, self._confidence, self._seed = replicates, confidence, seed

    def of(self, values: Sequence[NDArray[np.floating]]) -> list[Interval]:
        """Return the interval of the mean of each array (n_people, n_joints); NaN is left out."""
        one_group = np.zeros(len(self._cluster), np.int64)
        sums = [self._sums(array, one_group, 1) for array in values]
        parts, wholes = ([s[i] for s in sums] for i in (0, 1))
        return self._intervals(parts, wholes)

    def of_groups(
        self, values: NDArray[np.floating], group: NDArray[np.int64], n_groups: int
    ) -> list[Interval]:
        """Return the interval of each group's mean; ``group`` (n_people,), -1 for no group."""
        part, whole = self._sums(values, group, n_groups)
        return self._intervals([part], [whole])

    def _sums(
        self, values: NDArray[np.floating], group: NDArray[np.int64], n_groups: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sum and count (n, n_groups) of what is drawn together and is of one group."""
        in_group = group >= 0
        counted = ~np.isnan(values[in_group])
        place = self._cluster[in_group] * n_groups + group[in_group]
        shape = (self._n, n_groups)

        def total(weights: NDArray[Any]) -> NDArray[np.float64]:
            sums = np.bincount(place, weights.sum(axis=1), minlength=self._n * n_groups)
            return np.asarray(sums, np.float64).reshape(shape)

        return total(np.where(counted, values[in_group], 0)), total(counted)

    def _intervals(
        self, parts: list[NDArray[np.float64]], wholes: list[NDArray[np.float64]]
    ) -> list[Interval]:
        return ratio_intervals(
            np.concatenate(parts, axis=1),
            np.concatenate(wholes, axis=1),
            replicates=self._replicates,
            confidence=self._confidence,
            rng=np.random.default_rng(self._seed),
        )
