"""The camera prior's penalty inside the compiled loops; ``geometry.camera_prior`` defines it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.camera_prior import N_ELEVATIONS, N_ROLLS, STEP
from posebank.matching.viewfree.compiled import inner

Array = NDArray[np.float64]

_SMALL = 64  # control values


@inner()
def _spline_weights(t: float, out: Array) -> None:
    """Weights of four control values, their slopes and second derivatives by t, into out (3, 4)."""
    s = 1.0 - t
    out[0, 0], out[0, 3] = s * s * s / 6, t * t * t / 6
    out[0, 1] = (3 * t * t * t - 6 * t * t + 4) / 6
    out[0, 2] = 1 - out[0, 0] - out[0, 1] - out[0, 3]
    out[1, 0], out[1, 3] = -0.5 * s * s, 0.5 * t * t
    out[1, 1] = 1.5 * t * t - 2 * t
    out[1, 2] = -out[1, 0] - out[1, 1] - out[1, 3]
    out[2, 0], out[2, 1], out[2, 2], out[2, 3] = s, 3 * t - 2, 1 - 3 * t, t


@inner()
def penalty_at(table: Array, elevation: float, roll: float, work: Array, out: Array) -> None:
    """Penalty of a camera and its derivatives into out (6,): p, by e, by r, by ee, er, rr.

    Parameters
    ----------
    table : array (37, 72)
        Control values of the spline.
    elevation, roll : float
        The camera, radians.
    work : array (2, 3, 4)
        Working array.
    out : array (6,)
        Receives the penalty and its derivatives.
    """
    x, y = (elevation + 0.5 * math.pi) / STEP, (roll + math.pi) / STEP
    row, column = math.floor(x), math.floor(y)
    _spline_weights(x - row, work[0])
    _spline_weights(y - column, work[1])
    out[:] = 0.0
    for i in range(4):
        r = min(max(row + i - 1, 0), N_ELEVATIONS - 1)
        value, slope, bend = 0.0, 0.0, 0.0
        for j in range(4):
            control = table[r, (column + j - 1) % N_ROLLS]
            value += work[1, 0, j] * control
            slope += work[1, 1, j] * control
            bend += work[1, 2, j] * control
        out[0] += work[0, 0, i] * value
        out[1] += work[0, 1, i] * value
        out[2] += work[0, 0, i] * slope
        out[3] += work[0, 2, i] * value
        out[4] += work[0, 1, i] * slope
        out[5] += work[0, 0, i] * bend
    out[1] /= STEP
    out[2] /= STEP
    out[3] /= STEP * STEP
    out[4] /= STEP * STEP
    out[5] /= STEP * STEP


@inner()
def least_penalty(table: Array, part: Array, work: Array, out: Array) -> float:
    """Lower bound of the penalty of a part of the cameras.

    The spline is nowhere below the control values that it uses; in a small part it is also not
    farther below the value in the middle than its steepest slopes allow.

    Parameters
    ----------
    table : array (37, 72)
        Control values of the spline.
    part : array (6 or more,)
        Lowest and highest elevation, azimuth and roll.
    work, out : array
        Working arrays of ``penalty_at``.
    """
    x1, x2 = (part[0] + 0.5 * math.pi) / STEP, (part[1] + 0.5 * math.pi) / STEP
    y1, y2 = (part[4] + math.pi) / STEP, (part[5] + math.pi) / STEP
    r1, r2 = math.floor(x1) - 1, math.floor(x2) + 2
    c1, c2 = math.floor(y1) - 1, math.floor(y2) + 2
    c2 = min(c2, c1 + N_ROLLS - 1)
    small = (r2 - r1) * (c2 - c1) <= _SMALL
    least, by_row, by_column = np.inf, 0.0, 0.0
    for i in range(r1, r2 + 1):
        r = min(max(i, 0), N_ELEVATIONS - 1)
        above = min(max(i + 1, 0), N_ELEVATIONS - 1) if i < r2 else r
        for j in range(c1, c2 + 1):
            value = table[r, j % N_ROLLS]
            least = min(least, value)
            if small:
                by_row = max(by_row, abs(table[above, j % N_ROLLS] - value))
                if j < c2:
                    by_column = max(by_column, abs(table[r, (j + 1) % N_ROLLS] - value))
    if small:
        penalty_at(table, 0.5 * (part[0] + part[1]), 0.5 * (part[4] + part[5]), work, out)
        least = max(least, out[0] - 0.5 * (by_row * (x2 - x1) + by_column * (y2 - y1)))
    return least
