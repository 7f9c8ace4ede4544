"""Near-duplicate poses: dropped whatever their heading and whatever the order of files."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.skeleton import N_JOINTS
from posebank.types import PoseBank


def canonical_order(bank: PoseBank) -> NDArray[np.intp]:
    """Return the rows sorted by data set, clip, frame and mirrored: the order of a bank on disk."""
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
    bank : PoseBank
        Poses in any order.
    min_distance_mm : float
        Least mean joint distance of two poses that are kept, millimetres; 0 keeps all.

    Returns
    -------
    The kept poses in canonical order.

    Examples
    --------
    >>> pose = np.random.default_rng(0).normal(size=(13, 3))
    >>> bank = PoseBank.from_joints([pose, pose + 0.001, 2 * pose], dataset="own")
    >>> len(drop_near_duplicates(bank, min_distance_mm=50.0))
    2
    """
    return DistinctPoses(min_distance_mm).keep(bank.take(canonical_order(bank)))


class DistinctPoses:
    """Drops near-duplicates from a stream of poses that arrives in canonical order.

    Holds 300 bytes for each kept pose and nothing for those that were dropped, so that a bank of
    any size can be made batch by batch; the result is that of ``drop_near_duplicates`` on all.

    Parameters
    ----------
    min_distance_mm : see ``drop_near_duplicates``.

    Notes
    -----
    With z_j = x_j + i z_j the horizontal part of joint j, the best turn gives
    ``d^2 = |P|^2 + |Q|^2 - 2 sum y_p y_q - 2 |sum z_p conj(z_q)|`` (summed over joints).
    The heights and the horizontal radii change by no more than d, so a grid over four of their
    principal components (of the first batch: any would do) finds every candidate.
    """

    def __init__(self, min_distance_mm: float) -> None:
        self._limit = min_distance_mm / 1000 * math.sqrt(N_JOINTS)
        self._n_kept = 0
        self._poses = np.empty((0, 3 * N_JOINTS), np.float32)
        self._features = np.empty((0, 2 * N_JOINTS), np.float32)
        self._cells = np.empty((0, _GRID_DIMENSIONS), np.int32)
        self._mean: NDArray[np.float32] | None = None
        self._leading = np.empty((0, 0), np.float32)
        self._head = np.empty(0, np.int32)
        self._following = np.empty(0, np.int32)

    def keep(self, bank: PoseBank) -> PoseBank:
        """The poses of the next batch that are near none kept so far."""
        if self._limit <= 0 or len(bank) == 0:
            return bank
        joints = bank.joints_3d
        features = np.concatenate(
            [joints[:, :, 1], np.hypot(joints[:, :, 0], joints[:, :, 2])], axis=1, dtype=np.float32
        )
        if self._mean is None:
            mean = features.mean(axis=0, dtype=np.float64)
            sample = features[:: max(1, len(features) // 50_000)].astype(np.float64) - mean
            _, vectors = np.linalg.eigh(np.einsum("nf,ng->fg", sample, sample))
            self._leading = vectors[:, ::-1][:, :_GRID_DIMENSIONS].astype(np.float32)
            self._mean = mean.astype(np.float32)
        # An orthonormal projection lengthens nothing; the margin covers float32 rounding.
        # (einsum and not @: BLAS would wake threads, which wait actively beside the workers.)
        places = np.einsum("nf,fd->nd", features - self._mean, self._leading)
        places /= np.float32(self._limit * 1.001)
        cells = np.clip(np.floor(places), -1e9, 1e9).astype(np.int32)
        self._grow(self._n_kept + len(bank))
        flat = np.ascontiguousarray(joints.reshape(len(joints), -1))
        rows, self._n_kept = _keep_distinct(
            flat,
            features,
            cells,
            self._limit,
            self._n_kept,
            self._poses,
            self._features,
            self._cells,
            self._head,
            self._following,
        )
        return bank.take(rows)

    def _grow(self, needed: int) -> None:
        if needed <= len(self._poses):
            return
        size = max(1024, self._n_kept + (self._n_kept >> 1), needed)
        for name in ("_poses", "_features", "_cells"):
            old = getattr(self, name)
            new = np.empty((size, old.shape[1]), old.dtype)
            new[: self._n_kept] = old[: self._n_kept]
            setattr(self, name, new)
        buckets = 1 << (2 * size - 1).bit_length()
        self._head = np.full(buckets, -1, np.int32)
        self._following = np.full(size, -1, np.int32)
        _fill_buckets(self._cells, self._n_kept, self._head, self._following)


_GRID_DIMENSIONS = 4


@njit(cache=True, nogil=True)
def _hash_cell(cell: NDArray[np.int32], mask: int) -> np.int64:
    h = np.uint64(1469598103934665603)
    for i in range(cell.shape[0]):
        h = (h ^ np.uint64(np.int64(cell[i]))) * np.uint64(1099511628211)
        h ^= h >> np.uint64(29)
    return np.int64(h & np.uint64(mask))


@njit(cache=True, nogil=True)
def _fill_buckets(
    cells: NDArray[np.int32], n: int, head: NDArray[np.int32], following: NDArray[np.int32]
) -> None:
    for row in range(n):
        bucket = _hash_cell(cells[row], head.shape[0] - 1)
        following[row] = head[bucket]
        head[bucket] = row


@njit(cache=True, nogil=True)
def _nearer(
    pose_a: NDArray[np.float32],
    feature_a: NDArray[np.float32],
    pose_b: NDArray[np.float32],
    feature_b: NDArray[np.float32],
    limit2: float,
) -> bool:
    """Whether two poses are nearer than the limit after the best turn about the vertical."""
    bound = 0.0
    for i in range(feature_a.shape[0]):
        d = np.float64(feature_a[i]) - np.float64(feature_b[i])
        bound += d * d
        if bound > limit2 * 1.001:
            return False
    height, norms, real, imaginary = 0.0, 0.0, 0.0, 0.0
    for j in range(0, pose_a.shape[0], 3):
        xa, ya, za = np.float64(pose_a[j]), np.float64(pose_a[j + 1]), np.float64(pose_a[j + 2])
        xb, yb, zb = np.float64(pose_b[j]), np.float64(pose_b[j + 1]), np.float64(pose_b[j + 2])
        height += (ya - yb) ** 2
        norms += xa * xa + za * za + xb * xb + zb * zb
        real += xa * xb + za * zb
        imaginary += za * xb - xa * zb
    return bool(height + norms - 2.0 * np.sqrt(real * real + imaginary * imaginary) < limit2)


@njit(cache=True, nogil=True)
def _keep_distinct(
    poses: NDArray[np.float32],
    features: NDArray[np.float32],
    cells: NDArray[np.int32],
    limit: float,
    n_kept: int,
    kept_poses: NDArray[np.float32],
    kept_features: NDArray[np.float32],
    kept_cells: NDArray[np.int32],
    head: NDArray[np.int32],
    following: NDArray[np.int32],
) -> tuple[NDArray[np.int64], int]:
    """Rows of the batch that are kept, and how many are kept now; fills the kept arrays.

    head : last kept pose of each bucket of cells; following : the one before it.
    """
    n, dims = cells.shape
    rows = np.empty(n, np.int64)
    n_rows = 0
    limit2 = limit * limit
    mask = head.shape[0] - 1
    neighbour = np.empty(dims, np.int32)
    n_neighbours = 3**dims
    last = n_kept - 1  # the pose that the one before was near to is tried first
    for row in range(n):
        near = last >= 0 and _nearer(
            poses[row], features[row], kept_poses[last], kept_features[last], limit2
        )
        step = 0
        while not near and step < n_neighbours:
            # Its own cell first, which is the one in the middle, then alternately away from it.
            rest = n_neighbours // 2 + ((step + 1) // 2 if step % 2 else -(step // 2))
            step += 1
            for i in range(dims):
                neighbour[i] = cells[row, i] + rest % 3 - 1
                rest //= 3
            other = head[_hash_cell(neighbour, mask)]
            while other >= 0:
                if _nearer(
                    poses[row], features[row], kept_poses[other], kept_features[other], limit2
                ):
                    near = True
                    last = other
                    break
                other = following[other]
        if not near:
            kept_poses[n_kept] = poses[row]
            kept_features[n_kept] = features[row]
            kept_cells[n_kept] = cells[row]
            bucket = _hash_cell(cells[row], mask)
            following[n_kept] = head[bucket]
            head[bucket] = n_kept
            last = n_kept
            n_kept += 1
            rows[n_rows] = row
            n_rows += 1
    return rows[:n_rows], n_kept
