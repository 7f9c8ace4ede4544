"""The camera prior's penalty inside the compiled loops; ``geometry.camera_prior`` defines it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.camera_prior import N_ELEVATIONS, N_ROLLS, STEP
from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.compiled import Four, Six, inner, lean

Array = NDArray[np.float64]

_SMALL = 64  # control values
_PER_RADIAN = 1 / STEP


@lean()
def _spline_weights(t: float) -> tuple[Four, Four, Four]:
    """Weights of four control values, their slopes and second derivatives by t."""
    s = 1.0 - t
    first, last = s * s * s * (1 / 6), t * t * t * (1 / 6)
    second = 3 * last - t * t + 2 / 3
    by_first, by_second, by_last = -0.5 * s * s, 1.5 * t * t - 2 * t, 0.5 * t * t
    return (
        (first, second, 1 - first - second - last, last),
        (by_first, by_second, -by_first - by_second - by_last, by_last),
        (s, 3 * t - 2, 1 - 3 * t, t),
    )


@lean()
def penalty_at(table: Array, elevation: float, roll: float) -> Six:
    """Penalty of a camera and its derivatives: p, by e, by r, by ee, er, rr.

    Parameters
    ----------
    table : array (40, 76)
        Control values of the spline, ``Cameras.table``.
    elevation, roll : float
        The camera, radians.
    """
    x, y = (elevation + 0.5 * math.pi) * _PER_RADIAN, (roll + math.pi) * _PER_RADIAN
    y -= N_ROLLS * math.floor(y * (1 / N_ROLLS))
    row, column = int(x), min(int(y), N_ROLLS - 1)
    u, by_u, bend_u = _spline_weights(x - row)
    v, by_v, bend_v = _spline_weights(y - column)
    p, pe, pr, pee, per, prr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(4):
        c0, c1 = table[row + i, column], table[row + i, column + 1]
        c2, c3 = table[row + i, column + 2], table[row + i, column + 3]
        value = v[0] * c0 + v[1] * c1 + v[2] * c2 + v[3] * c3
        slope = by_v[0] * c0 + by_v[1] * c1 + by_v[2] * c2 + by_v[3] * c3
        bend = bend_v[0] * c0 + bend_v[1] * c1 + bend_v[2] * c2 + bend_v[3] * c3
        p, pe, pee = p + u[i] * value, pe + by_u[i] * value, pee + bend_u[i] * value
        pr, per, prr = pr + u[i] * slope, per + by_u[i] * slope, prr + u[i] * bend
    f = _PER_RADIAN * _PER_RADIAN
    return p, pe * _PER_RADIAN, pr * _PER_RADIAN, pee * f, per * f, prr * f


@inner()
def least_penalty(table: Array, part: Array) -> float:
    """Lower bound of the penalty of a part of the cameras.

    The spline is nowhere below the control values that it uses; in a small part it is also not
    farther below the value in the middle than its steepest slopes allow.

    Parameters
    ----------
    table : array (40, 76)
        Control values of the spline, ``Cameras.table``.
    part : array (6 or more,)
        Lowest and highest elevation, azimuth and roll.
    """
    x1, x2 = (part[0] + 0.5 * math.pi) / STEP, (part[1] + 0.5 * math.pi) / STEP
    y1, y2 = (part[4] + math.pi) / STEP, (part[5] + math.pi) / STEP
    r1, r2 = math.floor(x1) - 1, math.floor(x2) + 2
    c1, c2 = math.floor(y1) - 1, math.floor(y2) + 2
    c2 = min(c2, c1 + N_ROLLS - 1)
    small = (r2 - r1) * (c2 - c1) <= _SMALL
    least, by_row, by_column = np.inf, 0.0, 0.0
    for i in range(r1, r2 + 1):
        r = min(max(i, 0), N_ELEVATIONS - 1) + 1
        above = min(max(i + 1, 0), N_ELEVATIONS - 1) + 1 if i < r2 else r
        for j in range(c1, c2 + 1):
            value = table[r, j % N_ROLLS + 1]
            least = min(least, value)
            if small:
                by_row = max(by_row, abs(table[above, j % N_ROLLS + 1] - value))
                if j < c2:
                    by_column = max(by_column, abs(table[r, (j + 1) % N_ROLLS + 1] - value))
    if small:
        middle = penalty_at(table, 0.5 * (part[0] + part[1]), 0.5 * (part[4] + part[5]))[0]
        least = max(least, middle - 0.5 * (by_row * (x2 - x1) + by_column * (y2 - y1)))
    return least


@lean()
def _away(rolls: Array, edge: int, up: Six) -> float:
    """Quadratic form of the difference of up from the ray at an edge of the rolls."""
    x, y = rolls[edge, 0], rolls[edge, 1]
    p, q, xx, xy, yy = up[1], up[2], up[3], up[4], up[5]
    det = xx * yy - xy * xy
    squared = (p * (yy * p - xy * q) + q * (xx * q - xy * p)) / det
    along = x * (yy * p - xy * q) + y * (xx * q - xy * p)
    if along > 0:
        squared -= along * along / (det * (yy * x * x - 2 * xy * x * y + xx * y * y))
    return squared


@inner()
def least_over_rolls(cameras: Cameras, up: Six) -> float:
    """Lower bound of the cost squared of a pose, with the prior's penalty of the rolls.

    A camera with a roll in a cell projects the up axis into a cone: it costs at least the bound of
    any camera, the least of the quadratic form over the cone, and the least penalty of the cell.
    Cells farther away matter only if their penalty is lower.

    Parameters
    ----------
    cameras : Cameras
        Cameras allowed.
    up : tuple of 6 floats
        A bound over all cameras, the image of the up axis in the camera that has it, and the
        inverse (xx xy yy) of the quadratic form of differences from it.
    """
    rolls, n_cells = cameras.rolls, cameras.lower_rolls.shape[0]
    own = min(int((math.atan2(up[1], -up[2]) + math.pi) * _PER_RADIAN), n_cells - 1)
    least = rolls[own, 2]
    for way in range(2):  # upwards to the lowest roll of a cell, downwards to the highest
        cell = cameras.lower_rolls[own, way]
        while cell >= 0:
            least = min(least, rolls[cell, 2] + max(_away(rolls, cell + way, up), 0.0))
            cell = cameras.lower_rolls[cell, way]
    return up[0] + least
