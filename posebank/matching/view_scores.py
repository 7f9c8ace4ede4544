"""Scores of sampled views: how well each pose fits each person in the best of them; compiled."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Array32 = NDArray[np.float32]

_BLOCK = 512


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
def _correlate(
    unit: Array32, mask: NDArray[np.bool_], bank: Array32, start: int, stop: int, a: Array32
) -> None:
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
    units : array (n_people, 13, 2)
        Normalised 2D poses, one per query.
    mask : array (13,)
        Joints that are annotated.
    bank : array (13, 3, n_poses)
        Poses to search.
    rows6 : array (6, n_views)
        The first two rows of each camera's rotation.
    squares : array (6, n_views)
        Factors of xx, yy, zz, xy, xz, yz in the squared norm of the projected pose.

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
                    g0 * squares[0, v]
                    + g1 * squares[1, v]
                    + g2 * squares[2, v]
                    + g3 * squares[3, v]
                    + g4 * squares[4, v]
                    + g5 * squares[5, v]
                )
                inverse[i, v] = np.float32(1.0) / np.sqrt(max(n, np.float32(1e-10)))
        for p in range(n_people):
            _correlate(units[p], mask, bank, start, stop, a)
            for i in range(width):
                a0, a1, a2, a3, a4, a5 = a[0, i], a[1, i], a[2, i], a[3, i], a[4, i], a[5, i]
                best = np.float32(-1.0)
                for v in range(n_views):
                    c = (
                        a0 * rows6[0, v]
                        + a1 * rows6[1, v]
                        + a2 * rows6[2, v]
                        + a3 * rows6[3, v]
                        + a4 * rows6[4, v]
                        + a5 * rows6[5, v]
                    ) * inverse[i, v]
                    best = max(best, c)
                out[p, start + i] = best
    return out
