"""Bootstrap confidence intervals over images.

People in one image (and joints of one person) are not independent, so images are drawn, with
replacement, and everything in an image comes along (the cluster bootstrap). Every metric here is a
function of per-image sums, so a replicate is a weighted sum, not a second evaluation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
_BLOCK = 64  # replicates at once


def _draws(n: int, replicates: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each of n images is drawn in each replicate, (replicates, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(np.float64)


def ratio_interval(
    part: NDArray[np.number],
    whole: NDArray[np.number],
    *,
    replicates: int,
    confidence: float,
    rng: np.random.Generator,
) -> Interval:
    """Percentile interval of sum(part) / sum(whole); both (n_images,). NaN if nothing counts."""

    def statistic(weight: NDArray[np.float64]) -> float:
        below = float(weight @ whole)
        return float(weight @ part) / below if below > 0 else float("nan")

    return interval(statistic, len(part), replicates=replicates, confidence=confidence, rng=rng)


def interval(
    statistic: Callable[[NDArray[np.float64]], float],
    n_images: int,
    *,
    replicates: int,
    confidence: float,
    rng: np.random.Generator,
) -> Interval:
    """Percentile interval of a statistic of image weights (n_images,).

    Returns
    -------
    Lower and upper bound; NaN with no image or no replicate.
    """
    if n_images == 0 or replicates == 0:
        return (float("nan"), float("nan"))
    values = []
    for start in range(0, replicates, _BLOCK):
        draws = _draws(n_images, min(_BLOCK, replicates - start), rng)
        values += [statistic(weight) for weight in draws]
    known = np.array([v for v in values if not np.isnan(v)])
    if not len(known):
        return (float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return (float(low), float(high))
