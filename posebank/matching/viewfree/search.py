"""The view-free search, compiled: bounds of every pose, then the poses that could be the best.

Three bounds of a pose's cost, each dearer and tighter than the one before: the best affine camera
(``affine``, every pose), the Lagrangian dual (``dual``, poses that pass the first), and the best
camera itself, which is proved where the dual meets it, or by halving the cameras allowed until
every part of them is excluded (``decide``).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from posebank.matching.viewfree.affine import BLOCK, affine_bounds, whiten
from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.decide import (
    OUT,
    Query,
    Tools,
    prove_all,
    tools_for,
    try_poses,
    unproved,
    write_best,
)
from posebank.matching.viewfree.ranking import Solved, nothing_solved
from posebank.skeleton import N_JOINTS

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

_GROUP = 512  # blocks searched before the limits are made tighter
_FIRST_BLOCKS = 16


@njit(nogil=True)
def _hide(solved: Solved, start: int, bounds: Array32) -> None:
    """Take poses solved before out of the bounds of those from ``start`` on."""
    for i in range(solved.number[0]):
        at = solved.rows[i] - start
        if 0 <= at < bounds.shape[0]:
            bounds[at] = OUT


@njit(nogil=True)
def _first(bounds: Array32, lowest: Array32, n: int) -> Rows:
    """The best pose of each of the n best blocks."""
    some = np.argsort(lowest)[:n] * BLOCK
    for i in range(some.shape[0]):
        some[i] += np.argmin(bounds[some[i] : some[i] + BLOCK])
    return some


@njit(nogil=True)
def _below(bounds: Array32, lowest: Array32, squared: float) -> Rows:
    """All poses with a bound below ``squared``."""
    some, found = np.empty(bounds.shape[0], np.int64), 0
    for b in range(lowest.shape[0]):
        if lowest[b] < squared:
            for i in range(b * BLOCK, (b + 1) * BLOCK):
                some[found] = i
                found += bounds[i] < squared
    return some[:found]


@njit(nogil=True)
def _look(
    query: Query, start: int, bounds: Array32, lowest: Array32, solved: Solved, limit: float,
    floor: float, tools: Tools,
) -> tuple[Solved, float, float, int]:  # fmt: skip
    """Look at poses from ``start`` on: the best of the best blocks, for a limit, then all below.

    Returns as ``decide.try_poses``; ``floor`` is what it was before or lower.
    """
    total = 0
    for stage in range(2):
        if stage == 0 and limit < 1:
            continue
        _hide(solved, start, bounds)
        if stage == 0:
            some = _first(bounds, lowest, 2 * query.k + _FIRST_BLOCKS)
        else:
            floor = min(floor, limit)
            some = _below(bounds, lowest, limit * limit)
        solved, limit, excluded, asked = try_poses(
            query, some + start, bounds[some], solved, limit, tools
        )
        floor, total = min(floor, excluded), total + asked
    return solved, limit, floor, total


@njit(cache=True, nogil=True, parallel=True)
def search_viewfree(
    units: Array, masks: Flags, chunk_starts: Rows, bank: Array32, poses: Array32,
    cameras: Cameras, k: int, apart: float,
) -> tuple[Rows, Array, Array, Rows]:  # fmt: skip
    """The k best distinct poses of each person over every camera allowed.

    Parameters
    ----------
    units : (n_people, 13, 2); masks : (n_people, 13); people of one chunk share a mask.
    chunk_starts : (n_chunks + 1,) rows where chunks begin.
    bank : (13, 3, n_poses), for what is done to every pose; poses : (n_poses, 13, 3), the same, for
        single ones.
    k, apart : as ``decide.Query``.

    Returns
    -------
    rows (n_people, k), -1 where fewer; values (n_people, k, 5) as ``ranking.Solved``; floors
    (n_people,): no pose and camera costs less than this, within ``decide.TOLERANCE``; counts
    (n_people, 3): poses whose dual bound was asked for, poses solved, and those of them that may
    have a better camera than the best found.
    """
    n_people, n_poses = units.shape[0], bank.shape[2]
    n_blocks = (n_poses + BLOCK - 1) // BLOCK
    group = min(_GROUP, n_blocks)
    out_rows = np.full((n_people, k), -1, np.int64)
    out_values = np.full((n_people, k, 5), np.inf)
    floors = np.ones(n_people)
    counts = np.zeros((n_people, 3), np.int64)
    limited = cameras.max_roll < math.pi / 2 - 1e-9
    for chunk in prange(chunk_starts.shape[0] - 1):
        first, last = chunk_starts[chunk], chunk_starts[chunk + 1]
        size, mask = last - first, masks[first]
        units32 = units[first:last].astype(np.float32)
        w, slack = np.empty((N_JOINTS, 3, BLOCK), np.float32), np.empty(BLOCK, np.float32)
        products = np.empty((4, BLOCK), np.float32)
        bounds = np.empty((size, group * BLOCK), np.float32)
        lowest = np.empty((size, group), np.float32)
        tools = tools_for(cameras)
        solved = [nothing_solved(64 + 4 * min(k, n_poses), apart) for _ in range(size)]
        limit, floor = np.ones(size), np.full(size, np.inf)
        open_ = np.ones(size, np.bool_)
        while open_.any():
            floor[open_] = np.inf
            for start in range(0, n_blocks, group):
                blocks = min(group, n_blocks - start)
                for b in range(blocks):
                    at = (start + b) * BLOCK
                    whiten(mask, bank, at, min(at + BLOCK, n_poses), w, slack, products)
                    for p in range(size):
                        if open_[p]:
                            lowest[p, b] = affine_bounds(
                                units32[p], w, slack, cameras.cos_roll, cameras.sin_roll, limited,
                                products, bounds[p, b * BLOCK : (b + 1) * BLOCK],
                            )  # fmt: skip
                for p in range(size):
                    if not open_[p]:
                        continue
                    query = Query(units[first + p], mask, poses, cameras, k, apart)
                    solved[p], limit[p], floor[p], asked = _look(
                        query, start * BLOCK, bounds[p, : blocks * BLOCK], lowest[p, :blocks],
                        solved[p], limit[p], floor[p], tools,
                    )  # fmt: skip
                    counts[first + p, 0] += asked
            for p in range(size):
                if open_[p]:
                    query = Query(units[first + p], mask, poses, cameras, k, apart)
                    limit[p] = prove_all(query, solved[p], limit[p], tools)
                    # A pose near a better one gives way, so the limit can rise: search again.
                    open_[p] = limit[p] > floor[p] + 1e-9
        for p in range(size):
            lowest_bound, counts[first + p, 2] = unproved(solved[p], limit[p])
            floors[first + p] = min(floor[p], lowest_bound)
            counts[first + p, 1] = solved[p].number[0]
            write_best(solved[p], out_rows[first + p], out_values[first + p])
    return out_rows, out_values, floors, counts


@njit(cache=True, nogil=True, parallel=True)
def search_candidates(
    units: Array, masks: Flags, starts: Rows, rows: Rows, bounds: Array32, poses: Array32,
    cameras: Cameras, k: int, apart: float,
) -> tuple[Rows, Array, Array, Array]:  # fmt: skip
    """The k best distinct of the poses that each person is given.

    Parameters
    ----------
    starts : (n_people + 1,) where each person's rows (of the bank) and bounds (of the cost squared)
        begin. Else as ``search_viewfree``.

    Returns
    -------
    rows (n_people, k), values (n_people, k, 5) and floors (n_people,) as ``search_viewfree``, the
    floors of these poses alone, and limits (n_people,), the costs of the k-th distinct poses, 1
    where there are fewer.
    """
    n_people = units.shape[0]
    out_rows = np.full((n_people, k), -1, np.int64)
    out_values = np.full((n_people, k, 5), np.inf)
    floors, limits = np.ones(n_people), np.ones(n_people)
    for p in prange(n_people):
        tools = tools_for(cameras)
        query = Query(units[p], masks[p], poses, cameras, k, apart)
        solved = nothing_solved(64 + 4 * min(k, poses.shape[0]), apart)
        some, mine = rows[starts[p] : starts[p + 1]], bounds[starts[p] : starts[p + 1]].copy()
        limit, floor = 1.0, 0.0
        while limit > floor + 1e-9:  # see search_viewfree
            solved, limit, floor, _ = try_poses(query, some, mine, solved, limit, tools)
            limit = prove_all(query, solved, limit, tools)
        floors[p], limits[p] = min(floor, unproved(solved, limit)[0]), limit
        write_best(solved, out_rows[p], out_values[p])
    return out_rows, out_values, floors, limits
