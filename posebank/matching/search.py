"""The view-free search, compiled: bounds of every pose, then the poses that could be the best.

Three bounds of a pose's error, each dearer and tighter than the one before: the best affine camera
(``affine_bounds``, every pose), the Lagrangian dual (``dual``, poses that pass the first), and the
best camera itself (``_solve_pair``), which is proved where the dual meets it, or by halving the
cameras allowed until every part of them is excluded (``_prove``).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from posebank.matching.dual import (
    N_MULTIPLIERS,
    Scratch,
    ascend,
    bound_cell,
    camera_of,
    scratch,
)
from posebank.matching.kernels import best_roll, climb, moments, solve

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
# Rows of the solved poses, their _ERROR ... _BOUND, joints in camera axes, order by error, and
# which are kept as distinct (by place in that order); for one person of a chunk.
Solved = tuple[Rows, Array, Array, Rows, Flags]
# turns, tilts, low, high (as ``kernels.solve``), min and max elevation and roll.
Cameras = tuple[Array, Array, float, float, float, float, float]

N_JOINTS = 13
BLOCK = 128  # poses whose columns (20 KB) stay in the first cache for all people of a chunk
_GROUP = 512  # blocks searched before the limits are made tighter
_SAFETY = 4e-6  # float32 rounding of the affine bound, in error_norm squared
_ROUNDING = 1e-6  # the same, per unit of how much the columns were stretched
_FLAT = 1e-6  # smallest pivot of the scatter, of its trace, below which there is no affine bound
TOLERANCE = 1e-5  # error_norm within which a bound and an error count as equal
_PARTS = 400  # parts of the cameras looked at before a proof is given up
_FAILURES = 3  # proofs given up before the rest of a person's are not tried
_NARROW = 1e-3  # radians
_ERROR, _AZIMUTH, _ELEVATION, _ROLL, _BOUND = 0, 1, 2, 3, 4
_FIRST_BLOCKS = 16


@njit(nogil=True, fastmath=True)
def _dot(w: Array32, d: int, e: int, out: Array32) -> None:
    """Products of columns d and e of every pose of a block, w (13, 3, BLOCK), into out (BLOCK,)."""
    # Written out, here and below: a loop over joints inside one over poses is not vectorised.
    for i in range(BLOCK):
        out[i] = (
            w[0, d, i] * w[0, e, i] + w[1, d, i] * w[1, e, i] + w[2, d, i] * w[2, e, i]
            + w[3, d, i] * w[3, e, i] + w[4, d, i] * w[4, e, i] + w[5, d, i] * w[5, e, i]
            + w[6, d, i] * w[6, e, i] + w[7, d, i] * w[7, e, i] + w[8, d, i] * w[8, e, i]
            + w[9, d, i] * w[9, e, i] + w[10, d, i] * w[10, e, i] + w[11, d, i] * w[11, e, i]
            + w[12, d, i] * w[12, e, i]
        )  # fmt: skip


@njit(nogil=True, fastmath=True)
def _centre(mask: Flags, bank: Array32, start: int, width: int, w: Array32, mean: Array32) -> None:
    """Columns x, z, y of the poses, centred over the mask, 0 elsewhere, into w (13, 3, BLOCK)."""
    w[:] = np.float32(0.0)
    share = np.float32(1.0) / np.float32(mask.sum())
    for d in range(3):
        column = 2 * d % 3
        mean[:] = np.float32(0.0)
        for j in range(N_JOINTS):
            if mask[j]:
                row = bank[j, d, start : start + width]  # an index start + i is not vectorised
                for i in range(width):
                    mean[i] += row[i] * share
        for j in range(N_JOINTS):
            if mask[j]:
                row, centred = bank[j, d, start : start + width], w[j, column]
                for i in range(width):
                    centred[i] = row[i] - mean[i]


@njit(nogil=True, fastmath=True)
def whiten(  # noqa: PLR0912
    mask: Flags, bank: Array32, start: int, stop: int, w: Array32, slack: Array32, work: Array32
) -> None:
    """Orthonormal columns of poses start..stop over the mask (modified Gram-Schmidt: x, z, y).

    Parameters
    ----------
    bank : (13, 3, n_poses).
    w : (13, 3, BLOCK), receives the columns; 0 at joints not in the mask. The last is along
        G^-1 e_y.
    slack : (BLOCK,) receives 1 less the rounding allowed for; -1 where the pose is too flat for a
        bound, 8 beyond ``stop``.
    work : (4, BLOCK).
    """
    width = stop - start
    one, tiny = np.float32(1.0), np.float32(1e-20)
    trace, least, share, norm = work[0], work[1], work[2], work[3]
    _centre(mask, bank, start, width, w, share)
    trace[:] = np.float32(0.0)
    for d in range(3):
        _dot(w, d, d, norm)
        for i in range(BLOCK):
            trace[i] += norm[i]
    for d in range(3):
        for e in range(d):
            _dot(w, d, e, share)
            for j in range(N_JOINTS):
                if mask[j]:
                    for i in range(BLOCK):
                        w[j, d, i] -= share[i] * w[j, e, i]
        _dot(w, d, d, norm)
        for i in range(BLOCK):
            least[i] = norm[i] if d == 0 else min(least[i], norm[i])
            share[i] = one / np.sqrt(max(norm[i], tiny))
        for j in range(N_JOINTS):
            if mask[j]:
                for i in range(BLOCK):
                    w[j, d, i] *= share[i]
    for i in range(BLOCK):
        stretched = np.sqrt(trace[i] / max(least[i], tiny))
        slack[i] = one - np.float32(_SAFETY) - np.float32(_ROUNDING) * stretched
    for i in range(BLOCK):
        if i >= width:
            slack[i] = np.float32(8.0)
        elif not least[i] > np.float32(_FLAT) * trace[i]:
            slack[i] = -one
            for j in range(N_JOINTS):
                for d in range(3):
                    w[j, d, i] = np.float32(0.0)


@njit(nogil=True, fastmath=True)
def affine_bounds(
    unit: Array32, w: Array32, slack: Array32, cos_roll: float, sin_roll: float, limited: bool,
    work: Array32, bounds: Array32,
) -> float:  # fmt: skip
    """Lower bound of error_norm squared of a block's poses; returns the lowest.

    The best 2 x 3 affine camera B = A G^-1 bounds every camera. Where roll is limited to less than
    90 degrees, a camera's image of the up axis also lies in a cone; the second column of B outside
    it costs at least its squared distance to the cone / (G^-1)_yy, which is the distance of the
    products with the last of the orthonormal columns.

    Parameters
    ----------
    unit : (13, 2); w, slack : from ``whiten``; work : (2 or more, BLOCK); bounds : (BLOCK,).
    """
    u, v = unit[:, 0], unit[:, 1]
    u0, u1, u2, u3, u4, u5, u6 = u[0], u[1], u[2], u[3], u[4], u[5], u[6]
    u7, u8, u9, u10, u11, u12 = u[7], u[8], u[9], u[10], u[11], u[12]
    v0, v1, v2, v3, v4, v5, v6 = v[0], v[1], v[2], v[3], v[4], v[5], v[6]
    v7, v8, v9, v10, v11, v12 = v[7], v[8], v[9], v[10], v[11], v[12]
    for i in range(BLOCK):
        bounds[i] = slack[i]
    for d in range(3):
        for i in range(BLOCK):
            x0, x1, x2, x3, x4 = w[0, d, i], w[1, d, i], w[2, d, i], w[3, d, i], w[4, d, i]
            x5, x6, x7, x8, x9 = w[5, d, i], w[6, d, i], w[7, d, i], w[8, d, i], w[9, d, i]
            x10, x11, x12 = w[10, d, i], w[11, d, i], w[12, d, i]
            a = (
                u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3 + u4 * x4 + u5 * x5 + u6 * x6
                + u7 * x7 + u8 * x8 + u9 * x9 + u10 * x10 + u11 * x11 + u12 * x12
            )  # fmt: skip
            b = (
                v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3 + v4 * x4 + v5 * x5 + v6 * x6
                + v7 * x7 + v8 * x8 + v9 * x9 + v10 * x10 + v11 * x11 + v12 * x12
            )  # fmt: skip
            bounds[i] -= a * a + b * b
            work[0, i] = a
            work[1, i] = b
    lowest = np.float32(8.0)
    zero, c, s = np.float32(0.0), np.float32(cos_roll), np.float32(sin_roll)
    for i in range(BLOCK):
        squared = bounds[i]
        if limited:
            # Distance of (|a|, -b) to the cone |a| cos(roll) <= -b sin(roll).
            away = max(c * abs(work[0, i]) + s * work[1, i], zero)
            along = min(s * abs(work[0, i]) - c * work[1, i], zero)
            squared += away * away + (along * along if away > zero else zero)
            bounds[i] = squared
        lowest = min(lowest, squared)
    return float(lowest)


@njit(nogil=True)
def _near(a: Array, b: Array, apart: float) -> bool:
    """Whether the squared distance of two poses (39,) is below ``apart``."""
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
    _, _, seen, order, kept = solved
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
def _kth(solved: Solved, count: int, k: int) -> float:
    """Error of the k-th distinct pose, 1 where there are fewer."""
    _, values, _, order, kept = solved
    found = 0
    for place in range(count):
        found += kept[place]
        if found == k:
            return min(values[order[place], _ERROR], 1.0)
    return 1.0


@njit(nogil=True)
def _enter(solved: Solved, new: int, k: int, apart: float) -> float:
    """Put the pose just written at ``new`` in its place; returns the error of the k-th distinct."""
    rows, values, seen, order, kept = solved
    place = new
    error = values[new, _ERROR]
    while place > 0:
        last = order[place - 1]
        if values[last, _ERROR] < error or (
            values[last, _ERROR] == error and rows[last] < rows[new]
        ):
            break
        order[place], kept[place] = last, kept[place - 1]
        place -= 1
    order[place], kept[place] = new, True
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
    return _kth(solved, new + 1, k)


@njit(nogil=True)
def _solve_pair(
    a: Array, g: Array, x: Array, bound: float, limit: float, cameras: Cameras, per_az: Array,
    grid: Array, out: Array,
) -> None:  # fmt: skip
    """Best camera of a pair into out (5,): climbed to from the dual's x, or, where that does not
    meet the dual's bound (of the error squared), from a grid as well.
    """
    turns, tilts, low, high, _, _, max_roll = cameras
    cos_roll, sin_roll = math.cos(max_roll), math.sin(max_roll)
    free = max_roll >= math.pi - 1e-12
    az, el = camera_of(x)
    el = min(max(el, low), high)
    f, az, el = climb(a, g, az, el, low, high, cos_roll, sin_roll, free)
    error = math.sqrt(max(1.0 - f * f, 0.0)) if f > 0 else np.inf
    if error - TOLERANCE > math.sqrt(bound):
        needed = math.sqrt(max(1.0 - limit * limit, 0.0))
        f, az2, el2 = solve(
            a, g, turns, tilts, low, high, cos_roll, sin_roll, free, per_az, grid, needed
        )
        if f > 0 and math.sqrt(max(1.0 - f * f, 0.0)) < error:
            error, az, el = math.sqrt(max(1.0 - f * f, 0.0)), az2, el2
    out[_ERROR], out[_AZIMUTH], out[_ELEVATION] = error, az, el
    out[_ROLL] = best_roll(a, az, el, max_roll)
    out[_BOUND] = math.sqrt(bound)


@njit(nogil=True)
def _prove(a: Array, g: Array, limit: float, cameras: Cameras, out: Array, work: Scratch) -> None:
    """Raise the bound in out (5,) to its error, or to ``limit`` where that is lower.

    The cameras are halved by direction until the dual excludes every part; a better camera
    met on the way replaces the one in ``out``.
    """
    _, _, low, high, min_el, max_el, max_roll = cameras
    cos_roll, sin_roll = math.cos(max_roll), math.sin(max_roll)
    free = max_roll >= math.pi - 1e-12
    parts = np.empty((_PARTS + 2, 7))
    parts[0] = np.array([min_el, max_el, -math.pi, math.pi, -max_roll, max_roll, out[_BOUND]])
    cell, used, m = np.empty(10), np.zeros(N_MULTIPLIERS, np.bool_), np.zeros(N_MULTIPLIERS)
    part = np.empty(7)
    waiting, lowest = 1, np.inf
    for _ in range(_PARTS):
        if waiting == 0:
            break
        waiting -= 1
        part[:] = parts[waiting]
        e1, e2, wide = part[0], part[1], part[5] - part[4]
        bound_cell(part, min_el, max_el, cell, used)
        m[:] = 0.0
        goal = max(min(out[_ERROR], limit) - TOLERANCE, 0.0)
        bound = math.sqrt(ascend(a, g, cell, used, goal * goal, 1e-2, m, work))
        if bound >= goal:
            continue
        az, el = camera_of(work[1])
        el = min(max(el, e1), e2)
        f, az, el = climb(a, g, az, el, low, high, cos_roll, sin_roll, free)
        if f > 0 and math.sqrt(max(1.0 - f * f, 0.0)) < out[_ERROR] - 1e-9:
            out[_ERROR], out[_AZIMUTH] = math.sqrt(max(1.0 - f * f, 0.0)), az
            out[_ELEVATION], out[_ROLL] = el, best_roll(a, az, el, max_roll)
            if bound >= min(out[_ERROR], limit) - TOLERANCE:
                continue
        turn = (part[3] - part[2]) * max(math.cos(e1), math.cos(e2), 0.1)
        if max(e2 - e1, turn) < _NARROW:
            lowest = min(lowest, bound)
            continue
        axis = 0 if e2 - e1 > turn else 2
        if math.pi + 1e-9 < wide < 2 * math.pi - 1e-9:
            axis = 4  # not convex
        middle = 0.5 * (part[axis] + part[axis + 1])
        for half in range(2):
            parts[waiting + half] = part
            parts[waiting + half, 6] = bound
            parts[waiting + half, axis + 1 - half] = middle
        waiting += 2
    for i in range(waiting):
        lowest = min(lowest, parts[i, 6])
    out[_BOUND] = max(out[_BOUND], min(lowest, out[_ERROR], limit))


@njit(nogil=True)
def _see(poses: Array32, row: int, value: Array, seen: Array) -> None:
    """Joints of a pose in the axes of its camera, (39,)."""
    az, el, roll = value[_AZIMUTH], value[_ELEVATION], value[_ROLL]
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
def _try_pose(
    unit: Array, mask: Flags, poses: Array32, row: int, count: int, limit: float, k: int,
    apart: float, cameras: Cameras, cell: Array, used: Flags, multipliers: Array, pair: Array,
    grid: Array, work: Scratch, solved: Solved,
) -> tuple[float, int, float]:  # fmt: skip
    """Exclude a pose by its dual bound, or solve and enter it.

    Returns
    -------
    The error of the k-th distinct pose, the number of poses solved, and the bound of this pose if
    it was excluded (inf if not).
    """
    rows, values, seen, _, _ = solved
    a, g, per_az = pair[0, :6], pair[1, :6], pair[2:]
    moments(unit, mask, poses, row, a, g)
    # 1e-10: rounding of the dual in float64.
    bound = ascend(a, g, cell, used, limit * limit + 1e-10, 0.0, multipliers, work) - 1e-10
    if bound >= limit * limit:
        return limit, count, math.sqrt(bound)
    _solve_pair(a, g, work[1], max(bound, 0.0), limit, cameras, per_az, grid, values[count])
    rows[count] = row
    if apart > 0:
        _see(poses, row, values[count], seen[count])
    return _enter(solved, count, k, apart), count + 1, np.inf


@njit(nogil=True)
def _prove_all(
    unit: Array, mask: Flags, poses: Array32, count: int, limit: float, k: int, apart: float,
    cameras: Cameras, pair: Array, work: Scratch, solved: Solved,
) -> float:  # fmt: skip
    """Prove that no solved pose has a better camera than the best; returns the k-th error.

    ``limit`` is the k-th error so far.
    """
    rows, values, seen, order, _ = solved
    a, g = pair[0, :6], pair[1, :6]
    better, failed = False, 0
    for place in range(count):
        i = order[place]
        best = min(values[order[0], _ERROR], limit)
        if values[i, _BOUND] < best - TOLERANCE and failed < _FAILURES:
            moments(unit, mask, poses, rows[i], a, g)
            before = values[i, _ERROR]
            _prove(a, g, best, cameras, values[i], work)
            failed += values[i, _BOUND] < min(values[i, _ERROR], best) - TOLERANCE
            if values[i, _ERROR] < before:
                better = True
                if apart > 0:
                    _see(poses, rows[i], values[i], seen[i])
    if better:
        for i in range(1, count):
            new = order[i]
            place = i
            while place > 0 and values[order[place - 1], _ERROR] > values[new, _ERROR]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = new
        _sweep(solved, 0, count, k, apart)
        limit = _kth(solved, count, k)
    return limit


@njit(nogil=True)
def _larger(array: Array, n: int) -> Array:
    """The same array with its second axis n long."""
    out = np.zeros((array.shape[0], n) + array.shape[2:], array.dtype)  # noqa: RUF005
    out[:, : array.shape[1]] = array
    return out


@njit(cache=True, nogil=True, parallel=True)
def search_viewfree(  # noqa: PLR0912, PLR0915
    units: Array, masks: Flags, chunk_starts: Rows, bank: Array32, poses: Array32, cameras: Cameras,
    k: int, apart: float,
) -> tuple[Rows, Array, Array, Rows]:  # fmt: skip
    """The k best distinct poses of each person over every camera allowed.

    Parameters
    ----------
    units : (n_people, 13, 2); masks : (n_people, 13); people of one chunk share a mask.
    chunk_starts : (n_chunks + 1,) rows where chunks begin.
    bank : (13, 3, n_poses), for what is done to every pose; poses : (n_poses, 13, 3), the same, for
        single ones.
    apart : squared distance between two poses in camera axes, summed over the joints, below which
        the worse one is left out.

    Returns
    -------
    rows (n_people, k), -1 where fewer; values (n_people, k, 5): error_norm, azimuth, elevation,
    roll, bound of the pose's error; floors (n_people,): no pose and camera is better than this,
    within ``TOLERANCE``; counts (n_people, 3): poses whose dual bound was asked for, poses solved,
    and those of them that may have a better camera than the best found.
    """
    n_people, n_poses = units.shape[0], bank.shape[2]
    n_blocks = (n_poses + BLOCK - 1) // BLOCK
    group = min(_GROUP, n_blocks)
    out_rows = np.full((n_people, k), -1, np.int64)
    out_values = np.full((n_people, k, 5), np.inf)
    floors = np.ones(n_people)
    counts = np.zeros((n_people, 3), np.int64)
    turns, tilts, _, _, min_el, max_el, max_roll = cameras
    cos_roll, sin_roll = math.cos(max_roll), math.sin(max_roll)
    limited = max_roll < math.pi / 2 - 1e-9
    for chunk in prange(chunk_starts.shape[0] - 1):
        first, last = chunk_starts[chunk], chunk_starts[chunk + 1]
        size, mask = last - first, masks[first]
        units32 = units[first:last].astype(np.float32)
        w, slack = np.empty((N_JOINTS, 3, BLOCK), np.float32), np.empty(BLOCK, np.float32)
        products = np.empty((4, BLOCK), np.float32)
        bounds = np.empty((size, group * BLOCK), np.float32)
        lowest = np.empty((size, group), np.float32)
        work, cell, used = scratch(), np.empty(10), np.zeros(N_MULTIPLIERS, np.bool_)
        whole = np.array([min_el, max_el, -math.pi, math.pi, -max_roll, max_roll])
        bound_cell(whole, min_el, max_el, cell, used)
        multipliers = np.zeros((size, N_MULTIPLIERS))
        pair = np.empty((9, turns.shape[1]))
        grid = np.empty((tilts.shape[1], turns.shape[1]))
        room = 64 + 4 * min(k, n_poses)
        rows = np.zeros((size, room), np.int64)
        values = np.zeros((size, room, 5))
        seen = np.zeros((size, room, 3 * N_JOINTS if apart > 0 else 0))
        order = np.zeros((size, room), np.int64)
        kept = np.zeros((size, room), np.bool_)
        count = np.zeros(size, np.int64)
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
                                units32[p], w, slack, cos_roll, sin_roll, limited, products,
                                bounds[p, b * BLOCK : (b + 1) * BLOCK],
                            )  # fmt: skip
                for p in range(size):
                    if not open_[p]:
                        continue
                    for i in range(count[p]):  # of an earlier group or pass
                        at = rows[p, i] - start * BLOCK
                        if 0 <= at < blocks * BLOCK:
                            bounds[p, at] = np.float32(8.0)
                    # First the best pose of the best blocks, for a limit; then all below it.
                    for stage in range(2):
                        if stage == 0:
                            if limit[p] < 1:
                                continue
                            some = np.argsort(lowest[p, :blocks])[: 2 * k + _FIRST_BLOCKS]
                            some = some * BLOCK
                            for i in range(some.shape[0]):
                                some[i] += np.argmin(bounds[p, some[i] : some[i] + BLOCK])
                        else:
                            squared = limit[p] * limit[p]
                            floor[p] = min(floor[p], limit[p])
                            some = np.empty(blocks * BLOCK, np.int64)
                            found = 0
                            for b in range(blocks):
                                if lowest[p, b] < squared:
                                    for i in range(b * BLOCK, (b + 1) * BLOCK):
                                        some[found] = i
                                        found += bounds[p, i] < squared
                            some = some[:found]
                        some = some[np.argsort(bounds[p][some])]
                        for i in some:
                            if bounds[p, i] >= limit[p] * limit[p]:
                                break
                            if count[p] == rows.shape[1]:
                                rows, values = _larger(rows, 2 * room), _larger(values, 2 * room)
                                seen, order = _larger(seen, 2 * room), _larger(order, 2 * room)
                                kept = _larger(kept, 2 * room)
                                room *= 2
                            counts[first + p, 0] += 1
                            before = count[p]
                            limit[p], count[p], excluded = _try_pose(
                                units[first + p], mask, poses, start * BLOCK + i, count[p],
                                limit[p], k, apart, cameras, cell, used, multipliers[p], pair,
                                grid, work, (rows[p], values[p], seen[p], order[p], kept[p]),
                            )  # fmt: skip
                            floor[p] = min(floor[p], excluded)
                            if count[p] > before:
                                bounds[p, i] = np.float32(8.0)
                            floor[p] = min(floor[p], max(limit[p], 0.0))
            for p in range(size):
                if open_[p]:
                    limit[p] = _prove_all(
                        units[first + p], mask, poses, count[p], limit[p], k, apart, cameras, pair,
                        work, (rows[p], values[p], seen[p], order[p], kept[p]),
                    )  # fmt: skip
                    # A pose near a better one gives way, so the limit can rise: search again.
                    open_[p] = limit[p] > floor[p] + 1e-9
        for p in range(size):
            found = 0
            floors[first + p] = floor[p]
            counts[first + p, 1] = count[p]
            for place in range(count[p]):
                i = order[p, place]
                best = min(values[p, order[p, 0], _ERROR], limit[p])
                if values[p, i, _BOUND] < best - TOLERANCE:
                    counts[first + p, 2] += 1
                    floors[first + p] = min(floors[first + p], values[p, i, _BOUND])
                if found < k and kept[p, place] and values[p, i, _ERROR] < np.inf:
                    out_rows[first + p, found] = rows[p, i]
                    out_values[first + p, found] = values[p, i]
                    found += 1
    return out_rows, out_values, floors, counts
