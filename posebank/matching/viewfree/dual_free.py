"""The dual of ``dual`` where every camera is allowed, as a function of one number.

Without limits there are two multipliers, m1 and m2, of the equalities. With the eigenvalues l_i of
the scatter G, and u_i and v_i the products of the rows of A with its eigenvectors, the quadratic
form falls into blocks of two by two, and the Lagrangian's minimum is ::

    1 - sum_i (l_i |z_i| - Re(conj(m) z_i)) / (l_i^2 - |m|^2)

with ``z_i = (u_i + i v_i)^2`` and ``m = m1 + i m2``, as long as |m| is below the least eigenvalue.
The best m of a given size r points along the sum D = sum_i z_i / (l_i^2 - r^2), which leaves a
concave function of r, ::

    1 - sum_i l_i |z_i| / (l_i^2 - r^2) + r |D|.

The Lagrangian is quadratic, so that any other camera costs more than its minimiser, by at least the
quadratic form of the difference. With the products w_i of the up axis with the eigenvectors, the
image of that axis in the minimiser follows, and the inverse of the form restricted to this image:
from these ``prior.least_over_rolls`` has a bound for each roll.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.compiled import Six, Three, lean, outer

Array = NDArray[np.float64]

_SWEEPS = 8
_STEPS = 30
_FLAT = 1e-5  # least eigenvalue, of the trace, below which rounding would matter


@lean()
def _rotate(i: float, j: float, both: float) -> tuple[float, float, float, float]:
    """Diagonal of a 2 x 2 matrix (i, both; both, j) made diagonal; cosine and sine of the turn."""
    if both == 0.0:
        return i, j, 1.0, 0.0
    slope = (j - i) / (2 * both)
    t = math.copysign(1.0, slope) / (abs(slope) + math.sqrt(slope * slope + 1))
    cos = 1 / math.sqrt(t * t + 1)
    return i - t * both, j + t * both, cos, t * cos


@lean()
def _turn(cos: float, sin: float, i: float, j: float) -> tuple[float, float]:
    return cos * i - sin * j, sin * i + cos * j


@lean()
def _in_principal_axes(a: Array, g: Array) -> tuple[Three, Six, Three]:
    """Eigenvalues of g; the rows of a, and the y axis, in its eigenvectors, by Jacobi's method."""
    x, y, z, xy, xz, yz = g[0], g[1], g[2], g[3], g[4], g[5]
    u0, u1, u2, v0, v1, v2 = a[0], a[1], a[2], a[3], a[4], a[5]
    w0, w1, w2 = 0.0, 1.0, 0.0
    small = 1e-16 * (x + y + z)
    for _ in range(_SWEEPS):
        if abs(xy) + abs(xz) + abs(yz) <= small:
            break
        x, y, c, s = _rotate(x, y, xy)
        xy, (xz, yz) = 0.0, _turn(c, s, xz, yz)
        (u0, u1), (v0, v1) = _turn(c, s, u0, u1), _turn(c, s, v0, v1)
        w0, w1 = _turn(c, s, w0, w1)
        x, z, c, s = _rotate(x, z, xz)
        xz, (xy, yz) = 0.0, _turn(c, s, xy, yz)
        (u0, u2), (v0, v2) = _turn(c, s, u0, u2), _turn(c, s, v0, v2)
        w0, w2 = _turn(c, s, w0, w2)
        y, z, c, s = _rotate(y, z, yz)
        yz, (xy, xz) = 0.0, _turn(c, s, xy, xz)
        (u1, u2), (v1, v2) = _turn(c, s, u1, u2), _turn(c, s, v1, v2)
        w1, w2 = _turn(c, s, w1, w2)
    return (x, y, z), (u0, u1, u2, v0, v1, v2), (w0, w1, w2)


@outer()
def free_dual(a: Array, g: Array, target: float) -> tuple[float, Six]:
    """Lower bound of ``error_norm`` squared over all cameras; stops at ``target``.

    Parameters
    ----------
    a, g : array (6,)
        Sums of the pair, from ``refine.moments``.
    target : float
        Bound that is enough.

    Returns
    -------
    float
        The bound, -1 for poses that are nearly flat.
    up : tuple of 6 floats
        The bound at the last multipliers, the image of the up axis in the camera that minimises
        the Lagrangian there, and the inverse (xx xy yy) of the Lagrangian's quadratic form for
        cameras that see the axis elsewhere. For ``prior.least_over_rolls``.
    """
    (l0, l1, l2), (u0, u1, u2, v0, v1, v2), (w0, w1, w2) = _in_principal_axes(a, g)
    high = min(l0, l1, l2)
    if not high > _FLAT * (l0 + l1 + l2):
        return -1.0, (-1.0, 0.0, 0.0, 1.0, 0.0, 1.0)
    x0, x1, x2 = u0 * u0 - v0 * v0, u1 * u1 - v1 * v1, u2 * u2 - v2 * v2
    y0, y1, y2 = 2 * u0 * v0, 2 * u1 * v1, 2 * u2 * v2
    n0, n1, n2 = l0 * (u0 * u0 + v0 * v0), l1 * (u1 * u1 + v1 * v1), l2 * (u2 * u2 + v2 * v2)
    low, r, best = 0.0, 0.0, 0.0
    for _ in range(_STEPS):
        size = r
        s0, s1, s2 = 1 / (l0 * l0 - r * r), 1 / (l1 * l1 - r * r), 1 / (l2 * l2 - r * r)
        x, y = x0 * s0 + x1 * s1 + x2 * s2, y0 * s0 + y1 * s1 + y2 * s2
        length = math.sqrt(x * x + y * y)
        bound = 1 - n0 * s0 - n1 * s1 - n2 * s2 + r * length
        best = max(best, bound)
        if best >= target or length < 1e-12:
            break
        # Derivatives of s by r, halved: r s^2 and s^2 + 4 r^2 s^3.
        d0, d1, d2 = r * s0 * s0, r * s1 * s1, r * s2 * s2
        e0, e1 = s0 * s0 + 4 * r * d0 * s0, s1 * s1 + 4 * r * d1 * s1
        e2 = s2 * s2 + 4 * r * d2 * s2
        dx, dy = 2 * (x0 * d0 + x1 * d1 + x2 * d2), 2 * (y0 * d0 + y1 * d1 + y2 * d2)
        ex, ey = 2 * (x0 * e0 + x1 * e1 + x2 * e2), 2 * (y0 * e0 + y1 * e1 + y2 * e2)
        by_r = (x * dx + y * dy) / length
        bend = (dx * dx + dy * dy + x * ex + y * ey - by_r * by_r) / length
        slope = length + r * by_r - 2 * (n0 * d0 + n1 * d1 + n2 * d2)
        curve = 2 * by_r + r * bend - 2 * (n0 * e0 + n1 * e1 + n2 * e2)
        if slope > 0:
            low = r
        else:
            high = r
        step = -slope / curve if curve < 0 else high - low
        if abs(step * slope) < 1e-14:
            break
        r += step
        if not low < r < high:
            r = 0.5 * (low + high)
    # The multipliers, and with them the inverse of each block of the form.
    m1, m2 = (size * x / length, size * y / length) if length > 0 else (size, 0.0)
    p0, p1, p2 = w0 * s0, w1 * s1, w2 * s2
    along, across = p0 * l0 * u0 + p1 * l1 * u1 + p2 * l2 * u2, p0 * u0 + p1 * u1 + p2 * u2
    down, aside = p0 * l0 * v0 + p1 * l1 * v1 + p2 * l2 * v2, p0 * v0 + p1 * v1 + p2 * v2
    form, both = p0 * w0 * l0 + p1 * w1 * l1 + p2 * w2 * l2, p0 * w0 + p1 * w1 + p2 * w2
    return best, (
        bound,
        along - m1 * across - m2 * aside,
        down + m1 * aside - m2 * across,
        form - m1 * both,
        -m2 * both,
        form + m1 * both,
    )
