"""The best pose of a person: poses are excluded by bounds, or solved and, where needed, proved.

The *cost* of a camera is ``error_norm`` squared with the camera prior's penalty, and its square
root in what a user sees. All that is computed of a pose depends on the person and the pose alone,
never on what was looked at before: the searches of ``search`` and ``search_torch`` look at poses in
different orders and end with the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.compiled import constant, inner
from posebank.matching.viewfree.dual import (
    N_MULTIPLIERS,
    Scratch,
    ascend,
    bound_cell,
    direction_of,
    scratch,
)
from posebank.matching.viewfree.dual_free import free_dual
from posebank.matching.viewfree.prior import least_over_rolls, least_penalty
from posebank.matching.viewfree.refine import (
    View,
    affine_start,
    affine_up,
    likely_start,
    moments,
    new_view,
    refine,
    towards,
)

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]

TOLERANCE = 1e-5  # difference of cost (not squared) within which a bound meets a cost
OUT = np.float32(8.0)  # a bound that excludes
_NO_LIMIT = 8.0
DUAL_ROUNDING = 1e-10  # of the dual in float64, in cost squared
ROOM = constant(64)  # for solved poses, to begin with
COST, BOUND, ROTATION = 0, 1, 2
"""Columns of ``Solved.values``: cost squared, lower bound of it, and the first of nine."""
_NEWTON_STEPS = constant(40)
_GAIN = 1e-15
_PARTS = 400  # parts of the cameras looked at before the proof of a pose is given up
_FAILURES = 3  # proofs given up before the rest of a person's are not tried
# With a prior no proof closes to the tolerance: the first halvings narrow the gap, more hardly do.
_PARTS_WITH_PRIOR, _FAILURES_WITH_PRIOR = 12, 1
_NARROW = 1e-3  # radians
_FLAT = 1e-5  # determinant of the scatter, of its trace cubed, below which rounding would matter
# Of cameras that need no proof.
_FEW_STEPS, _SMALL_GAIN = constant(12), 1e-6
_UNLIKELY = 0.01  # penalty above the usual one from which a likelier camera is tried
# Approximate cost squared above the least one up to which a pose may turn out to be the best.
_NEAR = 0.005


class Query(NamedTuple):
    """A person and the poses to match.

    unit : (13, 2); mask : (13,); poses : (n_poses, 13, 3) of the bank.
    """

    unit: Array
    mask: NDArray[np.bool_]
    poses: Array32
    cameras: Cameras


class Tools(NamedTuple):
    """Working arrays of one thread.

    cell : (10,) and used : (6,), what ``dual.ascend`` wants of the cameras allowed.
    a, g, inverse : (6,) of a pair; camera, best : cameras; multipliers, work : of the dual.
    """

    cell: Array
    used: NDArray[np.bool_]
    a: Array
    g: Array
    inverse: Array
    camera: View
    best: View
    multipliers: Array
    work: Scratch


class Solved(NamedTuple):
    """Poses that no bound excludes, with their best cameras: rows (room,), values (room, 11).

    number : (1,) how many there are.
    """

    rows: Rows
    values: Array
    number: Rows


@inner()
def tools_for(cameras: Cameras) -> Tools:
    """Return the working arrays of one thread."""
    tools = Tools(
        np.empty(10),
        np.zeros(N_MULTIPLIERS, np.bool_),
        np.empty(6),
        np.empty(6),
        np.empty(6),
        new_view(),
        new_view(),
        np.zeros(N_MULTIPLIERS),
        scratch(),
    )
    low, high, roll = cameras.min_elevation, cameras.max_elevation, cameras.max_roll
    part = np.array([low, high, -math.pi, math.pi, -roll, roll])
    bound_cell(part, low, high, tools.cell, tools.used)
    return tools


@inner()
def nothing_solved(room: int) -> Solved:
    """Return room for some poses."""
    return Solved(np.zeros(room, np.int64), np.zeros((room, 11)), np.zeros(1, np.int64))


@inner()
def _with_room(solved: Solved) -> Solved:
    """Return the same poses with room for at least one more."""
    n = solved.number[0]
    if n < solved.rows.shape[0]:
        return solved
    larger = nothing_solved(2 * n)
    larger.rows[:n], larger.values[:n], larger.number[0] = solved.rows, solved.values, n
    return larger


@inner()
def _lower_bound(cameras: Cameras, target: float, tools: Tools) -> float:
    """Lower bound of the cost squared of the pair in ``tools``; stops at ``target``.

    The dual of all cameras allowed with the least penalty of any, or, where they are higher, the
    bounds of the best affine camera and of the dual's with the least penalty of each roll.
    """
    least = cameras.levels[0, 3]
    target += DUAL_ROUNDING
    bound = -1.0
    if cameras.has_rolls:
        up = affine_up(tools.a, tools.g, _FLAT, tools.inverse)
        bound = least_over_rolls(cameras, up)
        if bound > target:
            return bound - DUAL_ROUNDING
    dual, up = free_dual(tools.a, tools.g, target - least)
    bound = max(bound, dual + least)
    if cameras.has_rolls and dual >= 0 and bound < target:
        bound = max(bound, least_over_rolls(cameras, up))
    if dual < 0 or (cameras.limited and bound < target):
        bound = max(bound, _ascend_all(target - least, tools) + least)
    return bound - DUAL_ROUNDING


@inner()
def _ascend_all(goal: float, tools: Tools) -> float:
    """The dual over all cameras allowed, whose best camera is left in ``tools``."""
    m = tools.multipliers
    m[:] = 0.0  # those of the pose before would make the bound depend on it
    return ascend(tools.a, tools.g, tools.cell, tools.used, goal, 0.0, m, tools.work)


@inner()
def _keep_better(squared: float, tools: Tools, value: Array) -> None:
    """Put the camera of ``tools.camera`` into value (11,) if it costs less (and has a scale)."""
    view = tools.camera
    if squared < value[COST] and view.w[0] + view.w[4] > 1e-12:
        value[COST] = squared
        value[ROTATION:] = view.r


@inner()
def _solve_pair(cameras: Cameras, bound: float, tools: Tools, value: Array) -> None:
    """Put the best camera of the pair in ``tools`` into value (11,), if it is better.

    Newton steps from the camera of the dual, from the best affine camera and from a usual one,
    until one meets the bound (of the cost squared).
    """
    value[BOUND] = bound
    _ascend_all(_NO_LIMIT, tools)
    for i in range(3):
        if i == 0:
            x, y, z = direction_of(tools.work[1])
            there = towards(tools.a, tools.camera, x, y, z)
        elif i == 1:
            there = affine_start(tools.a, tools.g, tools.inverse, tools.camera)
        else:
            likely_start(tools.a, tools.g, cameras, tools.camera)
            there = True
        if there:
            squared = refine(tools.a, tools.g, cameras, tools.camera, _NEWTON_STEPS, _GAIN)
            _keep_better(squared, tools, value)
        if _root(value[COST]) - TOLERANCE <= _root(bound):
            return


@inner()
def approximate(cameras: Cameras, tools: Tools, again: bool) -> float:
    """Cost squared of a good camera of the pair in ``tools``, which is left in ``tools.best``.

    A few Newton steps from the best affine camera and, where that has no positive scale, from the
    best of a ring of usual cameras. inf where the scale is not positive.

    again : also from the ring where the first end at a camera with a penalty far above the usual.
    """
    a, g, view, best = tools.a, tools.g, tools.camera, tools.best
    cost = np.inf
    if affine_start(a, g, tools.inverse, view):
        squared = refine(a, g, cameras, view, _FEW_STEPS, _SMALL_GAIN)
        if view.w[0] + view.w[4] > 1e-12:
            cost = squared
            best.r[:] = view.r
    if cost < np.inf and not (again and view.penalty[0] > cameras.usual_penalty + _UNLIKELY):
        return cost
    likely_start(a, g, cameras, view)
    squared = refine(a, g, cameras, view, _FEW_STEPS, _SMALL_GAIN)
    if squared < cost and view.w[0] + view.w[4] > 1e-12:
        cost = squared
        best.r[:] = view.r
    return cost


@inner()
def _root(squared: float) -> float:
    return math.sqrt(max(squared, 0.0))


@inner()
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


@inner()
def _try_camera(cameras: Cameras, tools: Tools, value: Array) -> bool:
    """Newton steps from the dual's camera of a part; whether they end at a better one."""
    x, y, z = direction_of(tools.work[1])
    if not towards(tools.a, tools.camera, x, y, z):
        return False
    before = value[COST]
    squared = refine(tools.a, tools.g, cameras, tools.camera, _NEWTON_STEPS, _GAIN)
    if squared < before - 1e-10:
        _keep_better(squared, tools, value)
    return value[COST] < before


@inner()
def _prove(limit: float, cameras: Cameras, tools: Tools, value: Array) -> None:
    """Raise the bound in value (11,) to its cost squared, or to ``limit`` where that is lower.

    The cameras are halved until the dual excludes every part; a better camera met on the way
    replaces the one in ``value``.
    """
    a, g, work = tools.a, tools.g, tools.work
    low, high = cameras.min_elevation, cameras.max_elevation
    parts = np.empty((_PARTS + 2, 7))  # lowest and highest elevation, azimuth, roll; bound
    parts[0] = np.array(
        [low, high, -math.pi, math.pi, -cameras.max_roll, cameras.max_roll, value[BOUND]]
    )
    cell, used, m = np.empty(10), np.zeros(N_MULTIPLIERS, np.bool_), np.zeros(N_MULTIPLIERS)
    part = np.empty(7)
    waiting, lowest = 1, np.inf
    for _ in range(_PARTS_WITH_PRIOR if cameras.has_prior else _PARTS):
        if waiting == 0:
            break
        # The part with the lowest bound first: given up, the rest then says the most.
        first = np.argmin(parts[:waiting, 6])
        part[:] = parts[first]
        waiting -= 1
        parts[first] = parts[waiting]
        goal = max(_root(min(value[COST], limit)) - TOLERANCE, 0.0) ** 2
        penalty = 0.0
        if cameras.has_prior:
            penalty = least_penalty(cameras.table, part)
        if penalty >= goal:
            continue
        bound_cell(part, low, high, cell, used)
        m[:] = 0.0
        bound = ascend(a, g, cell, used, goal - penalty, 1e-2, m, work) + penalty
        bound = max(bound, part[6])
        if bound >= goal:
            continue
        if _try_camera(cameras, tools, value):
            goal = max(_root(min(value[COST], limit)) - TOLERANCE, 0.0) ** 2
            if bound >= goal:
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
    value[BOUND] = max(value[BOUND], min(lowest, value[COST], limit))


@inner()
def try_poses(
    query: Query, rows: Rows, bounds: Array32, solved: Solved, limit: float, tools: Tools
) -> tuple[Solved, float, float]:
    """Exclude or solve poses in the order of their bounds.

    With a camera prior hardly a pose meets its bound. Those not excluded then only get a good
    camera; ``prove_best`` solves the ones near the best.

    Parameters
    ----------
    query : Query
        The person and the poses of the bank.
    rows : array (n,)
        Rows of the bank to decide.
    bounds : array (n,)
        Bounds of the cost squared.
    solved : Solved
        The poses solved so far; added to.
    limit : float
        Cost squared that some pose is known to have; poses above it are excluded.
    tools : Tools
        Working arrays.

    Returns
    -------
    Solved poses (the same record, or a larger one), the limit, lowered to the best cost found, and
    a cost squared below which nothing was excluded.
    """
    floor = np.inf
    for i in np.argsort(bounds.astype(np.float64)):
        if bounds[i] > limit:
            break
        moments(query.unit, query.mask, query.poses, rows[i], tools.a, tools.g)
        bound = _lower_bound(query.cameras, limit, tools)
        if bound > limit:
            floor = min(floor, bound)
            continue
        solved = _with_room(solved)
        new = solved.number[0]
        solved.rows[new] = rows[i]
        value = solved.values[new]
        value[COST], value[BOUND] = np.inf, max(bound, 0.0)
        if query.cameras.has_prior:
            value[COST] = approximate(query.cameras, tools, True)
            value[ROTATION:] = tools.best.r
        else:
            value[ROTATION:] = 0.0
            _solve_pair(query.cameras, value[BOUND], tools, value)
        limit = min(limit, value[COST])
        solved.number[0] = new + 1
    return solved, limit, min(floor, limit)


@inner()
def _solve_near(query: Query, solved: Solved, tools: Tools) -> None:
    """Solve the poses whose approximate cost is near the least one.

    They do not depend on the order in which poses were looked at.
    """
    values, n = solved.values, solved.number[0]
    least = np.inf
    for place in range(n):
        least = min(least, values[place, COST])
    for place in range(n):
        value = values[place]
        if value[BOUND] <= least and value[COST] <= least + _NEAR:
            moments(query.unit, query.mask, query.poses, solved.rows[place], tools.a, tools.g)
            bound = _lower_bound(query.cameras, _NO_LIMIT, tools)
            _solve_pair(query.cameras, max(bound, 0.0), tools, value)


@inner()
def prove_best(query: Query, solved: Solved, limit: float, tools: Tools) -> float:
    """Prove that no solved pose has a better camera than the best; returns the least cost squared.

    limit : cost squared that some pose is known to have.
    """
    if query.cameras.has_prior:
        _solve_near(query, solved, tools)
    values, failed, known = solved.values, 0, limit
    most = _FAILURES_WITH_PRIOR if query.cameras.has_prior else _FAILURES
    # The least cost of a solved pose: ``known`` depends on the order in which poses were looked at.
    limit = np.inf
    for place in range(solved.number[0]):
        limit = min(limit, values[place, COST])
    for place in np.argsort(values[: solved.number[0], COST].copy()):
        value = values[place]
        if failed >= most or _root(value[BOUND]) >= _root(limit) - TOLERANCE:
            continue
        moments(query.unit, query.mask, query.poses, solved.rows[place], tools.a, tools.g)
        _prove(limit, query.cameras, tools, value)
        failed += _root(value[BOUND]) < _root(min(value[COST], limit)) - TOLERANCE
        limit = min(limit, value[COST])
    return min(limit, known)


@inner()
def best_of(solved: Solved, limit: float) -> tuple[int, float]:
    """Place of the best pose (-1 if there is none; ties by row) and the lowest bound of all."""
    best, lowest = -1, np.inf
    for i in range(solved.number[0]):
        cost, bound = solved.values[i, COST], solved.values[i, BOUND]
        if _root(bound) < _root(limit) - TOLERANCE:
            lowest = min(lowest, bound)
        if cost == np.inf:
            continue
        if best >= 0:
            least = solved.values[best, COST]
            if cost > least or (cost == least and solved.rows[i] > solved.rows[best]):
                continue
        best = i
    return best, lowest
