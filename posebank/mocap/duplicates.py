"""Near-duplicate poses: dropped whatever their heading and whatever the order of files."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.skeleton import N_JOINTS
from posebank.types import PoseBank


def canonical_order(bank: PoseBank) -> NDArray[np.intp]:
    """Rows sorted by data set, clip, frame and mirrored: the order of a bank on disk."""
    return np.lexsort(
        (bank.mirrored, bank.frame, bank.clip.astype(np.str_), bank.dataset.astype(np.str_))
    )


def drop_near_duplicates(bank: PoseBank, min_distance_mm: float) -> PoseBank:
    """Drop poses that are close to one already kept, whatever their heading.

    The distance is the RMS over the joints after the best turn about the vertical. Poses are taken
    in canonical order and kept if no kept pose is nearer than ``min_distance_mm``, so that the
    result does not depend on the order of files, and no two of it are nearer than that.

    Parameters
    ----------
    bank : any order.
    min_distance_mm : 0 keeps all.

    Returns
    -------
    The kept poses in canonical order.

    Notes
    -----
    With z_j = x_j + i z_j the horizontal part of joint j, the best turn gives
    ``d^2 = |P|^2 + |Q|^2 - 2 sum y_p y_q - 2 |sum z_p conj(z_q)|`` (summed over joints).
    The heights and the horizontal radii change by no more than d, so a grid over their leading
    principal components finds every candidate; memory grows with the poses alone.
    """
    bank = bank.take(canonical_order(bank))
    if min_distance_mm <= 0 or len(bank) < 2:
        return bank
    limit = min_distance_mm / 1000 * math.sqrt(N_JOINTS)
    return bank.take(_distinct_rows(bank.joints_3d, limit))


_GRID_DIMENSIONS = 4


def _distinct_rows(joints: NDArray[np.float32], limit: float) -> NDArray[np.intp]:
    features = np.concatenate(
        [joints[:, :, 1], np.hypot(joints[:, :, 0], joints[:, :, 2])], axis=1, dtype=np.float32
    )
    mean = features.mean(axis=0, dtype=np.float64)
    sample = features[:: max(1, len(features) // 50_000)].astype(np.float64) - mean
    _, vectors = np.linalg.eigh(sample.T @ sample)
    leading = vectors[:, ::-1][:, :_GRID_DIMENSIONS].astype(np.float32)
    # An orthonormal projection lengthens nothing; the margin covers float32 rounding.
    cells = np.floor((features - mean.astype(np.float32)) @ leading / np.float32(limit * 1.001))
    keep = _greedy(
        np.ascontiguousarray(joints.reshape(len(joints), -1)),
        features,
        cells.astype(np.int64),
        limit,
    )
    return np.flatnonzero(keep)


@njit(cache=True, nogil=True)
def _hash_cell(cell: NDArray[np.int64], mask: int) -> np.int64:
    h = np.uint64(1469598103934665603)
    for i in range(cell.shape[0]):
        h = (h ^ np.uint64(cell[i])) * np.uint64(1099511628211)
        h ^= h >> np.uint64(29)
    return np.int64(h & np.uint64(mask))


@njit(cache=True, nogil=True)
def _nearer(
    poses: NDArray[np.float32], features: NDArray[np.float32], a: int, b: int, limit2: float
) -> bool:
    """Whether poses a and b are nearer than the limit after the best turn about the vertical."""
    bound = 0.0
    for i in range(features.shape[1]):
        d = np.float64(features[a, i]) - np.float64(features[b, i])
        bound += d * d
        if bound > limit2 * 1.001:
            return False
    height, norms, real, imaginary = 0.0, 0.0, 0.0, 0.0
    for j in range(0, poses.shape[1], 3):
        xa, ya, za = (
            np.float64(poses[a, j]),
            np.float64(poses[a, j + 1]),
            np.float64(poses[a, j + 2]),
        )
        xb, yb, zb = (
            np.float64(poses[b, j]),
            np.float64(poses[b, j + 1]),
            np.float64(poses[b, j + 2]),
        )
        height += (ya - yb) ** 2
        norms += xa * xa + za * za + xb * xb + zb * zb
        real += xa * xb + za * zb
        imaginary += za * xb - xa * zb
    return height + norms - 2.0 * np.sqrt(real * real + imaginary * imaginary) < limit2


@njit(cache=True, nogil=True)
def _greedy(
    poses: NDArray[np.float32],
    features: NDArray[np.float32],
    cells: NDArray[np.int64],
    limit: float,
) -> NDArray[np.bool_]:
    n, dims = cells.shape
    keep = np.zeros(n, np.bool_)
    size = 1
    while size < 2 * n:
        size *= 2
    head = np.full(size, -1, np.int32)  # last kept pose of each bucket
    following = np.full(n, -1, np.int32)  # the one before it
    limit2 = limit * limit
    neighbour = np.empty(dims, np.int64)
    n_neighbours = 3**dims
    last = -1
    for row in range(n):
        near = last >= 0 and _nearer(poses, features, row, last, limit2)
        code = 0
        while not near and code < n_neighbours:
            rest = code
            for i in range(dims):
                neighbour[i] = cells[row, i] + rest % 3 - 1
                rest //= 3
            other = head[_hash_cell(neighbour, size - 1)]
            while other >= 0:
                if _nearer(poses, features, row, other, limit2):
                    near = True
                    last = other
                    break
                other = following[other]
            code += 1
        if not near:
            keep[row] = True
            bucket = _hash_cell(cells[row], size - 1)
            following[row] = head[bucket]
            head[bucket] = row
            last = row
    return keep
