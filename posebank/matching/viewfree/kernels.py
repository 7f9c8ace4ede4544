"""Compiled loops of the matchers.

For a person with annotated joints m and query q (centred on them, norm 1, 0 elsewhere) and a pose
P, everything a camera needs is in two small arrays: ``A = q^T P`` (2 x 3; q is centred, so P need
not be) and the scatter ``G`` (3 x 3) of P about the mean of the joints m. For a camera whose first
two rows are r1, r2 the best scale gives

    error_norm^2 = 1 - c^2 / n,   c = a1.r1 + a2.r2 (> 0),   n = r1 G r1 + r2 G r2.

n does not change when the camera rolls, and the best roll is known in closed form, so the search
over cameras is a search over azimuth and elevation alone.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from posebank.matching.viewfree.cameras import Cameras

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

_BLOCK = 512
_MAX_STARTS = 4
_SLACK = 0.08  # correlation a camera may gain over the nearest point of a 15 degree grid


@njit(nogil=True)
def _likely_roll(c: float, s: float, n: float, weight: float) -> float:
    """Roll that maximises ``(c cos + s sin)^2 / n - weight roll^2``.

    From the roll without the prior, Newton's method comes down to the nearest maximum; below it the
    slope is convex, so no step goes too far. Where there is none, every roll costs more than 1.
    """
    best = math.atan2(s, c)
    gain = (c * c + s * s) / max(n, 1e-12)
    roll = best
    for _ in range(6):
        angle = 2 * (roll - best)
        slope = gain * math.sin(angle) + 2 * weight * roll
        bend = 2 * gain * math.cos(angle) + 2 * weight
        if bend <= 0:
            break
        roll -= slope / bend
    return min(max(roll, min(best, 0.0)), max(best, 0.0))


@njit(nogil=True)
def _parts(a: Array, g: Array, az: float, el: float) -> tuple[float, float, float]:
    """c at roll 0 and at 90 degrees, and n, of a direction; a (6,), g (6: xx yy zz xy xz yz)."""
    ca, sa, ce, se = math.cos(az), math.sin(az), math.cos(el), math.sin(el)
    g11 = ca * ca * g[0] + sa * sa * g[2] + 2 * ca * sa * g[4]
    gdd = sa * sa * g[0] + ca * ca * g[2] - 2 * ca * sa * g[4]
    gdy = sa * g[3] - ca * g[5]
    a1r, a2r = a[0] * ca + a[2] * sa, a[3] * ca + a[5] * sa
    a1u = -se * (a[0] * sa - a[2] * ca) - ce * a[1]
    a2u = -se * (a[3] * sa - a[5] * ca) - ce * a[4]
    n = g11 + se * se * gdd + ce * ce * g[1] + 2 * se * ce * gdy
    return a1r + a2u, a2r - a1u, n


@njit(nogil=True)
def best_roll(a: Array, g: Array, az: float, el: float, cameras: Cameras) -> float:
    """Best roll, within the limit, of a camera in this direction."""
    c, s, n = _parts(a, g, az, el)
    if cameras.roll_weight > 0:
        roll = _likely_roll(c, s, n, cameras.roll_weight)
    else:
        roll = math.atan2(s, c)
    return min(max(roll, -cameras.max_roll), cameras.max_roll)


@njit(nogil=True)
def _value(a: Array, g: Array, az: float, el: float, cameras: Cameras) -> float:
    """What a camera with the best roll is worth: v, where its cost squared is 1 - v |v|.

    Without a prior that is the correlation c / sqrt(n), and the cost is ``error_norm``.
    """
    c, s, n = _parts(a, g, az, el)
    root = math.sqrt(max(n, 1e-12))
    if cameras.has_prior:
        roll = _likely_roll(c, s, n, cameras.roll_weight)
        roll = min(max(roll, -cameras.max_roll), cameras.max_roll)
        f = (math.cos(roll) * c + math.sin(roll) * s) / root
        tilt = el - cameras.likely_elevation
        v = f * abs(f) - cameras.elevation_weight * tilt * tilt - cameras.roll_weight * roll * roll
        return math.copysign(math.sqrt(abs(v)), v)
    length = math.sqrt(c * c + s * s)
    if not (cameras.free_roll or c >= cameras.cos_roll * length):
        length = cameras.cos_roll * c + cameras.sin_roll * abs(s)
    return length / root


@njit(nogil=True)
def moments(
    unit: Array, mask: NDArray[np.bool_], poses: Array32, row: int, a: Array, g: Array
) -> None:
    """Fill a (6,) = q^T P and g (6,) = scatter of P over the mask; poses (n, 13, 3)."""
    mean_x, mean_y, mean_z, count = 0.0, 0.0, 0.0, 0
    for i in range(6):
        a[i], g[i] = 0.0, 0.0
    for j in range(mask.shape[0]):
        if mask[j]:
            mean_x += poses[row, j, 0]
            mean_y += poses[row, j, 1]
            mean_z += poses[row, j, 2]
            count += 1
    mean_x, mean_y, mean_z = mean_x / count, mean_y / count, mean_z / count
    for j in range(mask.shape[0]):
        if mask[j]:
            x, y, z = (
                poses[row, j, 0] - mean_x,
                poses[row, j, 1] - mean_y,
                poses[row, j, 2] - mean_z,
            )
            u, v = unit[j, 0], unit[j, 1]
            a[0] += u * x
            a[1] += u * y
            a[2] += u * z
            a[3] += v * x
            a[4] += v * y
            a[5] += v * z
            g[0] += x * x
            g[1] += y * y
            g[2] += z * z
            g[3] += x * y
            g[4] += x * z
            g[5] += y * z


@njit(nogil=True)
def climb(a: Array, g: Array, az: float, el: float, cameras: Cameras) -> tuple[float, float, float]:
    """Climb from a camera to the nearest maximum of ``_value``; returns it and its camera.

    Newton steps from central differences, shortened until they help.
    """
    low, high = cameras.low, cameras.high
    h = 1e-3
    best = _value(a, g, az, el, cameras)
    for _ in range(30):
        fa = _value(a, g, az + h, el, cameras)
        fb = _value(a, g, az - h, el, cameras)
        fc = _value(a, g, az, el + h, cameras)
        fd = _value(a, g, az, el - h, cameras)
        fe = _value(a, g, az + h, el + h, cameras)
        ff = _value(a, g, az - h, el - h, cameras)
        gx, gy = (fa - fb) / (2 * h), (fc - fd) / (2 * h)
        hxx, hyy = (fa + fb - 2 * best) / (h * h), (fc + fd - 2 * best) / (h * h)
        hxy = (fe + ff - fa - fb - fc - fd + 2 * best) / (2 * h * h)
        held = (el <= low and gy <= 0) or (el >= high and gy >= 0)
        if held:  # slide along the limit
            gy, hxy, hyy = 0.0, 0.0, -1.0
        if gx * gx + gy * gy < 1e-14:
            break
        det = hxx * hyy - hxy * hxy
        if hxx < 0 and det > 1e-9:
            dx, dy = -(hyy * gx - hxy * gy) / det, -(hxx * gy - hxy * gx) / det
        else:
            dx, dy = gx, gy
        length = math.sqrt(dx * dx + dy * dy)
        if length > 0.3:
            dx, dy = dx * 0.3 / length, dy * 0.3 / length
        moved = False
        for _ in range(12):
            x, y = az + dx, min(max(el + dy, low), high)
            value = _value(a, g, x, y, cameras)
            if value > best:
                gain = value - best
                az, el, best, moved = x, y, value, True
                break
            dx, dy = dx * 0.35, dy * 0.35
        if not moved or gain < 1e-13:
            break
    return best, az, el


@njit(fastmath=True, nogil=True)
def _grid_values(a: Array, g: Array, cameras: Cameras, per_az: Array, grid: Array) -> float:
    """Fill grid (n_el, n_az) with correlations at the best roll; returns the largest.

    per_az (7, n_az) is scratch. A prior is left to the climbs.
    """
    turns, tilts = cameras.turns, cameras.tilts
    cos_roll, sin_roll, free = cameras.cos_roll, cameras.sin_roll, cameras.free_roll
    n_az, n_el = turns.shape[1], tilts.shape[1]
    for i in range(n_az):
        ca, sa = turns[0, i], turns[1, i]
        per_az[0, i] = ca * ca * g[0] + sa * sa * g[2] + 2 * ca * sa * g[4]
        per_az[1, i] = sa * sa * g[0] + ca * ca * g[2] - 2 * ca * sa * g[4]
        per_az[2, i] = sa * g[3] - ca * g[5]
        per_az[3, i] = a[0] * ca + a[2] * sa
        per_az[4, i] = a[3] * ca + a[5] * sa
        per_az[5, i] = a[0] * sa - a[2] * ca
        per_az[6, i] = a[3] * sa - a[5] * ca
    top = -1.0
    for e in range(n_el):
        ce, se = tilts[0, e], tilts[1, e]
        for i in range(n_az):
            n = per_az[0, i] + se * se * per_az[1, i] + ce * ce * g[1] + 2 * se * ce * per_az[2, i]
            c = per_az[3, i] - se * per_az[6, i] - ce * a[4]
            s = per_az[4, i] + se * per_az[5, i] + ce * a[1]
            length = math.sqrt(c * c + s * s)
            edge = cos_roll * c + sin_roll * abs(s)
            value = length if (free or c >= cos_roll * length) else edge
            value /= math.sqrt(max(n, 1e-12))
            grid[e, i] = value
            top = max(top, value)
    return top


@njit(nogil=True)
def _next_peak(grid: Array, floor: float) -> tuple[int, int]:
    """The highest local maximum above a floor, (-1, -1) if there is none; it is struck out."""
    n_el, n_az = grid.shape
    value, at_e, at_i = floor, -1, -1
    for e in range(n_el):
        for i in range(n_az):
            v = grid[e, i]
            if (
                v > value
                and v >= grid[e, i - 1]
                and v >= grid[e, (i + 1) % n_az]
                and (e == 0 or v >= grid[e - 1, i])
                and (e == n_el - 1 or v >= grid[e + 1, i])
            ):
                value, at_e, at_i = v, e, i
    if at_e >= 0:
        for e in range(max(at_e - 1, 0), min(at_e + 2, n_el)):
            for d in range(-1, 2):
                grid[e, (at_i + d) % n_az] = -2.0
    return at_e, at_i


@njit(nogil=True)
def solve(
    a: Array, g: Array, cameras: Cameras, per_az: Array, grid: Array
) -> tuple[float, float, float]:
    """Best camera of a pair: the highest maxima of a grid of cameras, each climbed.

    Returns its value (see ``_value``; 0 where no camera has the pose the right way round), azimuth
    and elevation.
    """
    best, best_az, best_el = 0.0, 0.0, 0.0
    floor = max(_grid_values(a, g, cameras, per_az, grid) - _SLACK, 0.0)
    for _ in range(_MAX_STARTS):
        e, i = _next_peak(grid, floor)
        if e < 0:
            break
        f, x, y = climb(a, g, cameras.turns[2, i], cameras.tilts[2, e], cameras)
        if f > best:
            best, best_az, best_el = f, x, y
    return best, best_az, best_el


@njit(cache=True, nogil=True, parallel=True)
def solve_poses(unit: Array, mask: NDArray[np.bool_], poses: Array32, cameras: Cameras) -> Array:
    """Azimuth, elevation and roll (n, 3) of a query's best cameras of poses (n, 13, 3)."""
    out = np.zeros((poses.shape[0], 3))
    for i in prange(poses.shape[0]):
        a, g = np.empty(6), np.empty(6)
        grid = np.empty((cameras.tilts.shape[1], cameras.turns.shape[1]))
        per_az = np.empty((7, cameras.turns.shape[1]))
        moments(unit, mask, poses, i, a, g)
        _, out[i, 0], out[i, 1] = solve(a, g, cameras, per_az, grid)
        out[i, 2] = best_roll(a, g, out[i, 0], out[i, 1], cameras)
    return out


@njit(nogil=True)
def _scatter(mask: NDArray[np.bool_], bank: Array32, start: int, stop: int, g: Array32) -> None:
    """Scatter of poses start..stop over the mask into g (6, stop - start)."""
    width = stop - start
    mean = np.zeros((3, width), np.float32)
    count = np.float32(0.0)
    for j in range(mask.shape[0]):
        if mask[j]:
            count += np.float32(1.0)
            for d in range(3):
                column, row = mean[d], bank[j, d, start:stop]
                for i in range(width):
                    column[i] += row[i]
    for d in range(3):
        for i in range(width):
            mean[d, i] /= count
    for s in range(6):
        for i in range(width):
            g[s, i] = np.float32(0.0)
    for j in range(mask.shape[0]):
        if mask[j]:
            xs, ys, zs = bank[j, 0, start:stop], bank[j, 1, start:stop], bank[j, 2, start:stop]
            for i in range(width):
                x, y, z = xs[i] - mean[0, i], ys[i] - mean[1, i], zs[i] - mean[2, i]
                g[0, i] += x * x
                g[1, i] += y * y
                g[2, i] += z * z
                g[3, i] += x * y
                g[4, i] += x * z
                g[5, i] += y * z


@njit(nogil=True)
def _correlate(unit: Array32, mask: NDArray[np.bool_], bank: Array32, start: int, stop: int,
               a: Array32) -> None:  # fmt: skip
    """A = q^T P of poses start..stop into a (6, stop - start)."""
    width = stop - start
    for s in range(6):
        for i in range(width):
            a[s, i] = np.float32(0.0)
    for j in range(mask.shape[0]):
        if mask[j]:
            u, v = unit[j, 0], unit[j, 1]
            xs, ys, zs = bank[j, 0, start:stop], bank[j, 1, start:stop], bank[j, 2, start:stop]
            for i in range(width):
                x, y, z = xs[i], ys[i], zs[i]
                a[0, i] += u * x
                a[1, i] += u * y
                a[2, i] += u * z
                a[3, i] += v * x
                a[4, i] += v * y
                a[5, i] += v * z


@njit(cache=True, nogil=True, parallel=True, fastmath=True)
def view_scores(
    units: Array32, mask: NDArray[np.bool_], bank: Array32, rows6: Array32, squares: Array32
) -> Array32:
    """Best correlation over sampled views of every person (one mask) with every pose.

    Parameters
    ----------
    units : (n_people, 13, 2); bank : (13, 3, n_poses).
    rows6 : (6, n_views) the first two rows of each camera; squares : (6, n_views) factors of
        xx yy zz xy xz yz in n.

    Returns
    -------
    (n_people, n_poses)
    """
    n_people, n_poses, n_views = units.shape[0], bank.shape[2], rows6.shape[1]
    out = np.empty((n_people, n_poses), np.float32)
    n_blocks = (n_poses + _BLOCK - 1) // _BLOCK
    for b in prange(n_blocks):
        start, stop = b * _BLOCK, min((b + 1) * _BLOCK, n_poses)
        width = stop - start
        g = np.empty((6, width), np.float32)
        a = np.empty((6, width), np.float32)
        inverse = np.empty((width, n_views), np.float32)
        _scatter(mask, bank, start, stop, g)
        for i in range(width):
            g0, g1, g2, g3, g4, g5 = g[0, i], g[1, i], g[2, i], g[3, i], g[4, i], g[5, i]
            for v in range(n_views):
                n = (
                    g0 * squares[0, v] + g1 * squares[1, v] + g2 * squares[2, v]
                    + g3 * squares[3, v] + g4 * squares[4, v] + g5 * squares[5, v]
                )  # fmt: skip
                inverse[i, v] = np.float32(1.0) / np.sqrt(max(n, np.float32(1e-10)))
        for p in range(n_people):
            _correlate(units[p], mask, bank, start, stop, a)
            for i in range(width):
                a0, a1, a2, a3, a4, a5 = a[0, i], a[1, i], a[2, i], a[3, i], a[4, i], a[5, i]
                best = np.float32(-1.0)
                for v in range(n_views):
                    c = (
                        a0 * rows6[0, v] + a1 * rows6[1, v] + a2 * rows6[2, v]
                        + a3 * rows6[3, v] + a4 * rows6[4, v] + a5 * rows6[5, v]
                    ) * inverse[i, v]  # fmt: skip
                    best = max(best, c)
                out[p, start + i] = best
    return out
