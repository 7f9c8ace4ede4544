"""The first lower bound of the view-free search: the best affine camera, compiled.

``matching.device`` computes the same on a GPU, with the same margins.

Rounding. Bounds are float32, so they are lowered by more than rounding can raise them. With unit
roundoff u = 6e-8, a product of a query (norm 1) with a column (norm 1) of 13 joints is off by at
most 13 u, in whatever order it is summed; the six products' squares sum to at most 1, so their sum
is off by at most 2 sqrt(6) 13 u = 3.8e-6: ``SAFETY``. The columns themselves are off by some u for
each unit by which the pose's columns were stretched to be orthonormal (their length over the least
pivot): ``ROUNDING``, about 17 u for each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.compiled import inner
from posebank.skeleton import N_JOINTS

Array32 = NDArray[np.float32]
Flags = NDArray[np.bool_]

BLOCK = 128  # poses whose columns (20 KB) stay in the first cache for all people of a chunk
SAFETY = 4e-6  # of error_norm squared
ROUNDING = 1e-6  # the same, per unit of how much the columns were stretched
FLAT = 1e-6  # smallest pivot of the scatter, of its trace, below which there is no affine bound


@inner(fastmath=True)
def _dot(w: Array32, d: int, e: int, out: Array32) -> None:
    """Products of columns d and e of every pose of a block, w (13, 3, BLOCK), into out (BLOCK,)."""
    # Written out, here and below: a loop over joints inside one over poses is not vectorised.
    for i in range(BLOCK):
        out[i] = (
            w[0, d, i] * w[0, e, i]
            + w[1, d, i] * w[1, e, i]
            + w[2, d, i] * w[2, e, i]
            + w[3, d, i] * w[3, e, i]
            + w[4, d, i] * w[4, e, i]
            + w[5, d, i] * w[5, e, i]
            + w[6, d, i] * w[6, e, i]
            + w[7, d, i] * w[7, e, i]
            + w[8, d, i] * w[8, e, i]
            + w[9, d, i] * w[9, e, i]
            + w[10, d, i] * w[10, e, i]
            + w[11, d, i] * w[11, e, i]
            + w[12, d, i] * w[12, e, i]
        )


@inner(fastmath=True)
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


@inner(fastmath=True)
def whiten(  # noqa: PLR0912
    mask: Flags, bank: Array32, start: int, stop: int, w: Array32, slack: Array32, work: Array32
) -> None:
    """Orthonormal columns of poses start..stop over the mask (modified Gram-Schmidt: x, z, y).

    Parameters
    ----------
    mask : Flags
        Joints that are annotated.
    bank : array (13, 3, n_poses)
        Poses to search.
    start : int
        First pose.
    stop : int
        Pose after the last, at most ``BLOCK`` from the first.
    w : array (13, 3, BLOCK)
        Receives the columns; 0 at joints not in the mask. The last is along G^-1 e_y.
    slack : array (BLOCK,)
        Receives 1 less the rounding allowed for; -1 where the pose is too flat for a bound,
        8 beyond ``stop``.
    work : array (4, BLOCK)
        Working array.
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
        slack[i] = one - np.float32(SAFETY) - np.float32(ROUNDING) * stretched
    for i in range(BLOCK):
        if i >= width:
            slack[i] = np.float32(8.0)
        elif not least[i] > np.float32(FLAT) * trace[i]:
            slack[i] = -one
            for j in range(N_JOINTS):
                for d in range(3):
                    w[j, d, i] = np.float32(0.0)


@inner(fastmath=True)
def affine_bounds(
    unit: Array32,
    w: Array32,
    slack: Array32,
    cones: Array32,
    has_cones: bool,
    work: Array32,
    bounds: Array32,
) -> float:
    """Lower bound of the cost squared of a block's poses; returns the lowest.

    The best 2 x 3 affine camera B = A G^-1 bounds every camera. The image of the up axis of a
    camera whose roll is limited to less than 90 degrees also lies in a cone; the second column of
    B outside it costs at least its squared distance to the cone / (G^-1)_yy, which is the distance
    of the products with the last of the orthonormal columns. With a prior, a camera in the first
    cone costs at least that, one beyond it the penalty outside the first cone more, and so on.

    Parameters
    ----------
    unit : array (13, 2)
        Normalised 2D pose.
    w : array (13, 3, BLOCK)
        Orthonormal columns, from ``whiten``.
    slack : array (BLOCK,)
        Rounding allowed for, from ``whiten``.
    cones, has_cones : array and bool
        Cones of the up axis, of ``Cameras``.
    work : array (2 or more, BLOCK)
        Receives the products with the last column.
    bounds : array (BLOCK,)
        Receives the bounds.
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
                u0 * x0
                + u1 * x1
                + u2 * x2
                + u3 * x3
                + u4 * x4
                + u5 * x5
                + u6 * x6
                + u7 * x7
                + u8 * x8
                + u9 * x9
                + u10 * x10
                + u11 * x11
                + u12 * x12
            )
            b = (
                v0 * x0
                + v1 * x1
                + v2 * x2
                + v3 * x3
                + v4 * x4
                + v5 * x5
                + v6 * x6
                + v7 * x7
                + v8 * x8
                + v9 * x9
                + v10 * x10
                + v11 * x11
                + v12 * x12
            )
            bounds[i] -= a * a + b * b
            work[0, i] = a
            work[1, i] = b
    if has_cones:
        _add_cones(cones, work, bounds)
    lowest = np.float32(8.0)
    for i in range(BLOCK):
        lowest = min(lowest, bounds[i])
    return float(lowest)


@inner(fastmath=True)
def _add_cones(cones: Array32, work: Array32, bounds: Array32) -> None:
    """Replace the bounds (BLOCK,) of any affine camera by the least over the cones."""
    zero = np.float32(0.0)
    c0, s0, t0 = cones[0, 0], cones[0, 1], cones[0, 2]
    c1, s1, t1 = cones[1, 0], cones[1, 1], cones[1, 2]
    t2 = cones[2, 2]
    for i in range(BLOCK):
        # Distance of (|a|, -b) to the cone |a| cos(roll) <= -b sin(roll).
        a, b = abs(work[0, i]), work[1, i]
        away = max(c0 * a + s0 * b, zero)
        along = min(s0 * a - c0 * b, zero)
        least = away * away + (along * along if away > zero else zero) + t0
        away = max(c1 * a + s1 * b, zero)
        along = min(s1 * a - c1 * b, zero)
        least = min(least, away * away + (along * along if away > zero else zero) + t1)
        bounds[i] += min(least, t2)
