"""Cameras of a pair of a person and a pose, improved by Newton's method on rotations; compiled.

For a person with annotated joints m and query q (centred on them, norm 1, 0 elsewhere) and a pose
P, everything a camera needs is in two small arrays: ``A = q^T P`` (2 x 3; q is centred, so P need
not be) and the scatter ``G`` (3 x 3) of P about the mean of the joints m. For a camera whose first
two rows are r1, r2 the best scale gives

    error_norm^2 = 1 - c^2 / n,   c = a1.r1 + a2.r2 (> 0),   n = r1 G r1 + r2 G r2.

A camera R is moved to ``exp([omega]x) R``. In the camera's own axes, W = A R^T and H = R G R^T give
the first and second derivatives of c and n by omega at 0, and so a Newton step that knows no poles.
With a prior or limits, which are of elevation and roll, the same derivatives are taken by azimuth,
elevation and roll: there the prior's are known and the limits are a box (Bertsekas 1982, projected
Newton methods).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.compiled import (
    Nine,
    Six,
    Three,
    constant,
    inner,
    lean,
    outer,
)
from posebank.matching.viewfree.prior import penalty_at
from posebank.matching.viewfree.threads import on_threads

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Flags = NDArray[np.bool_]

_LONGEST = 0.5  # radians of one step
_SHORTER = 0.35
_TRIALS = 6
_POLE = 0.5 * math.pi - 1e-7  # highest elevation, where roll is still determined
_POSES = 32  # refined in one call
_MANY_STEPS, _NO_STEPS = constant(40), constant(0)
_FLAT = 1e-3  # of the scatter's trace, added to it for the affine start


class View(NamedTuple):
    """A camera of a pair, and what it sees.

    r : (9,) rotation, row by row; w : (6,) A R^T; angles : (2,) elevation and roll, where limits or
    a prior need them; penalty : (1,) of the prior.
    """

    r: Array
    w: Array
    angles: Array
    penalty: Array


@outer()
def new_view() -> View:
    """Room for one camera."""
    return View(np.zeros(9), np.zeros(6), np.zeros(2), np.zeros(1))


@lean()
def _six(x: Array) -> Six:
    return x[0], x[1], x[2], x[3], x[4], x[5]


@lean()
def _nine(x: Array) -> Nine:
    return x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8]


@lean()
def _put_nine(values: Nine, out: Array) -> None:
    # A tuple is assigned to a slice through a temporary array.
    out[0], out[1], out[2], out[3], out[4] = values[0], values[1], values[2], values[3], values[4]
    out[5], out[6], out[7], out[8] = values[5], values[6], values[7], values[8]


@outer()
def moments(unit: Array, mask: Flags, poses: Array32, row: int, a: Array, g: Array) -> None:
    """Fill a (6,) = q^T P and g (6: xx yy zz xy xz yz) = scatter of P; poses (n, 13, 3)."""
    sx, sy, sz, count = 0.0, 0.0, 0.0, 0.0
    a0, a1, a2, a3, a4, a5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    g0, g1, g2, g3, g4, g5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(mask.shape[0]):
        if mask[j]:
            x = np.float64(poses[row, j, 0])
            y, z = np.float64(poses[row, j, 1]), np.float64(poses[row, j, 2])
            u, v = unit[j, 0], unit[j, 1]
            count += 1.0
            sx, sy, sz = sx + x, sy + y, sz + z
            a0, a1, a2 = a0 + u * x, a1 + u * y, a2 + u * z
            a3, a4, a5 = a3 + v * x, a4 + v * y, a5 + v * z
            g0, g1, g2 = g0 + x * x, g1 + y * y, g2 + z * z
            g3, g4, g5 = g3 + x * y, g4 + x * z, g5 + y * z
    a[0], a[1], a[2], a[3], a[4], a[5] = a0, a1, a2, a3, a4, a5
    g[0], g[1], g[2] = g0 - sx * sx / count, g1 - sy * sy / count, g2 - sz * sz / count
    g[3], g[4], g[5] = g3 - sx * sy / count, g4 - sx * sz / count, g5 - sy * sz / count


@lean()
def _apply(x: Six, r: Nine) -> Six:
    """The products of the rows of x (2 x 3) with those of a rotation: w."""
    return (
        x[0] * r[0] + x[1] * r[1] + x[2] * r[2],
        x[0] * r[3] + x[1] * r[4] + x[2] * r[5],
        x[0] * r[6] + x[1] * r[7] + x[2] * r[8],
        x[3] * r[0] + x[4] * r[1] + x[5] * r[2],
        x[3] * r[3] + x[4] * r[4] + x[5] * r[5],
        x[3] * r[6] + x[4] * r[7] + x[5] * r[8],
    )


@lean()
def _rotate_scatter(g: Six, r: Nine) -> Six:
    """The scatter g (xx yy zz xy xz yz) in the axes of a rotation: h."""
    x0, y0 = g[0] * r[0] + g[3] * r[1] + g[4] * r[2], g[3] * r[0] + g[1] * r[1] + g[5] * r[2]
    z0 = g[4] * r[0] + g[5] * r[1] + g[2] * r[2]
    x1, y1 = g[0] * r[3] + g[3] * r[4] + g[4] * r[5], g[3] * r[3] + g[1] * r[4] + g[5] * r[5]
    z1 = g[4] * r[3] + g[5] * r[4] + g[2] * r[5]
    h0, h1 = x0 * r[0] + y0 * r[1] + z0 * r[2], x1 * r[3] + y1 * r[4] + z1 * r[5]
    return (
        h0,
        h1,
        g[0] + g[1] + g[2] - h0 - h1,
        x0 * r[3] + y0 * r[4] + z0 * r[5],
        x0 * r[6] + y0 * r[7] + z0 * r[8],
        x1 * r[6] + y1 * r[7] + z1 * r[8],
    )


@lean()
def _rotation_of(turns: Six) -> Nine:
    """The rotation of a camera, row by row.

    turns : cosine and sine of azimuth, elevation and roll.
    """
    ca, sa, ce, se, cr, sr = turns
    # Rows of Rx(elevation) diag(1, -1, -1) Ry(azimuth), then Rz(roll).
    vx, vy, vz = -se * sa, -ce, se * ca
    return (
        cr * ca - sr * vx,
        -sr * vy,
        cr * sa - sr * vz,
        sr * ca + cr * vx,
        cr * vy,
        sr * sa + cr * vz,
        ce * sa,
        -se,
        -ce * ca,
    )


@lean()
def _turns_of(r: Nine) -> Six:
    """Cosine and sine of a camera's azimuth, elevation and roll."""
    cr, sr = _turn_of_roll(r)
    return (
        cr * r[0] + sr * r[3],
        cr * r[2] + sr * r[5],
        math.sqrt(r[1] * r[1] + r[4] * r[4]),
        -r[7],
        cr,
        sr,
    )


@lean()
def _turn_of_roll(r: Nine) -> tuple[float, float]:
    """Cosine and sine of a camera's roll, which is 0 at a pole."""
    length = math.sqrt(r[1] * r[1] + r[4] * r[4])
    return (-r[4] / length, r[1] / length) if length > 1e-12 else (1.0, 0.0)


@lean()
def _turn_more(cos: float, sin: float, more: float) -> tuple[float, float]:
    """Cosine and sine of an angle that is increased by at most ``_LONGEST``."""
    # By their series: faster than the library's functions, and than divisions.
    x = more * more
    s = 1 - x * (1 / 72) * (1 - x * (1 / 110) * (1 - x * (1 / 156)))
    s = more * (1 - x * (1 / 6) * (1 - x * (1 / 20) * (1 - x * (1 / 42) * s)))
    c = 1 - x * (1 / 56) * (1 - x * (1 / 90) * (1 - x * (1 / 132) * (1 - x * (1 / 182))))
    c = 1 - x * (1 / 2) * (1 - x * (1 / 12) * (1 - x * (1 / 30) * c))
    return cos * c - sin * s, sin * c + cos * s


@outer()
def set_camera(view: View, azimuth: float, elevation: float, roll: float) -> None:
    """Set the rotation of the view from its angles, radians."""
    turns = (
        math.cos(azimuth),
        math.sin(azimuth),
        math.cos(elevation),
        math.sin(elevation),
        math.cos(roll),
        math.sin(roll),
    )
    _put_nine(_rotation_of(turns), view.r)


@lean()
def _settle(cameras: Cameras, view: View) -> None:
    """Move the view's camera within the limits, and note its angles, where they matter."""
    if cameras.limited or cameras.has_prior:
        r, angles = _nine(view.r), view.angles
        elevation, roll = math.asin(min(max(-r[7], -1.0), 1.0)), math.atan2(r[1], -r[4])
        angles[0], angles[1] = _within(cameras, elevation, roll)
        if angles[0] != elevation or angles[1] != roll:
            turns = _turns_of(r)
            set_camera(view, math.atan2(turns[1], turns[0]), angles[0], angles[1])


@lean()
def _within(cameras: Cameras, elevation: float, roll: float) -> tuple[float, float]:
    """Elevation and roll moved within the limits."""
    elevation = min(max(elevation, cameras.min_elevation, -_POLE), cameras.max_elevation, _POLE)
    if cameras.max_roll < math.pi:
        roll = min(max(roll, -cameras.max_roll), cameras.max_roll)
    return elevation, roll


@lean()
def _error_squared(w: Six, h: Six) -> float:
    """``error_norm`` squared, 1 or more where the scale is not positive."""
    c = w[0] + w[4]
    return 1.0 - c * abs(c) / max(h[0] + h[1], 1e-12)


@lean()
def _derivatives(w: Six, h: Six) -> tuple[Three, Six]:
    """Gradient and Hessian (11 22 33 12 13 23) of ``error_norm`` squared by omega."""
    c, n = w[0] + w[4], max(h[0] + h[1], 1e-12)
    c1, c2, c3 = -w[5], w[2], w[3] - w[1]
    n1, n2 = -2 * h[5], 2 * h[4]
    s = abs(c)
    p, t = 2 * s / n, c * s / (n * n)  # -F' = -p c' + t n'
    sign = 1.0 if c >= 0 else -1.0
    cc, cn, nn = -2 * sign / n, 2 * s / (n * n), -2 * t / n
    m12 = cc * c1 * c2 + cn * (c1 * n2 + c2 * n1) + nn * n1 * n2
    return (-p * c1 + t * n1, -p * c2 + t * n2, -p * c3), (
        cc * c1 * c1 + 2 * cn * c1 * n1 + nn * n1 * n1 + p * w[4] - 2 * t * (h[1] - h[2]),
        cc * c2 * c2 + 2 * cn * c2 * n2 + nn * n2 * n2 + p * w[0] - 2 * t * (h[0] - h[2]),
        cc * c3 * c3 + p * c,
        m12 - 0.5 * p * (w[1] + w[3]) + 2 * t * h[3],
        cc * c1 * c3 + cn * n1 * c3 - 0.5 * p * w[2] - t * h[4],
        cc * c2 * c3 + cn * n2 * c3 - 0.5 * p * w[5] - t * h[5],
    )


@lean()
def _by_angles(q: Three, m: Six, r: Nine, penalty: Six) -> tuple[Three, Six]:
    """Turn derivatives by omega into those of the cost squared by azimuth, elevation and roll.

    penalty : the prior's, with its derivatives by elevation and roll.
    """
    # The angles turn the camera about the axes u = R (0, 1, 0), v = (cos, sin, 0) of roll, and z.
    u0, u1, u2 = r[1], r[4], r[7]
    v0, v1 = _turn_of_roll(r)
    mu0 = m[0] * u0 + m[3] * u1 + m[4] * u2
    mu1 = m[3] * u0 + m[1] * u1 + m[5] * u2
    mu2 = m[4] * u0 + m[5] * u1 + m[2] * u2
    mv0, mv1, mv2 = m[0] * v0 + m[3] * v1, m[3] * v0 + m[1] * v1, m[4] * v0 + m[5] * v1
    # Turns about two axes one after the other: half their cross product is of second order.
    both = 0.5 * (q[0] * v1 * u2 - q[1] * v0 * u2 + q[2] * (v0 * u1 - v1 * u0))
    return (
        (
            q[0] * u0 + q[1] * u1 + q[2] * u2,
            q[0] * v0 + q[1] * v1 + penalty[1],
            q[2] + penalty[2],
        ),
        (
            u0 * mu0 + u1 * mu1 + u2 * mu2,
            v0 * mv0 + v1 * mv1 + penalty[3],
            m[2] + penalty[5],
            u0 * mv0 + u1 * mv1 + u2 * mv2 + both,
            mu2 + 0.5 * (q[1] * u0 - q[0] * u1),
            mv2 + 0.5 * (q[1] * v0 - q[0] * v1) + penalty[4],
        ),
    )


@lean()
def _held(cameras: Cameras, elevation: float, roll: float, q: Three, m: Six) -> tuple[Three, Six]:
    """Derivatives without an angle at its limit that descends beyond it: its step will be 0."""
    low, high = max(cameras.min_elevation, -_POLE), min(cameras.max_elevation, _POLE)
    if (elevation <= low and q[1] > 0) or (elevation >= high and q[1] < 0):
        q, m = (q[0], 0.0, q[2]), (m[0], 1.0, m[2], 0.0, m[4], 0.0)
    most = cameras.max_roll
    if most < math.pi and ((roll <= -most and q[2] > 0) or (roll >= most and q[2] < 0)):
        q, m = (q[0], q[1], 0.0), (m[0], m[1], 1.0, m[3], 0.0, 0.0)
    return q, m


@lean()
def _newton_step(q: Three, m: Six) -> Three:
    """Step -M^-1 q, M (11 22 33 12 13 23) raised until its pivots are positive; not too long."""
    least = 1e-3 * (abs(m[0]) + abs(m[1]) + abs(m[2])) + 1e-12
    more, x, y, z = 0.0, -q[0], -q[1], -q[2]
    for _ in range(20):
        d1 = m[0] + more
        l21, l31 = m[3] / d1, m[4] / d1
        d2 = m[1] + more - l21 * m[3]
        k = m[5] - l31 * m[3]
        l32 = k / d2
        d3 = m[2] + more - l31 * m[4] - l32 * k
        if d1 > least and d2 > least and d3 > least:
            y = -q[1] + l21 * q[0]
            z = (-q[2] + l31 * q[0] - l32 * y) / d3
            y = y / d2 - l32 * z
            x = -q[0] / d1 - l21 * y - l31 * z
            break
        more = 4 * more if more > 0 else 30 * least
    share = min(1.0, _LONGEST / max(math.sqrt(x * x + y * y + z * z), 1e-300))
    return share * x, share * y, share * z


@lean()
def _turned(r: Nine, x: float, y: float, z: float) -> Nine:
    """The rotation turned by (x, y, z) about the camera's axes."""
    # The quaternion (1, omega / 2), made a unit one: a rotation, equal to exp to second order.
    x, y, z = 0.5 * x, 0.5 * y, 0.5 * z
    f = 2 / (1 + x * x + y * y + z * z)
    m00, m11, m22 = 1 - f * (y * y + z * z), 1 - f * (x * x + z * z), 1 - f * (x * x + y * y)
    m01, m10 = f * (x * y - z), f * (x * y + z)
    m02, m20 = f * (x * z + y), f * (x * z - y)
    m12, m21 = f * (y * z - x), f * (y * z + x)
    return (
        m00 * r[0] + m01 * r[3] + m02 * r[6],
        m00 * r[1] + m01 * r[4] + m02 * r[7],
        m00 * r[2] + m01 * r[5] + m02 * r[8],
        m10 * r[0] + m11 * r[3] + m12 * r[6],
        m10 * r[1] + m11 * r[4] + m12 * r[7],
        m10 * r[2] + m11 * r[5] + m12 * r[8],
        m20 * r[0] + m21 * r[3] + m22 * r[6],
        m20 * r[1] + m21 * r[4] + m22 * r[7],
        m20 * r[2] + m21 * r[5] + m22 * r[8],
    )


@outer()
def refine(a: Array, g: Array, cameras: Cameras, view: View, steps: int, tolerance: float) -> float:
    """Improve the view's camera by Newton steps; returns its cost squared, as ``measure``.

    Parameters
    ----------
    a, g : array (6,)
        Sums of the pair, from ``moments``.
    cameras : Cameras
        Cameras that are allowed, and their prior.
    view : View
        The camera to begin with; receives the refined one.
    steps : int
        Largest number of steps.
    tolerance : float
        Gain of a step below which the refinement ends.
    """
    _settle(cameras, view)
    by_angles = cameras.limited or cameras.has_prior
    products, scatter = _six(a), _six(g)
    r, elevation, roll = _nine(view.r), view.angles[0], view.angles[1]
    w, h, turns = _apply(products, r), _rotate_scatter(scatter, r), _turns_of(r)
    penalty = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    if cameras.has_prior:
        penalty = penalty_at(cameras.table, elevation, roll)
    best = _error_squared(w, h) + penalty[0]
    for _ in range(steps):
        q, m = _derivatives(w, h)
        if by_angles:
            q, m = _by_angles(q, m, r, penalty)
            q, m = _held(cameras, elevation, roll, q, m)
        x, y, z = _newton_step(q, m)
        gain = -1.0
        for _ in range(_TRIALS):
            new_elevation, new_roll, new_turns, new_penalty = elevation, roll, turns, penalty
            if by_angles:
                new_elevation, new_roll = _within(cameras, elevation + y, roll + z)
                ca, sa = _turn_more(turns[0], turns[1], x)
                ce, se = _turn_more(turns[2], turns[3], new_elevation - elevation)
                cr, sr = _turn_more(turns[4], turns[5], new_roll - roll)
                new_turns = (ca, sa, ce, se, cr, sr)
                new_r = _rotation_of(new_turns)
                if cameras.has_prior:
                    new_penalty = penalty_at(cameras.table, new_elevation, new_roll)
            else:
                new_r = _turned(r, x, y, z)
            new_w, new_h = _apply(products, new_r), _rotate_scatter(scatter, new_r)
            squared = _error_squared(new_w, new_h) + new_penalty[0]
            if squared < best:
                gain = best - squared
                break
            x, y, z = _SHORTER * x, _SHORTER * y, _SHORTER * z
        if gain < 0:
            break
        best, r, w, h, turns, penalty = squared, new_r, new_w, new_h, new_turns, new_penalty
        elevation, roll = new_elevation, new_roll
        if gain < tolerance:
            break
    _put_nine(r, view.r)
    for i in range(6):
        view.w[i] = w[i]
    view.angles[0], view.angles[1] = elevation, roll
    view.penalty[0] = penalty[0]
    return best


@outer()
def measure(a: Array, g: Array, cameras: Cameras, view: View) -> float:
    """Cost squared of the view's camera, which is first moved within the limits.

    1 or more where the scale would not be positive, so that a step towards a positive one pays.
    """
    return refine(a, g, cameras, view, _NO_STEPS, 0.0)


@inner()
def best_roll(a: Array, view: View) -> None:
    """Turn the view's camera about its axis to where the pose fits best, without a prior."""
    r = view.r
    c = a[0] * r[0] + a[1] * r[1] + a[2] * r[2] + a[3] * r[3] + a[4] * r[4] + a[5] * r[5]
    s = a[3] * r[0] + a[4] * r[1] + a[5] * r[2] - a[0] * r[3] - a[1] * r[4] - a[2] * r[5]
    length = math.sqrt(c * c + s * s)
    if length < 1e-12:
        return
    c, s = c / length, s / length
    for i in range(3):
        u, v = r[i], r[3 + i]
        r[i], r[3 + i] = c * u - s * v, s * u + c * v


@inner()
def towards(a: Array, view: View, x: float, y: float, z: float) -> bool:
    """Set the view to the camera looking along (x, y, z) with the best roll; False if it is 0."""
    length = math.sqrt(x * x + y * y + z * z)
    if not length > 1e-12:
        return False
    x, y, z = x / length, y / length, z / length
    r = view.r
    # A first row across: with the axis on which the direction is the least.
    ux, uy, uz = 0.0, z, -y
    if abs(y) < abs(x) and abs(y) <= abs(z):
        ux, uy, uz = -z, 0.0, x
    elif abs(z) < abs(x) and abs(z) < abs(y):
        ux, uy, uz = y, -x, 0.0
    length = math.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux / length, uy / length, uz / length
    r[0], r[1], r[2] = ux, uy, uz
    r[3], r[4], r[5] = y * uz - z * uy, z * ux - x * uz, x * uy - y * ux
    r[6], r[7], r[8] = x, y, z
    best_roll(a, view)
    return True


@inner()
def invert(g: Array, more: float, out: Array) -> float:
    """Inverse of the scatter g (6) + more I into out (6); returns the determinant."""
    xx, yy, zz = g[0] + more, g[1] + more, g[2] + more
    xy, xz, yz = g[3], g[4], g[5]
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    det = xx * a + xy * b + xz * c
    inverse = 1 / max(det, 1e-300)
    out[0], out[3], out[4] = a * inverse, b * inverse, c * inverse
    out[1], out[2] = (xx * zz - xz * xz) * inverse, (xx * yy - xy * xy) * inverse
    out[5] = (xy * xz - xx * yz) * inverse
    return det


@outer()
def affine_start(a: Array, g: Array, inverse: Array, view: View) -> bool:
    """Set the view to the camera that looks along the kernel of the best affine camera.

    inverse : (6,) scratch. Returns False where there is none.
    """
    invert(g, _FLAT * (g[0] + g[1] + g[2]), inverse)
    i = inverse
    b0 = a[0] * i[0] + a[1] * i[3] + a[2] * i[4]
    b1 = a[0] * i[3] + a[1] * i[1] + a[2] * i[5]
    b2 = a[0] * i[4] + a[1] * i[5] + a[2] * i[2]
    b3 = a[3] * i[0] + a[4] * i[3] + a[5] * i[4]
    b4 = a[3] * i[3] + a[4] * i[1] + a[5] * i[5]
    b5 = a[3] * i[4] + a[4] * i[5] + a[5] * i[2]
    return towards(a, view, b1 * b5 - b2 * b4, b2 * b3 - b0 * b5, b0 * b4 - b1 * b3)


@lean()
def affine_up(a: Array, g: Array, flat: float, inverse: Array) -> Six:
    """Bound of the best affine camera, and the image of the up axis in it.

    Parameters
    ----------
    a, g : array (6,)
        Sums of the pair, from ``moments``.
    flat : float
        Determinant of the scatter, of its trace cubed, below which there is no bound (-1).
    inverse : array (6,)
        Receives the inverse of the scatter.

    Returns
    -------
    The bound, the image of the up axis, and the inverse (xx xy yy) of the quadratic form of
    differences from it: the argument of ``prior.least_over_rolls``.
    """
    trace = g[0] + g[1] + g[2]
    i = inverse
    if not invert(g, 0.0, i) > flat * trace * trace * trace:
        return -1.0, 0.0, 0.0, 1.0, 0.0, 1.0
    bound = 1.0
    for c in range(2):
        x, y, z = a[3 * c], a[3 * c + 1], a[3 * c + 2]
        bound -= x * (i[0] * x + 2 * i[3] * y + 2 * i[4] * z) + y * (i[1] * y + 2 * i[5] * z)
        bound -= i[2] * z * z
    p, q = a[0] * i[3] + a[1] * i[1] + a[2] * i[5], a[3] * i[3] + a[4] * i[1] + a[5] * i[5]
    return bound, p, q, i[1], 0.0, i[1]


@inner()
def likely_start(a: Array, g: Array, cameras: Cameras, view: View) -> None:
    """Set the view to the best of a ring of upright cameras at the usual elevation."""
    elevation = cameras.usual_elevation
    ce, se = math.cos(elevation), math.sin(elevation)
    across, along, down = a[0] + se * a[5], a[2] - se * a[3], -ce * a[4]
    trace = g[0] + g[1] + g[2]
    half = math.sqrt(0.5)
    c, s, top, chosen = 1.0, 0.0, -np.inf, 0
    for i in range(8):  # every 45 degrees
        x, y, z = ce * s, -se, -ce * c  # direction of sight
        deep = x * (g[0] * x + 2 * g[3] * y + 2 * g[4] * z) + y * (g[1] * y + 2 * g[5] * z)
        n = trace - deep - g[2] * z * z
        gain = (across * c + along * s + down) / math.sqrt(max(n, 1e-12))
        if gain > top:
            top, chosen = gain, i
        c, s = half * (c - s), half * (c + s)
    set_camera(view, chosen * (0.25 * math.pi), elevation, 0.0)


@outer(cache=True)
def _refine_some(
    unit: Array, mask: Flags, poses: Array32, rotations: Array, cameras: Cameras, out: Array
) -> None:
    """Fill out (n, 9), as ``refine_poses``."""
    a, g, inverse = np.empty(6), np.empty(6), np.empty(6)
    view = new_view()
    for i in range(poses.shape[0]):
        moments(unit, mask, poses, i, a, g)
        view.r[:] = rotations[i]
        best = refine(a, g, cameras, view, _MANY_STEPS, 1e-15)
        out[i] = view.r
        if affine_start(a, g, inverse, view):
            squared = refine(a, g, cameras, view, _MANY_STEPS, 1e-15)
            if squared < best:
                out[i] = view.r


def refine_poses(
    unit: Array, mask: Flags, poses: Array32, rotations: Array, cameras: Cameras
) -> Array:
    """Best cameras (n, 9) of a query's poses (n, 13, 3), climbed to from cameras (n, 9).

    The best affine camera is a second start; the better end is kept.
    """
    out = np.empty((len(poses), 9))

    def fill(part: int) -> None:
        some = slice(part * _POSES, (part + 1) * _POSES)
        _refine_some(unit, mask, poses[some], rotations[some], cameras, out[some])

    on_threads(fill, -(-len(poses) // _POSES))
    return out
