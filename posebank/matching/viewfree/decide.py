"""What a pose costs a person: excluded by its bound, or solved and, where it matters, proved.

The *cost* of a camera is ``error_norm``, with the camera prior's penalty where there is one. All
that is found of a pose depends on the person and the pose alone, never on what was looked at
before: the searches of ``search`` and ``device`` look at poses in different orders and end with
the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.dual import (
    N_MULTIPLIERS,
    Scratch,
    ascend,
    bound_cell,
    camera_of,
    scratch,
)
from posebank.matching.viewfree.kernels import best_roll, climb, moments, solve
from posebank.matching.viewfree.ranking import (
    AZIMUTH,
    BOUND,
    COST,
    ELEVATION,
    ROLL,
    Solved,
    enter,
    kth_cost,
    rank_again,
    see,
    with_room,
)

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]

TOLERANCE = 1e-5  # cost within which a bound and a cost count as equal
OUT = np.float32(8.0)  # a bound that excludes
DUAL_ROUNDING = 1e-10  # of the dual in float64, in cost squared
_PARTS = 400  # parts of the cameras looked at before a proof is given up
_FAILURES = 3  # proofs given up before the rest of a person's are not tried
_NARROW = 1e-3  # radians


class Query(NamedTuple):
    """Who is asked for, among what.

    unit : (13, 2); mask : (13,); poses : (n_poses, 13, 3) of the bank.
    k : distinct poses wanted; apart : squared distance of two poses in camera axes, summed over the
        joints, below which the worse one is left out (0: none is).
    """

    unit: Array
    mask: NDArray[np.bool_]
    poses: Array32
    cameras: Cameras
    k: int
    apart: float


class Tools(NamedTuple):
    """Working arrays: the dual's cell of all cameras, multipliers, sums of a pair, grids."""

    cell: Array
    used: NDArray[np.bool_]
    multipliers: Array
    a: Array
    g: Array
    per_az: Array
    grid: Array
    work: Scratch


@njit(nogil=True)
def tools_for(cameras: Cameras) -> Tools:
    """Working arrays of one thread."""
    n_el, n_az = cameras.tilts.shape[1], cameras.turns.shape[1]
    tools = Tools(
        np.empty(10), np.zeros(N_MULTIPLIERS, np.bool_), np.zeros(N_MULTIPLIERS),
        np.empty(6), np.empty(6), np.empty((7, n_az)), np.empty((n_el, n_az)), scratch(),
    )  # fmt: skip
    low, high, roll = cameras.min_elevation, cameras.max_elevation, cameras.max_roll
    whole = np.array([low, high, -math.pi, math.pi, -roll, roll])
    bound_cell(whole, low, high, tools.cell, tools.used)
    return tools


@njit(nogil=True)
def _cost(value: float) -> float:
    """Cost of a camera worth ``value`` (see ``kernels``); inf where the scale is not positive."""
    return math.sqrt(max(1.0 - value * value, 0.0)) if value > 0 else np.inf


@njit(nogil=True)
def _solve_pair(x: Array, bound: float, cameras: Cameras, tools: Tools, out: Array) -> None:
    """Best camera of the pair in ``tools`` into out (5,).

    Climbed to from the dual's x and, where that does not meet the dual's bound (of the cost
    squared), from a grid as well.
    """
    a, g = tools.a, tools.g
    az, el = camera_of(x)
    el = min(max(el, cameras.low), cameras.high)
    value, az, el = climb(a, g, az, el, cameras)
    cost = _cost(value)
    if cost - TOLERANCE > math.sqrt(bound):
        value, other_az, other_el = solve(a, g, cameras, tools.per_az, tools.grid)
        if _cost(value) < cost:
            cost, az, el = _cost(value), other_az, other_el
    out[COST], out[AZIMUTH], out[ELEVATION] = cost, az, el
    out[ROLL] = best_roll(a, g, az, el, cameras)
    out[BOUND] = math.sqrt(bound)


@njit(nogil=True)
def _least_penalty(part: Array, cameras: Cameras) -> float:
    """Least of the prior's penalty in a part of the cameras."""
    tilt = max(part[0] - cameras.likely_elevation, cameras.likely_elevation - part[1], 0.0)
    roll = max(part[4], -part[5], 0.0)
    return cameras.elevation_weight * tilt * tilt + cameras.roll_weight * roll * roll


@njit(nogil=True)
def _longest(part: Array, cameras: Cameras) -> tuple[int, float]:
    """The axis along which to halve a part, and its length on the sphere (radians)."""
    height, roll = part[1] - part[0], part[5] - part[4]
    turn = (part[3] - part[2]) * max(math.cos(part[0]), math.cos(part[1]), 0.1)
    axis, length = (0, height) if height > turn else (2, turn)
    if cameras.has_prior and roll > length:
        axis, length = 4, roll
    if math.pi + 1e-9 < roll < 2 * math.pi - 1e-9:
        axis = 4  # not convex
    return axis, length


@njit(nogil=True)
def _prove(limit: float, cameras: Cameras, tools: Tools, out: Array) -> None:
    """Raise the bound in out (5,) to its cost, or to ``limit`` where that is lower.

    The cameras are halved until the dual excludes every part; a better camera met on the way
    replaces the one in ``out``.
    """
    a, g, work = tools.a, tools.g, tools.work
    low, high = cameras.min_elevation, cameras.max_elevation
    parts = np.empty((_PARTS + 2, 7))  # lowest and highest elevation, azimuth, roll; bound
    parts[0] = np.array(
        [low, high, -math.pi, math.pi, -cameras.max_roll, cameras.max_roll, out[BOUND]]
    )
    cell, used, m = np.empty(10), np.zeros(N_MULTIPLIERS, np.bool_), np.zeros(N_MULTIPLIERS)
    part = np.empty(7)
    waiting, lowest = 1, np.inf
    for _ in range(_PARTS):
        if waiting == 0:
            break
        # The part with the lowest bound first: given up, the rest then says the most.
        first = np.argmin(parts[:waiting, 6])
        part[:] = parts[first]
        waiting -= 1
        parts[first] = parts[waiting]
        penalty = _least_penalty(part, cameras)
        goal = max(min(out[COST], limit) - TOLERANCE, 0.0)
        if penalty >= goal * goal:
            continue
        bound_cell(part, low, high, cell, used)
        m[:] = 0.0
        dual = ascend(a, g, cell, used, goal * goal - penalty, 1e-2, m, work)
        bound = math.sqrt(dual + penalty)
        if bound >= goal:
            continue
        az, el = camera_of(work[1])
        el = min(max(el, part[0]), part[1])
        value, az, el = climb(a, g, az, el, cameras)
        if _cost(value) < out[COST] - 1e-9:
            out[COST], out[AZIMUTH], out[ELEVATION] = _cost(value), az, el
            out[ROLL] = best_roll(a, g, az, el, cameras)
            if bound >= min(out[COST], limit) - TOLERANCE:
                continue
        axis, length = _longest(part, cameras)
        if length < _NARROW:
            lowest = min(lowest, bound)
            continue
        middle = 0.5 * (part[axis] + part[axis + 1])
        for half in range(2):
            parts[waiting + half] = part
            parts[waiting + half, 6] = bound
            parts[waiting + half, axis + 1 - half] = middle
        waiting += 2
    for i in range(waiting):
        lowest = min(lowest, parts[i, 6])
    out[BOUND] = max(out[BOUND], min(lowest, out[COST], limit))


@njit(nogil=True)
def try_poses(
    query: Query, rows: Rows, bounds: Array32, solved: Solved, limit: float, tools: Tools
) -> tuple[Solved, float, float, int]:  # fmt: skip
    """Exclude or solve poses in the order of their bounds.

    Parameters
    ----------
    rows : (n,) of the bank; bounds : (n,) of the cost squared, set to ``OUT`` for poses solved.
    limit : cost of the k-th distinct pose so far.

    Returns
    -------
    Solved poses (the same record, or a larger one), cost of the k-th distinct pose, a cost below
    which nothing was excluded, and for how many poses the dual was asked.
    """
    poses, cameras, m = query.poses, query.cameras, tools.multipliers
    floor, asked = np.inf, 0
    for i in np.argsort(bounds):
        if bounds[i] >= limit * limit:
            break
        asked += 1
        moments(query.unit, query.mask, poses, rows[i], tools.a, tools.g)
        target = limit * limit + DUAL_ROUNDING
        m[:] = 0.0  # those of the pose before would make what is found depend on it
        bound = ascend(tools.a, tools.g, tools.cell, tools.used, target, 0.0, m, tools.work)
        if bound >= target:
            floor = min(floor, math.sqrt(bound - DUAL_ROUNDING))
            continue
        solved = with_room(solved)
        new = solved.number[0]
        solved.rows[new], value = rows[i], solved.values[new]
        _solve_pair(tools.work[1], max(bound - DUAL_ROUNDING, 0.0), cameras, tools, value)
        if query.apart > 0:
            see(poses, rows[i], value, solved.seen[new])
        enter(solved, query.k, query.apart)
        bounds[i] = OUT
        limit = kth_cost(solved, query.k)
    return solved, limit, min(floor, limit), asked


@njit(nogil=True)
def prove_all(query: Query, solved: Solved, limit: float, tools: Tools) -> float:
    """Prove that no solved pose has a better camera than the best; returns the k-th cost.

    ``limit`` is the k-th cost so far.
    """
    values, order = solved.values, solved.order
    better, failed = False, 0
    for place in range(solved.number[0]):
        i = order[place]
        best = min(values[order[0], COST], limit)
        if values[i, BOUND] < best - TOLERANCE and failed < _FAILURES:
            moments(query.unit, query.mask, query.poses, solved.rows[i], tools.a, tools.g)
            before = values[i, COST]
            _prove(best, query.cameras, tools, values[i])
            failed += values[i, BOUND] < min(values[i, COST], best) - TOLERANCE
            if values[i, COST] < before:
                better = True
                if query.apart > 0:
                    see(query.poses, solved.rows[i], values[i], solved.seen[i])
    if not better:
        return limit
    rank_again(solved, query.k, query.apart)
    return kth_cost(solved, query.k)


@njit(nogil=True)
def unproved(solved: Solved, limit: float) -> tuple[float, int]:
    """Lowest bound of the poses that may yet have a camera better than the best; how many."""
    lowest, count = np.inf, 0
    for place in range(solved.number[0]):
        best = min(solved.values[solved.order[0], COST], limit)
        bound = solved.values[solved.order[place], BOUND]
        if bound < best - TOLERANCE:
            lowest, count = min(lowest, bound), count + 1
    return lowest, count


@njit(nogil=True)
def write_best(solved: Solved, rows: Rows, values: Array) -> None:
    """The distinct poses, best first, into rows (k,) and values (k, 5)."""
    found = 0
    for place in range(solved.number[0]):
        i = solved.order[place]
        if found < rows.shape[0] and solved.kept[place] and solved.values[i, COST] < np.inf:
            rows[found], values[found] = solved.rows[i], solved.values[i]
            found += 1
