"""The second lower bound of the view-free search: the Lagrangian dual of the best camera.

The rows m1, m2 of a scaled camera are the six unknowns x = (m1, m2). With A and G of a pair (see
``kernels``) its error is the quadratic

    error_norm^2 = 1 - 2 a.x + m1 G m1 + m2 G m2,   a = A as six numbers,

to be minimised under two equalities (|m1| = |m2| and m1.m2 = 0) and the camera's limits. With
S = (|m1|^2 + |m2|^2) / 2 (the scale squared) and K = m1 x m2, every camera has

    K = S (its third row),   sin(elevation) = -K_y / S,
    cos^2(elevation) = (m1_y^2 + m2_y^2) / S,
    m1_y = scale cos(elevation) sin(roll),   m2_y = -scale cos(elevation) cos(roll),

so that an elevation between e1 and e2 is one quadratic inequality,

    m1_y^2 + m2_y^2 - (sin e1 + sin e2) K_y - (1 + sin e1 sin e2) S >= 0

(it says (sin e - sin e1)(sin e2 - sin e) >= 0), a direction of sight within an angle h of a unit
vector d another, ``K.d - S cos h >= 0``, and a roll between r1 and r2, at most 180 degrees apart,
is two linear ones,

    m1_y cos r1 + m2_y sin r1 >= 0,   -m1_y cos r2 - m2_y sin r2 >= 0.

Any multipliers (not negative for the inequalities) that leave the quadratic form positive definite
give a valid lower bound, the minimum of the Lagrangian. It is concave in the multipliers; a few
Newton steps come close to its top. Mostly the top is the error of the best camera itself, and the
minimiser x is that camera: then the camera is proved to be the best. Where it is not, smaller
parts of the cameras can be bounded: for a single direction of sight the bound is always met.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.compiled import inner, outer

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Scratch = tuple[Array, Array, Array, Array, Array, Array]

N_MULTIPLIERS = 6  # two equalities, elevation, direction of sight, two of roll
_STEPS = 40
_SHORTER = 12
_SWEEPS = 20
_FADE = 0.2  # of the barrier, after each step
_EQUALITIES = 2
_FIRST_LINEAR = 4


@outer()
def scratch() -> Scratch:
    """Working arrays of ``ascend``: factor L, x, x of a trial, J, L^-1 J, vectors and matrices."""
    n = N_MULTIPLIERS
    return (
        np.zeros((6, 6)),
        np.zeros(6),
        np.zeros(6),
        np.zeros((n, 6)),
        np.zeros((n, 6)),
        np.zeros((3 + 2 * n, n)),
    )


@outer()
def bound_cell(part: Array, low: float, high: float, cell: Array, used: Flags) -> None:
    """Describe a part of the cameras to ``ascend``.

    Parameters
    ----------
    part : array (6,)
        Lowest and highest elevation, azimuth and roll.
    low, high : float
        Elevations that the settings allow. Their inequality is used for every part: that of
        a part's own elevations is not always stronger once the equalities are relaxed.
    cell : array (10,)
        Receives sin e1, sin e2, d cos h, and the linear forms in (m1_y, m2_y) of roll.
    used : array (n_multipliers,)
        Receives which inequalities say anything.
    """
    e1, e2, a1, a2, r1, r2 = part[0], part[1], part[2], part[3], part[4], part[5]
    cell[0], cell[1] = math.sin(low), math.sin(high)
    az, el, half = 0.5 * (a1 + a2), 0.5 * (e1 + e2), 0.5 * (a2 - a1)
    ce, se = math.cos(el), math.sin(el)
    cell[2], cell[3], cell[4] = ce * math.sin(az), -se, -ce * math.cos(az)
    # The farthest corner; up to 90 degrees of azimuth away no other point is farther.
    near = ce * math.cos(half)
    cell[5] = min(math.sin(e1) * se + math.cos(e1) * near, math.sin(e2) * se + math.cos(e2) * near)
    cell[6], cell[7] = math.cos(r1), math.sin(r1)
    cell[8], cell[9] = -math.cos(r2), -math.sin(r2)
    used[:2] = True
    used[2] = high - low < math.pi - 1e-9
    used[3] = half <= 0.5 * math.pi + 1e-9
    used[4] = used[5] = r2 - r1 <= math.pi + 1e-9


@inner()
def _lagrangian(a: Array, g: Array, m: Array, cell: Array, q: Array, x: Array) -> float:
    """Minimum over x of the Lagrangian, its minimiser in x; -1 unless positive definite.

    q (6, 6) receives the Cholesky factor, with the inverse of its diagonal.
    """
    both = 0.5 * (m[2] * (1 + cell[0] * cell[1]) + m[3] * cell[5])
    tx, tz = -0.5 * m[3] * cell[2], -0.5 * m[3] * cell[4]
    ty = 0.5 * (m[2] * (cell[0] + cell[1]) - m[3] * cell[3])
    plus, minus = both + m[0], both - m[0]
    q[0, 0], q[1, 1], q[2, 2] = g[0] + plus, g[1] + plus - m[2], g[2] + plus
    q[3, 3], q[4, 4], q[5, 5] = g[0] + minus, g[1] + minus - m[2], g[2] + minus
    q[1, 0], q[2, 0], q[2, 1] = g[3], g[4], g[5]
    q[4, 3], q[5, 3], q[5, 4] = g[3], g[4], g[5]
    q[3, 0], q[4, 1], q[5, 2] = m[1], m[1], m[1]
    q[5, 1], q[4, 2] = tx, -tx
    q[3, 2], q[5, 0] = ty, -ty
    q[4, 0], q[3, 1] = tz, -tz
    least = 1e-9 * (g[0] + g[1] + g[2])
    for i in range(6):
        for j in range(i + 1):
            s = q[i, j]
            for k in range(j):
                s -= q[i, k] * q[j, k]
            if i > j:
                q[i, j] = s * q[j, j]
            elif s > least:
                q[i, i] = 1 / math.sqrt(s)
            else:
                return -1.0
    total = 0.0
    for i in range(6):
        s = a[i]
        if i in (1, 4):
            s += m[4] * cell[6 + i // 4] + m[5] * cell[8 + i // 4]
        for k in range(i):
            s -= q[i, k] * x[k]
        x[i] = s * q[i, i]
        total += x[i] * x[i]
    for i in range(5, -1, -1):
        s = x[i]
        for k in range(i + 1, 6):
            s -= q[k, i] * x[k]
        x[i] = s * q[i, i]
    return max(1 - total, -0.5)


@inner()
def _add_cross(tx: float, ty: float, tz: float, x: Array, out: Array) -> None:
    """Add half the gradient of 2 t.(m1 x m2) to out (6,)."""
    out[0] += tz * x[4] - ty * x[5]
    out[1] += tx * x[5] - tz * x[3]
    out[2] += ty * x[3] - tx * x[4]
    out[3] += ty * x[2] - tz * x[1]
    out[4] += tz * x[0] - tx * x[2]
    out[5] += tx * x[1] - ty * x[0]


@inner()
def _slopes(x: Array, cell: Array, j: Array) -> None:
    """Half the gradient along x of each multiplier's term, (n_multipliers, 6)."""
    both, ty = 0.5 * (1 + cell[0] * cell[1]), 0.5 * (cell[0] + cell[1])
    tx, tz = -0.5 * cell[2], -0.5 * cell[4]
    for i in range(3):
        j[0, i], j[0, 3 + i] = x[i], -x[3 + i]
        j[1, i], j[1, 3 + i] = x[3 + i], x[i]
        j[2, i], j[2, 3 + i] = both * x[i], both * x[3 + i]
        j[3, i], j[3, 3 + i] = 0.5 * cell[5] * x[i], 0.5 * cell[5] * x[3 + i]
    j[2, 1] -= x[1]
    j[2, 4] -= x[4]
    _add_cross(0.0, ty, 0.0, x, j[2])
    _add_cross(tx, -0.5 * cell[3], tz, x, j[3])
    for k in range(2):
        j[4 + k, 1], j[4 + k, 4] = -cell[6 + 2 * k], -cell[7 + 2 * k]


@inner()
def _newton(  # noqa: PLR0912
    m: Array, used: Flags, grad: Array, h: Array, c: Array, step: Array, rhs: Array
) -> None:
    """Step to the top of the quadratic model (gradient grad, Hessian -h) with m + step allowed.

    Multipliers that would turn negative are held at 0 and the others are solved again.
    """
    n = N_MULTIPLIERS
    held = 0
    for k in range(n):
        step[k] = 0.0
        if not used[k] or (k >= _EQUALITIES and m[k] <= 0 and grad[k] <= 0):
            held |= 1 << k
    for _ in range(n):
        for f in range(n):
            if held >> f & 1:
                continue
            s = grad[f]
            for e in range(n):
                if held >> e & 1:
                    s -= h[f, e] * step[e]
            for e in range(f + 1):
                if held >> e & 1:
                    continue
                t = h[f, e]
                if e == f:
                    t = t * (1 + 1e-8) + 1e-14
                for i in range(e):
                    if not held >> i & 1:
                        t -= c[f, i] * c[e, i]
                c[f, e] = math.sqrt(max(t, 1e-14)) if e == f else t / c[e, e]
                if e < f:
                    s -= c[f, e] * rhs[e]
            rhs[f] = s / c[f, f]
        again = False
        for f in range(n - 1, -1, -1):
            if held >> f & 1:
                continue
            s = rhs[f]
            for i in range(f + 1, n):
                if not held >> i & 1:
                    s -= c[i, f] * step[i]
            step[f] = s / c[f, f]
        for f in range(_EQUALITIES, n):
            if not held >> f & 1 and m[f] + step[f] < 0:
                step[f] = -m[f]
                held |= 1 << f
                again = True
        if not again:
            return


@inner()
def _sweep(m: Array, used: Flags, grad: Array, h: Array, step: Array) -> float:
    """Step as ``_newton``, multiplier by multiplier: slower, but always upwards; returns its slope.

    Holding multipliers at 0 one after the other can leave too many of them held.
    """
    n = N_MULTIPLIERS
    step[:] = 0.0
    for _ in range(_SWEEPS):
        for k in range(n):
            if used[k]:
                s = grad[k]
                for e in range(n):
                    s -= h[k, e] * step[e]
                step[k] += s / (h[k, k] + 1e-14)
                if k >= _EQUALITIES:
                    step[k] = max(step[k], -m[k])
    slope = 0.0
    for k in range(n):
        if used[k]:
            slope += grad[k] * step[k]
    return slope


@inner()
def _derivatives(
    x: Array, cell: Array, used: Flags, q: Array, vectors: Array, j: Array, w: Array
) -> None:
    """Gradient and minus the Hessian of the dual at a point with factor q and minimiser x."""
    n = N_MULTIPLIERS
    grad, h = vectors[0], vectors[3 : 3 + n]
    _slopes(x, cell, j)
    for k in range(n):
        if used[k]:
            s = 0.0
            for i in range(6):
                s += j[k, i] * x[i]
            grad[k] = 2 * s if k >= _FIRST_LINEAR else s
            for i in range(6):
                s = j[k, i]
                for e in range(i):
                    s -= q[i, e] * w[k, e]
                w[k, i] = s * q[i, i]
            for f in range(k + 1):
                s = 0.0
                if used[f]:
                    for i in range(6):
                        s += w[k, i] * w[f, i]
                h[k, f] = h[f, k] = 2 * s


@inner()
def _log_det(q: Array) -> float:
    product = 1.0
    for i in range(6):
        product *= q[i, i]
    return -2 * math.log(product)


@inner()
def _add_barrier(  # noqa: PLR0912
    weight: float, cell: Array, used: Flags, q: Array, vectors: Array, j: Array, w: Array
) -> None:
    """Add the derivatives of weight * log det of the quadratic form."""
    n = N_MULTIPLIERS
    grad, h = vectors[0], vectors[3 : 3 + n]
    # terms[k] = L^-1 Q_k L^-T of each quadratic multiplier; the derivatives are traces of them.
    terms = np.zeros((_FIRST_LINEAR, 6, 6))
    unit = np.zeros(6)
    for column in range(6):
        unit[:] = 0.0
        unit[column] = 1.0
        _slopes(unit, cell, j)
        for k in range(_FIRST_LINEAR):
            for i in range(6):
                s = j[k, i]
                for e in range(i):
                    s -= q[i, e] * w[k, e]
                w[k, i] = s * q[i, i]
                terms[k, i, column] = w[k, i]
    for k in range(_FIRST_LINEAR):
        if not used[k]:
            continue
        for row in range(6):
            for i in range(6):
                s = terms[k, row, i]
                for e in range(i):
                    s -= q[i, e] * terms[k, row, e]
                terms[k, row, i] = s * q[i, i]
            grad[k] += weight * terms[k, row, row]
        for f in range(k + 1):
            if used[f]:
                s = 0.0
                for row in range(6):
                    for i in range(6):
                        s += terms[k, row, i] * terms[f, row, i]
                h[k, f] += weight * s
                if f < k:
                    h[f, k] = h[k, f]


@outer()
def ascend(  # noqa: PLR0912
    a: Array,
    g: Array,
    cell: Array,
    used: Flags,
    target: float,
    barrier: float,
    m: Array,
    work: Scratch,
) -> float:
    """Lower bound of error_norm squared over the cameras of a cell; stops at ``target``.

    Parameters
    ----------
    a, g : array (6,)
        Sums of the pair, from ``kernels.moments``.
    cell, used : array
        Inequalities of the cell, from ``bound_cell``.
    target : float
        Bound that is enough: the ascent stops where it is reached.
    barrier : float
        Initial weight of log det of the quadratic form; 0 for plain Newton steps, which are faster
        but can stop early where the maximum is on the boundary of the multipliers allowed.
    m : array (n_multipliers,)
        Initial multipliers, set to 0 where they are not feasible; receives the final ones.
    work : Scratch
        Working arrays; ``work[1]`` receives x, the best camera's rows where the bound is met.
    """
    q, x, trial, j, w, vectors = work
    n = N_MULTIPLIERS
    grad, step, other = vectors[0], vectors[1], vectors[2]
    h, c = vectors[3 : 3 + n], vectors[3 + n :]
    bound = _lagrangian(a, g, m, cell, q, x)
    if bound < 0:
        m[:] = 0.0
        bound = _lagrangian(a, g, m, cell, q, x)
    weight, best = barrier, bound
    for _ in range(_STEPS):
        if bound >= target or bound == -1.0:
            break
        _derivatives(x, cell, used, q, vectors, j, w)
        value = bound
        if weight > 0:
            _add_barrier(weight, cell, used, q, vectors, j, w)
            value += weight * _log_det(q)
        _newton(m, used, grad, h, c, step, other)
        slope = 0.0
        for k in range(n):
            if used[k]:
                slope += grad[k] * step[k]
        if slope < 1e-13:
            slope = _sweep(m, used, grad, h, step)
        if slope < 1e-13:
            break
        # At the top of the sum the dual is at most 6 weights below its own top.
        if weight > 0 and slope < weight and best + 8 * weight < target - 0.1 * (target - best):
            break
        share, reached, summed = 1.0, -1.0, -np.inf
        for _ in range(_SHORTER):
            for k in range(n):
                other[k] = m[k] + share * step[k]
            reached = _lagrangian(a, g, other, cell, q, trial)
            if reached > -1.0:
                summed = reached + (weight * _log_det(q) if weight > 0 else 0.0)
                if summed > value + 1e-4 * share * slope:
                    break
            share *= 0.4
        if summed <= value or reached == -1.0:
            break
        gain = summed - value
        bound = reached
        best = max(best, bound)
        for k in range(n):
            m[k] = max(other[k], 0.0) if k >= _EQUALITIES else other[k]
        x[:] = trial
        if weight > 0:
            if slope < 2 * weight:  # near the top of the sum
                weight *= _FADE
            if weight < 1e-10:
                break
        elif gain < 1e-11:
            break
    return max(best, 0.0)


@outer()
def direction_of(x: Array) -> tuple[float, float, float]:
    """Direction of sight K = m1 x m2 of rows (m1, m2) = x (6,), not normalised."""
    return x[1] * x[5] - x[2] * x[4], x[2] * x[3] - x[0] * x[5], x[0] * x[4] - x[1] * x[3]
