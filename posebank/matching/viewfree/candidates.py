"""The candidates of a person: distinct poses in the order of their costs, without proofs; compiled.

Poses are looked at in the order of the affine bound, each with a few Newton steps from its best
affine camera, until the bound passes the cost of the k-th: what is left cannot be better.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.compiled import inner, outer
from posebank.matching.viewfree.decide import Query, Tools, approximate
from posebank.matching.viewfree.refine import affine_up, measure, moments
from posebank.skeleton import N_JOINTS

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]

SPARE = 64  # shortlisted beyond those looked at, as float32 bounds are rounded by the device
_PER_CANDIDATE, _LEAST = 4, 256
_PER_CANDIDATE_OF_FEW, _LEAST_OF_FEW = 64, 512
_FEW = 5  # joints whose affine bound says little or, for 4, nothing


class Shortlist(NamedTuple):
    """The poses of the bank with the lowest bounds.

    rows, bounds : (room,); number : (1,); threshold : (1,) bound above which poses are not taken.
    """

    rows: Rows
    bounds: Array32
    number: Rows
    threshold: Array32


@outer()
def most_poses(n_annotated: int, k: int) -> int:
    """Return how many poses are looked at, at most, for k candidates."""
    if n_annotated <= _FEW:
        return max(_PER_CANDIDATE_OF_FEW * k, _LEAST_OF_FEW)
    return max(_PER_CANDIDATE * k, _LEAST)


@outer()
def empty_shortlist(n_annotated: int, k: int, n_poses: int) -> Shortlist:
    """Return a shortlist for the poses looked at."""
    room = 2 * min(most_poses(n_annotated, k) + SPARE, n_poses)
    return Shortlist(
        np.zeros(room, np.int64),
        np.zeros(room, np.float32),
        np.zeros(1, np.int64),
        np.full(1, np.float32(8.0)),
    )


@outer()
def shortlist_block(short: Shortlist, start: int, bounds: Array32) -> None:
    """Add the poses of a block, from row ``start``, whose bounds are below the threshold."""
    rows, taken, number = short.rows, short.bounds, short.number
    n = number[0]
    for i in range(bounds.shape[0]):
        if bounds[i] < short.threshold[0]:
            rows[n], taken[n] = start + i, bounds[i]
            n += 1
            if n == rows.shape[0]:
                number[0] = n
                _halve(short)
                n = number[0]
    number[0] = n


@inner()
def _halve(short: Shortlist) -> None:
    """Keep the half with the lowest bounds."""
    keep = short.rows.shape[0] // 2
    n = short.number[0]
    if n <= keep:
        return
    highest = np.float32(np.partition(short.bounds[:n].astype(np.float64), keep - 1)[keep - 1])
    ties, kept = keep, 0
    for i in range(n):
        ties -= short.bounds[i] < highest
    for i in range(n):
        tie = short.bounds[i] == highest and ties > 0
        if tie or short.bounds[i] < highest:
            short.rows[kept], short.bounds[kept] = short.rows[i], short.bounds[i]
            kept += 1
            ties -= tie
    short.number[0], short.threshold[0] = kept, highest


@inner()
def _affine_bound(cameras: Cameras, tools: Tools) -> float:
    """The affine bound of the pair in ``tools`` in float64, as ``affine.affine_bounds``."""
    bound, p, q, form, _, _ = affine_up(tools.a, tools.g, 1e-12, tools.inverse)
    if bound > -1.0 and cameras.has_cones:
        length = math.sqrt(form)
        across, down = abs(p) / length, q / length
        least = cameras.cones[2, 2]
        for c in range(2):
            cos, sin = cameras.cones[c, 0], cameras.cones[c, 1]
            away, along = max(cos * across + sin * down, 0.0), min(sin * across - cos * down, 0.0)
            squared = away * away + (along * along if away > 0 else 0.0)
            least = min(least, squared + cameras.cones[c, 2])
        bound += least
    return bound


@inner()
def _best_first(query: Query, short: Shortlist, most: int, tools: Tools) -> tuple[Rows, Array]:
    """At most ``most`` rows of the shortlist, by their bounds, and these.

    Where there are more, float64 bounds decide about those near the last, so that the same poses
    are looked at on every device.
    """
    order = np.argsort(short.bounds[: short.number[0]].astype(np.float64))
    if order.shape[0] > most:
        first, order = order[: most - SPARE], order[: most + SPARE]
        last = order[most - SPARE :]
        exact = np.empty(last.shape[0])
        for i in range(last.shape[0]):
            row = short.rows[last[i]]
            moments(query.unit, query.mask, query.poses, row, tools.a, tools.g)
            exact[i] = _affine_bound(query.cameras, tools)
        order = np.concatenate((first, last[np.argsort(exact)[:SPARE]]))
    return short.rows[order], short.bounds[order].astype(np.float64)


@inner()
def _see(poses: Array32, row: int, r: Array, seen: Array) -> None:
    """Joints of a pose in the axes of a camera r (9,) into seen (39,)."""
    for j in range(N_JOINTS):
        x, y, z = poses[row, j, 0], poses[row, j, 1], poses[row, j, 2]
        for i in range(3):
            seen[3 * j + i] = r[3 * i] * x + r[3 * i + 1] * y + r[3 * i + 2] * z


@inner()
def _is_apart(seen: Array, kept: Array, n: int, apart: float) -> bool:
    """Whether seen (39,) is at a squared distance of ``apart`` from the first n of kept (k, 39)."""
    for i in range(n):
        total = 0.0
        for j in range(seen.shape[0]):
            d = seen[j] - kept[i, j]
            total += d * d
            if total >= apart:
                break
        if total < apart:
            return False
    return True


@inner()
def _insert(ranked: Array, order: Rows, rows: Rows, n: int, cost: float) -> None:
    """Insert cost number n into the sorted ranked[:n], its number into order; ties by row."""
    place = n
    while place > 0 and (
        ranked[place - 1] > cost or (ranked[place - 1] == cost and rows[order[place - 1]] > rows[n])
    ):
        ranked[place], order[place] = ranked[place - 1], order[place - 1]
        place -= 1
    ranked[place], order[place] = cost, n


@inner()
def _equal(some: Array, others: Array) -> bool:
    equal = True
    for i in range(some.shape[0]):
        equal = equal and some[i] == others[i]
    return equal


@inner()
def rank_candidates(
    query: Query, short: Shortlist, apart: float, tools: Tools, rows: Rows, rotations: Array
) -> None:
    """Fill the ranks after the first with distinct poses in the order of their costs.

    Parameters
    ----------
    query : Query
        The person and the poses of the bank.
    short : Shortlist
        The poses with the lowest bounds.
    apart : float
        Squared distance of two poses in camera axes, summed over the joints, below which
        the worse one is left out (0: none is).
    tools : Tools
        Working arrays.
    rows : array (k,)
        Rows of the bank: the first is given, the others are -1 and are filled in as far as there
        are poses.
    rotations : array (k, 9)
        Cameras of the rows; the first is given.
    """
    k = rows.shape[0]
    near, bounds = _best_first(query, short, most_poses(query.mask.sum(), k), tools)
    n = near.shape[0]
    cameras, ranked, order = np.empty((n, 9)), np.empty(n), np.empty(n, np.int64)
    kept, seen = np.empty((k + 1, 3 * N_JOINTS)), np.empty(3 * N_JOINTS)
    moments(query.unit, query.mask, query.poses, rows[0], tools.a, tools.g)
    # Another pose that is equal for this person has the best camera too.
    best_a, best_g = tools.a.copy(), tools.g.copy()
    tools.best.r[:] = rotations[0]
    least = measure(tools.a, tools.g, query.cameras, tools.best)
    # The best pose also as it would be seen as a candidate: a similar one has a similar camera.
    if approximate(query.cameras, tools, False) == np.inf:
        tools.best.r[:] = rotations[0]
    _see(query.poses, rows[0], rotations[0], kept[0])
    _see(query.poses, rows[0], tools.best.r, kept[1])
    tried, wanted, place, found = 0, k, 0, 1
    while True:
        while tried < n and (tried < wanted or bounds[tried] < ranked[wanted - 1]):
            row = near[tried]
            cost = np.inf
            if row != rows[0]:
                moments(query.unit, query.mask, query.poses, row, tools.a, tools.g)
                if _equal(tools.a, best_a) and _equal(tools.g, best_g):
                    cost = least
                    cameras[tried] = rotations[0]
                else:
                    cost = approximate(query.cameras, tools, False)
                    cameras[tried] = tools.best.r
            _insert(ranked, order, near, tried, cost)
            tried += 1
        # Ranks up to the wanted one are settled: no pose that was not tried comes before them.
        settled = n if tried == n else wanted
        while place < settled and found < k and ranked[place] < np.inf:
            i = order[place]
            place += 1
            _see(query.poses, near[i], cameras[i], seen)
            if apart > 0 and not _is_apart(seen, kept, found + 1, apart):
                continue
            kept[found + 1] = seen
            rows[found], rotations[found] = near[i], cameras[i]
            found += 1
        if found == k or tried == n:
            return
        wanted = min(wanted + wanted // 4 + 1, n)
