"""The dual bound of many pairs at once, in torch: ``dual`` over all cameras allowed.

It need not reach the top of the dual, as any multipliers bound the error from below: pairs that a
few Newton steps do not exclude are left to the compiled loops of ``decide``. Pairs are along the
last axis of every array, so that each operation goes through memory once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from posebank.matching.viewfree.cameras import Cameras

_ROUNDS = 12
_SHORTER = 0.3  # of a step that was too long
_STUCK = 1e-8  # rise promised by a step, below which a pair is given up
_LEAST = 1e-9  # pivot, of the scatter's trace, below which a form is not positive definite
_FIRST_INEQUALITY, _FIRST_LINEAR = 2, 3


class Limits(NamedTuple):
    """Sines of the lowest and highest elevation, cosine and sine of the largest roll.

    n : multipliers that say anything: of two equalities, of elevation, two of roll.
    """

    low: float
    high: float
    cos_roll: float
    sin_roll: float
    n: int


def limits_of(cameras: Cameras) -> Limits:
    """What the dual uses of the cameras' limits."""
    low, high = float(np.sin(cameras.min_elevation)), float(np.sin(cameras.max_elevation))
    by_roll = cameras.max_roll <= np.pi / 2 + 1e-9
    by_elevation = high - low < 2 - 1e-12
    n = 5 if by_roll else 3 if by_elevation else 2
    return Limits(low, high, float(np.cos(cameras.max_roll)), float(np.sin(cameras.max_roll)), n)


def _eliminate(rows: Tensor) -> None:
    """Replace symmetric forms (k, k, n) by their factors: D, L below it and D L^T above."""
    for i in range(len(rows) - 1):
        share = rows[i + 1 :, i] / rows[i, i]
        rows[i + 1 :, i + 1 :] -= share[:, None] * rows[i, i + 1 :]
        rows[i + 1 :, i] = share


def _forwards(rows: Tensor, right: Tensor) -> None:
    """Replace right (k, c, n) by L^-1 right."""
    for i in range(len(rows) - 1):
        right[i + 1 :] -= rows[i + 1 :, i][:, None] * right[i]


def _backwards(rows: Tensor, right: Tensor) -> None:
    """Replace right (k, c, n) by (D L^T)^-1 right."""
    for i in range(len(rows) - 1, -1, -1):
        right[i] /= rows[i, i]
        right[:i] -= rows[:i, i][:, None] * right[i]


def _lagrangian(a: Tensor, g: Tensor, m: Tensor, limits: Limits) -> tuple[Tensor, Tensor, Tensor]:
    """Minimum over x of the Lagrangian of pairs a (6, n), g (6, n) for multipliers m (5, n).

    Returns
    -------
    The minimum (n,), -1 where the quadratic form is not positive definite; its minimiser x (6, n);
    the form's factors (6, 6, n).
    """
    both = 0.5 * m[2] * (1 + limits.low * limits.high)
    ty = 0.5 * m[2] * (limits.low + limits.high)
    scatter = ((g[0], g[3], g[4]), (g[3], g[1], g[5]), (g[4], g[5], g[2]))
    rows = g.new_zeros((6, 6, g.shape[1]))
    for i in range(3):
        for j in range(3):
            rows[i, j] = rows[3 + i, 3 + j] = scatter[i][j]
        rows[i, i] += both + m[0]
        rows[3 + i, 3 + i] += both - m[0]
        rows[3 + i, i] = rows[i, 3 + i] = m[1]
    rows[1, 1] -= m[2]
    rows[4, 4] -= m[2]
    rows[3, 2] = rows[2, 3] = ty
    rows[5, 0] = rows[0, 5] = -ty
    _eliminate(rows)
    x = a[:, None].clone()
    x[1] += limits.cos_roll * (m[3] - m[4])
    x[4] -= limits.sin_roll * (m[3] + m[4])
    _forwards(rows, x)
    pivots = torch.stack([rows[i, i] for i in range(6)])
    bound = 1 - (x[:, 0] ** 2 / pivots).sum(0)
    # A comparison with NaN is false, so that a pivot after a bad one cannot pass for a good one.
    good = (pivots > _LEAST * (g[0] + g[1] + g[2])).all(0)
    _backwards(rows, x)
    return torch.where(good, bound.clamp(min=-0.5), -1.0), x[:, 0], rows


def _slopes(x: Tensor, limits: Limits) -> Tensor:
    """Half the gradient along x (6, n) of each multiplier's term, (6, limits.n, n)."""
    both = 0.5 * (1 + limits.low * limits.high)
    ty = 0.5 * (limits.low + limits.high)
    j = x.new_zeros((6, 5, x.shape[1]))
    j[:3, 0], j[3:, 0] = x[:3], -x[3:]
    j[:3, 1], j[3:, 1] = x[3:], x[:3]
    j[:, 2] = both * x
    j[1, 2] -= x[1]
    j[4, 2] -= x[4]
    # ty (m2 x e_y, e_y x m1)
    j[0, 2] -= ty * x[5]
    j[2, 2] += ty * x[3]
    j[3, 2] += ty * x[2]
    j[5, 2] -= ty * x[0]
    j[1, 3], j[4, 3] = -limits.cos_roll, limits.sin_roll
    j[1, 4], j[4, 4] = limits.cos_roll, limits.sin_roll
    return j[:, : limits.n]


def _newton(m: Tensor, x: Tensor, rows: Tensor, limits: Limits) -> tuple[Tensor, Tensor]:
    """Newton step (5, n) of the multipliers and the rise (n,) that it promises.

    Multipliers of inequalities that would turn negative are held at 0 and the others solved again.
    """
    n = limits.n
    j = _slopes(x, limits)
    gradient = (j * x[:, None]).sum(0)
    gradient[_FIRST_LINEAR:] *= 2
    _forwards(rows, j)
    hessian = x.new_zeros((n, n, x.shape[1]))  # minus the Hessian
    for i in range(6):
        hessian += (2 * j[i] / rows[i, i])[:, None] * j[i]
    for k in range(n):
        hessian[k, k] *= 1 + 1e-8
        hessian[k, k] += 1e-14
    held = (m[:n] <= 0) & (gradient <= 0)
    held[:_FIRST_INEQUALITY] = False
    step = torch.zeros_like(gradient)
    for _ in range(2):
        right = gradient - (hessian * torch.where(held, step, 0.0)).sum(1)
        system = torch.where(held[:, None] | held, 0.0, hessian)
        for k in range(n):
            system[k, k] += held[k]
        _eliminate(system)
        right = torch.where(held, 0.0, right)[:, None]
        _forwards(system, right)
        _backwards(system, right)
        step = torch.where(held, step, right[:, 0])
        negative = m[:n] + step < 0
        negative[:_FIRST_INEQUALITY] = False
        step = torch.where(negative, -m[:n], step)
        held |= negative
    rise = (gradient * step).sum(0)
    whole = torch.zeros_like(m)
    whole[:n] = step
    return whole, rise


def dual_bounds(a: Tensor, g: Tensor, target: Tensor, limits: Limits) -> Tensor:
    """Lower bound (n,) of ``error_norm`` squared of each pair over the cameras allowed.

    Parameters
    ----------
    a, g : Tensor (6, n)
        Sums of the pairs, as of ``kernels.moments``; float64.
    target : Tensor (n,)
        Bound of each pair that is enough: the ascent stops where it is reached.
    limits : Limits
        Elevations and rolls allowed.
    """
    m = a.new_zeros((5, a.shape[1]))
    bound, x, rows = _lagrangian(a, g, m, limits)
    step, rise = _newton(m, x, rows, limits)
    share = torch.ones_like(bound)
    result = bound.clone()
    left = torch.arange(a.shape[1], device=a.device)
    for _ in range(_ROUNDS):
        open_ = ((result[left] < target[left]) & (share * rise > _STUCK)).nonzero()[:, 0]
        if len(open_) == 0:
            break
        left, a, g, m, step = left[open_], a[:, open_], g[:, open_], m[:, open_], step[:, open_]
        bound, share, rise = bound[open_], share[open_], rise[open_]
        trial = m + share * step
        trial[_FIRST_INEQUALITY:].clamp_(min=0)
        reached, x, rows = _lagrangian(a, g, trial, limits)
        better = reached > bound
        new_step, new_rise = _newton(trial, x, rows, limits)
        m, step = torch.where(better, trial, m), torch.where(better, new_step, step)
        bound, rise = torch.where(better, reached, bound), torch.where(better, new_rise, rise)
        share = torch.where(better, 1.0, _SHORTER * share)
        result[left] = bound
    return result
