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
from posebank.matching.viewfree.compiled import constant, inner, outer
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
_MANY_STEPS = constant(40)
_N_AZIMUTHS = 8  # tried for a likely camera
_FLAT = 1e-3  # of the scatter's trace, added to it for the affine start


class View(NamedTuple):
    """A camera of the pair, what it sees and scratch.

    r : (9,) rotation, row by row; w : (6,) A R^T; h : (6,) R G R^T as xx yy zz xy xz yz.
    angles : (3,) azimuth, elevation, roll; penalty : (6,) and spline, of ``prior.penalty_at``.
    """

    r: Array
    w: Array
    h: Array
    angles: Array
    penalty: Array
    spline: Array


@outer()
def new_view() -> View:
    """Room for one camera."""
    return View(
        np.zeros(9), np.zeros(6), np.zeros(6), np.zeros(3), np.zeros(6), np.zeros((2, 3, 4))
    )


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


@inner()
def _see(a: Array, g: Array, view: View) -> None:
    """Fill w and h of the view from its rotation."""
    r, w, h = view.r, view.w, view.h
    for i in range(3):
        x, y, z = r[3 * i], r[3 * i + 1], r[3 * i + 2]
        w[i] = a[0] * x + a[1] * y + a[2] * z
        w[3 + i] = a[3] * x + a[4] * y + a[5] * z
        gx = g[0] * x + g[3] * y + g[4] * z
        gy = g[3] * x + g[1] * y + g[5] * z
        gz = g[4] * x + g[5] * y + g[2] * z
        h[i] = gx * x + gy * y + gz * z
        if i == 0:
            h[3] = gx * r[3] + gy * r[4] + gz * r[5]
            h[4] = gx * r[6] + gy * r[7] + gz * r[8]
        elif i == 1:
            h[5] = gx * r[6] + gy * r[7] + gz * r[8]


@outer()
def set_camera(view: View, azimuth: float, elevation: float, roll: float) -> None:
    """Set the rotation of the view from its angles, radians."""
    ca, sa, ce, se = math.cos(azimuth), math.sin(azimuth), math.cos(elevation), math.sin(elevation)
    cr, sr = math.cos(roll), math.sin(roll)
    r = view.r
    # Rows of Rx(elevation) diag(1, -1, -1) Ry(azimuth), then Rz(roll).
    ux, uy, uz = ca, 0.0, sa
    vx, vy, vz = -se * sa, -ce, se * ca
    r[0], r[1], r[2] = cr * ux - sr * vx, cr * uy - sr * vy, cr * uz - sr * vz
    r[3], r[4], r[5] = sr * ux + cr * vx, sr * uy + cr * vy, sr * uz + cr * vz
    r[6], r[7], r[8] = ce * sa, -se, -ce * ca


@outer()
def measure(a: Array, g: Array, cameras: Cameras, view: View) -> float:
    """Cost squared of the view's camera, which is first moved within the limits.

    1 or more where the scale would not be positive, so that a step towards a positive one pays.
    """
    if cameras.limited or cameras.has_prior:
        r, angles = view.r, view.angles
        elevation = math.asin(min(max(-r[7], -1.0), 1.0))
        roll = math.atan2(r[1], -r[4])
        c, s = math.cos(roll), math.sin(roll)
        angles[0] = math.atan2(c * r[2] + s * r[5], c * r[0] + s * r[3])
        angles[1], angles[2] = elevation, roll
        _within(cameras, angles)
        if angles[1] != elevation or angles[2] != roll:
            set_camera(view, angles[0], angles[1], angles[2])
    return _cost(a, g, cameras, view)


@inner()
def _within(cameras: Cameras, angles: Array) -> None:
    """Move angles (3,) within the limits."""
    angles[1] = min(max(angles[1], cameras.min_elevation, -_POLE), cameras.max_elevation, _POLE)
    if cameras.max_roll < math.pi:
        angles[2] = min(max(angles[2], -cameras.max_roll), cameras.max_roll)


@inner()
def _cost(a: Array, g: Array, cameras: Cameras, view: View) -> float:
    """Cost squared of the view's camera, whose angles are known where they matter."""
    _see(a, g, view)
    c, n = view.w[0] + view.w[4], view.h[0] + view.h[1]
    squared = 1.0 - c * abs(c) / max(n, 1e-12)
    if cameras.has_prior:
        penalty_at(cameras.table, view.angles[1], view.angles[2], view.spline, view.penalty)
        squared += view.penalty[0]
    return squared


@inner()
def _derivatives(view: View, q: Array, m: Array) -> None:
    """Gradient q (3,) and Hessian m (6: 11 22 33 12 13 23) of ``error_norm`` squared by omega."""
    w, h = view.w, view.h
    c, n = w[0] + w[4], max(view.h[0] + view.h[1], 1e-12)
    c1, c2, c3 = -w[5], w[2], w[3] - w[1]
    n1, n2 = -2 * h[5], 2 * h[4]
    s = abs(c)
    p, t = 2 * s / n, c * s / (n * n)  # -F' = -p c' + t n'
    q[0], q[1], q[2] = -p * c1 + t * n1, -p * c2 + t * n2, -p * c3
    sign = 1.0 if c >= 0 else -1.0
    cc, cn, nn = -2 * sign / n, 2 * s / (n * n), -2 * t / n
    m[0] = cc * c1 * c1 + 2 * cn * c1 * n1 + nn * n1 * n1 + p * w[4] - 2 * t * (h[1] - h[2])
    m[1] = cc * c2 * c2 + 2 * cn * c2 * n2 + nn * n2 * n2 + p * w[0] - 2 * t * (h[0] - h[2])
    m[2] = cc * c3 * c3 + p * c
    m[3] = (
        cc * c1 * c2
        + cn * (c1 * n2 + c2 * n1)
        + nn * n1 * n2
        - 0.5 * p * (w[1] + w[3])
        + 2 * t * h[3]
    )
    m[4] = cc * c1 * c3 + cn * n1 * c3 - 0.5 * p * w[2] - t * h[4]
    m[5] = cc * c2 * c3 + cn * n2 * c3 - 0.5 * p * w[5] - t * h[5]


@inner()
def _derivatives_by_angles(view: View, cameras: Cameras, q: Array, m: Array) -> None:
    """Turn derivatives by omega into those of the cost squared by azimuth, elevation and roll.

    An angle at its limit that descends beyond it is taken out: its step will be 0.
    """
    angles, b = view.angles, view.penalty
    # The angles turn the camera about the axes u = R (0, 1, 0), v = (cos, sin, 0) of roll, and z.
    u0, u1, u2 = view.r[1], view.r[4], view.r[7]
    v0, v1 = math.cos(angles[2]), math.sin(angles[2])
    q0, q1, q2 = q[0], q[1], q[2]
    mu0 = m[0] * u0 + m[3] * u1 + m[4] * u2
    mu1 = m[3] * u0 + m[1] * u1 + m[5] * u2
    mu2 = m[4] * u0 + m[5] * u1 + m[2] * u2
    mv0, mv1, mv2 = m[0] * v0 + m[3] * v1, m[3] * v0 + m[1] * v1, m[4] * v0 + m[5] * v1
    q[0], q[1] = q0 * u0 + q1 * u1 + q2 * u2, q0 * v0 + q1 * v1
    m[0], m[1] = u0 * mu0 + u1 * mu1 + u2 * mu2, v0 * mv0 + v1 * mv1
    # Turns about two axes one after the other: half their cross product is of second order.
    m[3] = u0 * mv0 + u1 * mv1 + u2 * mv2
    m[3] += 0.5 * (q0 * v1 * u2 - q1 * v0 * u2 + q2 * (v0 * u1 - v1 * u0))
    m[4] = mu2 + 0.5 * (q1 * u0 - q0 * u1)
    m[5] = mv2 + 0.5 * (q1 * v0 - q0 * v1)
    if cameras.has_prior:
        q[1] += b[1]
        q[2] += b[2]
        m[1] += b[3]
        m[5] += b[4]
        m[2] += b[5]
    e, o = angles[1], angles[2]
    low, high = max(cameras.min_elevation, -_POLE), min(cameras.max_elevation, _POLE)
    if (e <= low and q[1] > 0) or (e >= high and q[1] < 0):
        q[1], m[1], m[3], m[5] = 0.0, 1.0, 0.0, 0.0
    roll = cameras.max_roll
    if roll < math.pi and ((o <= -roll and q[2] > 0) or (o >= roll and q[2] < 0)):
        q[2], m[2], m[4], m[5] = 0.0, 1.0, 0.0, 0.0


@inner()
def _solve(m: Array, q: Array, least: float, step: Array) -> None:
    """Step -M^-1 q (3,), M (6: 11 22 33 12 13 23) raised until its pivots are above ``least``."""
    more = 0.0
    for _ in range(20):
        d1 = m[0] + more
        if d1 > least:
            l21, l31 = m[3] / d1, m[4] / d1
            d2 = m[1] + more - l21 * m[3]
            if d2 > least:
                k = m[5] - l31 * m[3]
                l32 = k / d2
                d3 = m[2] + more - l31 * m[4] - l32 * k
                if d3 > least:
                    y1 = -q[0]
                    y2 = -q[1] - l21 * y1
                    y3 = -q[2] - l31 * y1 - l32 * y2
                    step[2] = y3 / d3
                    step[1] = y2 / d2 - l32 * step[2]
                    step[0] = y1 / d1 - l21 * step[1] - l31 * step[2]
                    return
        more = 4 * more if more > 0 else 30 * least
    for i in range(3):
        step[i] = -q[i]


@inner()
def _turn(r: Array, x: float, y: float, z: float, out: Array) -> None:
    """Turn the rotation r (9,) by (x, y, z) about the camera's axes into out."""
    # The quaternion (1, omega / 2), made a unit one: a rotation, equal to exp to second order.
    x, y, z = 0.5 * x, 0.5 * y, 0.5 * z
    f = 2 / (1 + x * x + y * y + z * z)
    m00, m11, m22 = 1 - f * (y * y + z * z), 1 - f * (x * x + z * z), 1 - f * (x * x + y * y)
    m01, m10 = f * (x * y - z), f * (x * y + z)
    m02, m20 = f * (x * z + y), f * (x * z - y)
    m12, m21 = f * (y * z - x), f * (y * z + x)
    for i in range(3):
        u, v, w = r[i], r[3 + i], r[6 + i]
        out[i] = m00 * u + m01 * v + m02 * w
        out[3 + i] = m10 * u + m11 * v + m12 * w
        out[6 + i] = m20 * u + m21 * v + m22 * w


@outer()
def refine(
    a: Array, g: Array, cameras: Cameras, view: View, trial: View, steps: int, tolerance: float
) -> float:
    """Improve the view's camera by Newton steps; returns its cost squared.

    Parameters
    ----------
    a, g : array (6,)
        Sums of the pair, from ``moments``.
    cameras : Cameras
        Cameras that are allowed, and their prior.
    view : View
        The camera to begin with; receives the refined one.
    trial : View
        Working arrays of a second camera.
    steps : int
        Largest number of steps.
    tolerance : float
        Gain of a step below which the refinement ends.
    """
    q, m, step = np.empty(3), np.empty(6), np.empty(3)
    by_angles = cameras.limited or cameras.has_prior
    best = measure(a, g, cameras, view)
    for _ in range(steps):
        _derivatives(view, q, m)
        if by_angles:
            _derivatives_by_angles(view, cameras, q, m)
        least = 1e-3 * (abs(m[0]) + abs(m[1]) + abs(m[2])) + 1e-12
        _solve(m, q, least, step)
        length = math.sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2])
        share = min(1.0, _LONGEST / max(length, 1e-300))
        gain = -1.0
        for _ in range(_TRIALS):
            x, y, z = share * step[0], share * step[1], share * step[2]
            if by_angles:
                angles, at = trial.angles, view.angles
                angles[0], angles[1], angles[2] = at[0] + x, at[1] + y, at[2] + z
                _within(cameras, angles)
                set_camera(trial, angles[0], angles[1], angles[2])
            else:
                _turn(view.r, x, y, z, trial.r)
            squared = _cost(a, g, cameras, trial)
            if squared < best:
                gain = best - squared
                break
            share *= _SHORTER
        if gain < 0:
            break
        best = squared
        view.r[:], view.w[:], view.h[:] = trial.r, trial.w, trial.h
        view.angles[:], view.penalty[:] = trial.angles, trial.penalty
        if gain < tolerance:
            break
    return best


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


@inner()
def likely_start(a: Array, g: Array, cameras: Cameras, view: View) -> None:
    """Set the view to the best upright camera in the middle of the first level."""
    middle = 0.5 * (cameras.levels[0, 0] + cameras.levels[0, 1])
    top, chosen = -np.inf, 0.0
    for i in range(_N_AZIMUTHS):
        azimuth = i * (2 * math.pi / _N_AZIMUTHS)
        set_camera(view, azimuth, middle, 0.0)
        gain = _correlation(a, g, view)
        if gain > top:
            top, chosen = gain, azimuth
    set_camera(view, chosen, middle, 0.0)


@inner()
def _correlation(a: Array, g: Array, view: View) -> float:
    """c / sqrt(n) of the view's camera."""
    r = view.r
    c = a[0] * r[0] + a[1] * r[1] + a[2] * r[2] + a[3] * r[3] + a[4] * r[4] + a[5] * r[5]
    x, y, z = r[6], r[7], r[8]
    deep = x * (g[0] * x + 2 * g[3] * y + 2 * g[4] * z) + y * (g[1] * y + 2 * g[5] * z)
    n = g[0] + g[1] + g[2] - deep - g[2] * z * z
    return c / math.sqrt(max(n, 1e-12))


@outer(cache=True)
def _refine_some(
    unit: Array, mask: Flags, poses: Array32, rotations: Array, cameras: Cameras, out: Array
) -> None:
    """Fill out (n, 9), as ``refine_poses``."""
    a, g, inverse = np.empty(6), np.empty(6), np.empty(6)
    view, trial = new_view(), new_view()
    for i in range(poses.shape[0]):
        moments(unit, mask, poses, i, a, g)
        view.r[:] = rotations[i]
        best = refine(a, g, cameras, view, trial, _MANY_STEPS, 1e-15)
        out[i] = view.r
        if affine_start(a, g, inverse, view):
            squared = refine(a, g, cameras, view, trial, _MANY_STEPS, 1e-15)
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
