"""Poses of one person with their best cameras, ranked, near-duplicates left out; compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.skeleton import N_JOINTS

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

COST, AZIMUTH, ELEVATION, ROLL, BOUND = 0, 1, 2, 3, 4
"""Columns of ``Solved.values``; without a prior the cost is ``error_norm``."""


class Solved(NamedTuple):
    """Poses of a person with their best cameras, in the order of being solved.

    rows : (room,) of the bank; values : (room, 5); seen : (room, 39) joints in camera axes (room, 0
        where near-duplicates are kept).
    order : (room,) places in these by cost, then row; kept : (room,) by place in ``order``, whether
        it is as far as it must be from all better ones that are kept.
    number : (1,) how many there are.
    """

    rows: NDArray[np.int64]
    values: Array
    seen: Array
    order: NDArray[np.int64]
    kept: NDArray[np.bool_]
    number: NDArray[np.int64]


@njit(nogil=True)
def nothing_solved(room: int, apart: float) -> Solved:
    """No pose yet, and room for some."""
    return Solved(
        np.zeros(room, np.int64), np.zeros((room, 5)),
        np.zeros((room, 3 * N_JOINTS if apart > 0 else 0)),
        np.zeros(room, np.int64), np.zeros(room, np.bool_), np.zeros(1, np.int64),
    )  # fmt: skip


@njit(nogil=True)
def with_room(solved: Solved) -> Solved:
    """The same, with room for at least one more."""
    n = solved.number[0]
    if n < solved.rows.shape[0]:
        return solved
    larger = Solved(
        np.zeros(2 * n, np.int64), np.zeros((2 * n, 5)), np.zeros((2 * n, solved.seen.shape[1])),
        np.zeros(2 * n, np.int64), np.zeros(2 * n, np.bool_), np.zeros(1, np.int64),
    )  # fmt: skip
    larger.rows[:n], larger.values[:n], larger.seen[:n] = solved.rows, solved.values, solved.seen
    larger.order[:n], larger.kept[:n], larger.number[0] = solved.order, solved.kept, n
    return larger


@njit(nogil=True)
def see(poses: Array32, row: int, value: Array, seen: Array) -> None:
    """Joints of a pose in the axes of its camera into seen (39,); value : of ``Solved.values``."""
    az, el, roll = value[AZIMUTH], value[ELEVATION], value[ROLL]
    ca, sa, ce, se = math.cos(az), math.sin(az), math.cos(el), math.sin(el)
    cr, sr = math.cos(roll), math.sin(roll)
    for j in range(N_JOINTS):
        x, y, z = poses[row, j, 0], poses[row, j, 1], poses[row, j, 2]
        right, deep = ca * x + sa * z, sa * x - ca * z
        down = -ce * y - se * deep
        seen[3 * j] = cr * right - sr * down
        seen[3 * j + 1] = sr * right + cr * down
        seen[3 * j + 2] = ce * deep - se * y


@njit(nogil=True)
def _near(a: Array, b: Array, apart: float) -> bool:
    """Whether the squared distance of two poses (39,) is below ``apart``."""
    if apart <= 0:
        return False
    total = 0.0
    for i in range(a.shape[0]):
        d = a[i] - b[i]
        total += d * d
        if total >= apart:
            return False
    return True


@njit(nogil=True)
def _sweep(solved: Solved, first: int, count: int, k: int, apart: float) -> None:
    """Keep, from place ``first`` on, what is not near anything better that is kept."""
    seen, order, kept = solved.seen, solved.order, solved.kept
    found = 0
    for place in range(first):
        found += kept[place]
    for place in range(first, count):
        kept[place] = found < k
        for better in range(place):
            if kept[place] and kept[better]:
                kept[place] = not _near(seen[order[place]], seen[order[better]], apart)
        found += kept[place]


@njit(nogil=True)
def kth_cost(solved: Solved, k: int) -> float:
    """Cost of the k-th distinct pose, 1 where there are fewer."""
    found = 0
    for place in range(solved.number[0]):
        found += solved.kept[place]
        if found == k:
            return min(solved.values[solved.order[place], COST], 1.0)
    return 1.0


@njit(nogil=True)
def enter(solved: Solved, k: int, apart: float) -> None:
    """Rank the pose written at ``number``, and count it."""
    rows, values, seen, order, kept, number = solved
    new = place = number[0]
    cost = values[new, COST]
    while place > 0:
        last = order[place - 1]
        if values[last, COST] < cost or (values[last, COST] == cost and rows[last] < rows[new]):
            break
        order[place], kept[place] = last, kept[place - 1]
        place -= 1
    order[place], kept[place], number[0] = new, True, new + 1
    found = 0
    for better in range(place):
        if kept[better]:
            found += 1
            if found == k or _near(seen[new], seen[order[better]], apart):
                kept[place] = False
                break
    if kept[place]:
        for worse in range(place + 1, new + 1):
            if kept[worse] and _near(seen[new], seen[order[worse]], apart):
                _sweep(solved, worse, new + 1, k, apart)
                break


@njit(nogil=True)
def rank_again(solved: Solved, k: int, apart: float) -> None:
    """Rank all poses afresh, after costs have changed."""
    rows, values, _, order, _, number = solved
    for i in range(1, number[0]):
        new, place = order[i], i
        while place > 0:
            last = order[place - 1]
            if values[last, COST] < values[new, COST] or (
                values[last, COST] == values[new, COST] and rows[last] < rows[new]
            ):
                break
            order[place] = last
            place -= 1
        order[place] = new
    _sweep(solved, 0, number[0], k, apart)
