"""K-means over all points, from coarse to fine.

Lloyd's iterations from a random start spend most of their time far from the solution. Here they
run to the end on a small sample first, from several starts; the best solution is carried to a
larger sample and then to all points, where few iterations are left to do. Every point takes part
in the last stage. Sums are added up in a fixed order, in float64, so the result for a seed does
not depend on the number of threads.

The iterations are over-relaxed: a center moves past the mean of its points, by ``_STEP`` times the
way to it. With its points fixed, a step of s times the way lowers the inertia by s (2 - s) of what
the mean would, so it never rises for s < 2, and the slow drift of the last iterations is faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.anchors.blocks import in_blocks

_SAMPLES_PER_CENTER = (256, 2048)
_MAX_ITERATIONS = 300
_STEP = 1.65  # of 1, 1.5, 1.65 and 1.8 the fastest to a given inertia on a million poses


@dataclass(frozen=True)
class Mirror:
    """An exchange of coordinates with signs, ``points[:, order] * sign``, its own inverse."""

    order: NDArray[np.intp]
    sign: NDArray[np.float64]

    def __call__(self, points: NDArray[Any]) -> NDArray[Any]:
        """The mirror images of points (..., d)."""
        result: NDArray[Any] = points[..., self.order] * self.sign.astype(points.dtype)
        return result


@dataclass(frozen=True)
class Clusters:
    """Centers (k, d) float64, the center of each point (n,) int32, and the points per center.

    inertia : sum of squared distances to the centers.
    iterations : with all points.
    """

    centers: NDArray[np.float64]
    labels: NDArray[np.int32]
    count: NDArray[np.int64]
    inertia: float
    iterations: int


class TooFewPointsError(ValueError):
    """There are fewer distinct points than centers."""


def kmeans(
    points: NDArray[np.float32],
    k: int,
    *,
    restarts: int = 4,
    seed: int = 0,
    tolerance: float = 1e-5,
    mirror: Mirror | None = None,
) -> Clusters:
    """Cluster points (n, d) around ``k`` centers.

    Parameters
    ----------
    points : array
        Finite; of moderate size (metres), as distances are compared in float32.
    k : int
        Number of centers.
    restarts : int
        Starts on the first sample, by k-means++ (Arthur & Vassilvitskii 2007).
    seed : int
        Seed of the samples and the starts.
    tolerance : float
        Stop when an iteration lowers the inertia by less than this part of it.
    mirror : Mirror or None
        Make a set of centers that is its own mirror image: ``k // 2`` pairs, rows 0 and 1,
        2 and 3 and so on, and for odd ``k`` a last center that is its own mirror image.

    Raises
    ------
    TooFewPointsError
        If there are fewer than ``k`` distinct points (with ``mirror``: than ``k // 2``).

    Examples
    --------
    >>> points = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> sorted(kmeans(points, 2).centers.ravel().round(2).tolist())
    [0.05, 5.05]
    """
    points = np.ascontiguousarray(points, np.float32)
    rng = np.random.default_rng(seed)
    n = len(points)
    order = rng.permutation(n)[: _SAMPLES_PER_CENTER[-1] * k].copy()

    def sample(size: int) -> NDArray[np.float32]:
        return points if size == n else points[order[:size]]

    # The whole set follows the samples that are smaller than it.
    first, *more = [s * k for s in _SAMPLES_PER_CENTER if s * k < n] + [n]
    coarse = sample(first)
    starts = [_start(coarse, points, k, rng, mirror) for _ in range(restarts)]
    found = [lloyd(coarse, start, tolerance, mirror) for start in starts]
    best = min(found, key=lambda clusters: clusters.inertia)
    for size in more:
        best = lloyd(sample(size), best.centers, tolerance, mirror)
    return best


def _start(
    sample: NDArray[np.float32],
    points: NDArray[np.float32],
    k: int,
    rng: np.random.Generator,
    mirror: Mirror | None,
) -> NDArray[np.float64]:
    """Centers from the sample, or from all points where the sample has too few distinct ones."""
    try:
        return _plus_plus(sample, k, rng, mirror)
    except TooFewPointsError:
        return _plus_plus(points, k, rng, mirror)


def _plus_plus(
    points: NDArray[np.float32], k: int, rng: np.random.Generator, mirror: Mirror | None
) -> NDArray[np.float64]:
    """k-means++: each center is a point drawn with probability by its squared distance.

    Of several draws the one that lowers the inertia most is taken. With ``mirror``, a center
    brings its mirror image along.
    """
    n_draws = 2 + int(np.log(k))
    nearest = np.full(len(points), np.inf, np.float32)
    centers: list[NDArray[np.float32]] = []
    n_drawn = k if mirror is None else (k + 1) // 2
    for number in range(n_drawn):
        if number == 0:
            draws = rng.integers(len(points), size=1)
        else:
            weight = np.cumsum(nearest, dtype=np.float64)
            if not weight[-1] > 0:
                raise TooFewPointsError(
                    f"expected at least {n_drawn} distinct points, found {number}"
                )
            draws = np.searchsorted(weight, rng.random(n_draws) * weight[-1], side="right")
            draws = np.minimum(draws, len(points) - 1)
        candidates = points[draws][:, None]
        if mirror is not None:
            candidates = np.concatenate([candidates, mirror(candidates)], axis=1)
        if mirror is not None and number == k // 2:  # the odd one is its own mirror image
            candidates = candidates.mean(axis=1, keepdims=True)
        after = [np.minimum(nearest, _squared_distance(points, c)) for c in candidates]
        best = int(np.argmin([a.sum(dtype=np.float64) for a in after]))
        nearest = after[best]
        centers += list(candidates[best])
    return np.array(centers, np.float64)


def _squared_distance(
    points: NDArray[np.float32], centers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Squared distance of points (n, d) to the nearest of centers (m, d)."""
    found = np.empty(len(points), np.float32)
    in_blocks(lambda s: _nearest_of_few(points[s], centers, found[s]), len(points))
    return found


def lloyd(
    points: NDArray[np.float32],
    centers: NDArray[np.float64],
    tolerance: float,
    mirror: Mirror | None = None,
) -> Clusters:
    """Improve centers (k, d) by Lloyd's iterations until one gains less than ``tolerance``.

    Points whose nearest center cannot have changed are skipped (Hamerly 2010): each carries an
    upper bound of the distance to its own center and a lower bound of that to any other. A center
    that loses all its points moves to the point that is farthest from its own center.
    """
    n, k = len(points), len(centers)
    state = _State(
        labels=np.full(n, -1, np.int32),
        upper=np.full(n, np.inf, np.float32),
        lower=np.zeros(n, np.float32),
    )
    sums, count = np.zeros(centers.shape), np.zeros(k, np.int64)
    drift = np.zeros(k)
    iteration = 0
    while iteration < _MAX_ITERATIONS:
        iteration += 1
        added, joined = _reassign(points, centers, drift, state)
        sums, count = sums + added, count + joined
        means, held = _means(points, centers, sums, count, state, mirror)
        way = means - centers
        # Moving a center to the mean of its points lowers their inertia by this much.
        gain = float((count * (way**2).sum(axis=1)).sum())
        if gain <= tolerance * float((state.upper.astype(np.float64) ** 2).sum()):
            centers = means
            break
        way[held > 0] *= _STEP
        drift = np.sqrt((way**2).sum(axis=1))
        centers = centers + way
    labels, count, inertia = _assign(points, centers)
    return Clusters(centers, labels, count, inertia, iteration)


@dataclass(frozen=True)
class _State:
    """What Lloyd's iterations remember of each point, (n,) each; changed in place."""

    labels: NDArray[np.int32]
    upper: NDArray[np.float32]
    lower: NDArray[np.float32]


def _means(
    points: NDArray[np.float32],
    centers: NDArray[np.float64],
    sums: NDArray[np.float64],
    count: NDArray[np.int64],
    state: _State,
    mirror: Mirror | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The means of the clusters; an empty one gets the point farthest from its own center.

    Returns
    -------
    (means, held) : (k, d), and of how many points each is the mean (k,).
    """
    twin = np.arange(len(centers))
    if mirror is not None:
        # The mean over a cluster and the mirror image of its twin.
        twin = twins(len(centers))
        sums, count = sums + mirror(sums[twin]), count + count[twin]
    means = sums / np.maximum(count, 1)[:, None]
    empty = np.flatnonzero((count == 0) & (twin >= np.arange(len(centers))))
    if len(empty):
        distance = np.sqrt(((points - centers[state.labels]) ** 2).sum(axis=1))
        farthest = np.argsort(-distance, kind="stable")[: len(empty)]
        for center, point in zip(empty, points[farthest].astype(np.float64), strict=True):
            if mirror is None:
                means[center] = point
            elif twin[center] == center:
                means[center] = (point + mirror(point)) / 2
            else:
                means[center], means[twin[center]] = point, mirror(point)
    return means, count


def twins(k: int) -> NDArray[np.intp]:
    """Return the row of each center's mirror image: 0 and 1, 2 and 3, ...; an odd last its own."""
    row = np.arange(k)
    result: NDArray[np.intp] = np.minimum(row ^ 1, k - 1)
    return result


def _by_axis(
    centers: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centers (d, k), so that the kernels' inner loops run over centers, and |c|^2 / 2 (k,)."""
    by_axis = np.ascontiguousarray(centers.T, np.float32)
    return by_axis, (0.5 * (by_axis.astype(np.float64) ** 2).sum(axis=0)).astype(np.float32)


def _reassign(
    points: NDArray[np.float32],
    centers: NDArray[np.float64],
    drift: NDArray[np.float64],
    state: _State,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Update labels and bounds after the centers moved by ``drift``.

    Returns
    -------
    (added, joined) : what to add to the clusters' sums (k, d) and counts (k,).
    """
    by_axis, half_square = _by_axis(centers)
    half_gap = _half_distance_to_others(centers).astype(np.float32)
    own_drift = drift.astype(np.float32)
    others_drift = _greatest_other(own_drift)

    def block(s: slice) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        added, joined = np.zeros(centers.shape), np.zeros(len(centers), np.int64)
        _reassign_block(
            points[s],
            by_axis,
            half_square,
            half_gap,
            own_drift,
            others_drift,
            state.labels[s],
            state.upper[s],
            state.lower[s],
            added,
            joined,
        )
        return added, joined

    done = in_blocks(block, len(points))
    return np.sum([d[0] for d in done], axis=0), np.sum([d[1] for d in done], axis=0)


def _half_distance_to_others(centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the distance of each center to the nearest other; a point closer than this stays."""
    if len(centers) == 1:
        return np.array([np.inf])
    square = ((centers[:, None] - centers[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(square, np.inf)
    result: NDArray[np.float64] = 0.5 * np.sqrt(square.min(axis=1))
    return result


def _greatest_other(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each value the greatest of the others."""
    if len(values) == 1:
        return np.zeros_like(values)
    order = np.argsort(values)
    greatest = np.full_like(values, values[order[-1]])
    greatest[order[-1]] = values[order[-2]]
    return greatest


def _assign(
    points: NDArray[np.float32], centers: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], float]:
    """Nearest center of each point, points per center, and the inertia."""
    by_axis, half_square = _by_axis(centers)
    labels = np.empty(len(points), np.int32)
    done = in_blocks(
        lambda s: _assign_block(points[s], by_axis, half_square, labels[s]), len(points)
    )
    return labels, np.bincount(labels, minlength=len(centers)), float(sum(done))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _scores(
    point: NDArray[np.float32],
    by_axis: NDArray[np.float32],
    half_square: NDArray[np.float32],
    score: NDArray[np.float32],
) -> None:
    """|c|^2 / 2 - x.c of one point and every center: smallest for the nearest."""
    d, k = by_axis.shape
    for c in range(k):
        score[c] = half_square[c]
    for j in range(0, d, 3):  # one joint at a time: fewer passes over the scores
        x, y, z = point[j], point[j + 1], point[j + 2]
        for c in range(k):
            score[c] -= x * by_axis[j, c] + y * by_axis[j + 1, c] + z * by_axis[j + 2, c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _square_to(point: NDArray[np.float32], by_axis: NDArray[np.float32], c: int) -> float:
    square = 0.0
    for a in range(len(point)):
        difference = np.float64(point[a] - by_axis[a, c])
        square += difference * difference
    return square


@njit(cache=True, nogil=True, error_model="numpy")
def _assign_block(
    points: NDArray[np.float32],
    by_axis: NDArray[np.float32],
    half_square: NDArray[np.float32],
    labels: NDArray[np.int32],
) -> float:
    score = np.empty(by_axis.shape[1], np.float32)
    inertia = 0.0
    for i in range(len(points)):
        _scores(points[i], by_axis, half_square, score)
        best = int(np.argmin(score))
        labels[i] = best
        inertia += _square_to(points[i], by_axis, best)
    return inertia


@njit(cache=True, nogil=True, error_model="numpy")
def _reassign_block(
    points: NDArray[np.float32],
    by_axis: NDArray[np.float32],
    half_square: NDArray[np.float32],
    half_gap: NDArray[np.float32],
    own_drift: NDArray[np.float32],
    others_drift: NDArray[np.float32],
    labels: NDArray[np.int32],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    added: NDArray[np.float64],
    joined: NDArray[np.int64],
) -> None:
    d, k = by_axis.shape
    score = np.empty(k, np.float32)
    for i in range(len(points)):
        old = labels[i]
        if old >= 0:
            upper[i] += own_drift[old]
            lower[i] -= others_drift[old]
            bound = max(half_gap[old], lower[i])
            if upper[i] <= bound:
                continue
            upper[i] = np.sqrt(_square_to(points[i], by_axis, old))
            if upper[i] <= bound:
                continue
        _scores(points[i], by_axis, half_square, score)
        best, second = 0, np.float32(np.inf)
        for c in range(1, k):
            if score[c] < score[best]:
                second = score[best]
                best = c
            elif score[c] < second:
                second = score[c]
        size = np.float32(0)
        for a in range(d):
            size += points[i, a] * points[i, a]
        upper[i] = np.sqrt(_square_to(points[i], by_axis, best))
        lower[i] = np.sqrt(max(size + 2 * second, np.float32(0)))
        if best == old:
            continue
        labels[i] = best
        joined[best] += 1
        for a in range(d):
            added[best, a] += points[i, a]
        if old >= 0:
            joined[old] -= 1
            for a in range(d):
                added[old, a] -= points[i, a]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _nearest_of_few(
    points: NDArray[np.float32], centers: NDArray[np.float32], found: NDArray[np.float32]
) -> None:
    n, d = points.shape
    for i in range(n):
        least = np.float32(np.inf)
        for c in range(len(centers)):
            square = np.float32(0)
            for a in range(d):
                difference = points[i, a] - centers[c, a]
                square += difference * difference
            least = min(least, square)
        found[i] = least
