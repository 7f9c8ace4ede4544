"""From candidate poses and cameras to matches: float64 errors, distinct poses, scale and shift."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.matching.queries import Queries
from posebank.matching.viewfree.compiled import outer
from posebank.types import Matches, PoseBank, Texts

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """Cameras fitted to pairs of a person and a pose.

    error : (...) error_norm, 1 where no positive scale helps; scale : (...) per unit of the query.
    """

    error: Array
    scale: Array


def fit(unit: Array, mask: NDArray[np.bool_], joints: Array, rotation: Array) -> Fitted:
    """Best scale of given cameras, over the annotated joints.

    Parameters
    ----------
    unit : array (13, 2)
        Normalised 2D pose.
    mask : array (13,)
        Joints that are annotated.
    joints : array (..., 13, 3)
        Poses.
    rotation : array (..., 3, 3)
        Rotations from world to camera axes.
    """
    flat = np.einsum("...jd,...cd->...jc", joints[..., mask, :], rotation[..., :2, :])
    flat = flat - flat.mean(axis=-2, keepdims=True)
    query = unit[mask]
    c = (flat * query).sum((-1, -2))
    n = np.maximum((flat**2).sum((-1, -2)), 1e-12)
    scale = np.maximum(c / n, 0.0)
    residual = query - scale[..., None, None] * flat
    return Fitted(np.sqrt((residual**2).sum((-1, -2))), scale)


def distinct(seen: Array, k: int, min_distance_mm: float) -> NDArray[np.intp]:
    """The first k of ``seen`` (n, 13, 3), metres, each at least a distance from those before it.

    The distance is the RMS over the joints.
    """
    if min_distance_mm <= 0:
        return np.arange(min(k, len(seen)))
    limit = len(seen[0]) * (min_distance_mm / 1000) ** 2 if len(seen) else 0.0
    kept: list[int] = []
    for i in range(len(seen)):
        if len(kept) == k:
            break
        if not kept or (((seen[kept] - seen[i]) ** 2).sum((1, 2)) >= limit).all():
            kept.append(i)
    return np.array(kept, dtype=np.intp)


@outer(cache=True)
def _fit_cameras(
    units: Array,
    masks: NDArray[np.bool_],
    poses: NDArray[np.float32],
    rows: NDArray[np.int64],
    rotations: Array,
    scale: Array,
    middle: Array,
    error: Array,
) -> None:
    """As ``fit``, of each person's poses.

    Parameters
    ----------
    units, masks : array (n, 13, 2) and (n, 13)
        Normalised 2D poses and their annotated joints.
    poses : array (n_poses, 13, 3)
        The bank.
    rows, rotations : array (n, k) and (n, k, 2, 3)
        Rows of the bank, -1 where there is none, and the first two rows of their cameras.
    scale, middle, error : array (n, k), (n, k, 2) and (n, k)
        Receive the scales, the means of the annotated joints in camera axes, and ``error_norm``.
    """
    image = np.empty((masks.shape[1], 2))
    for p in range(rows.shape[0]):
        count = masks[p].sum()
        for i in range(rows.shape[1]):
            if rows[p, i] < 0:
                continue
            pose, r = poses[rows[p, i]], rotations[p, i]
            for c in range(2):
                total = 0.0
                for j in range(image.shape[0]):
                    image[j, c] = r[c, 0] * pose[j, 0] + r[c, 1] * pose[j, 1] + r[c, 2] * pose[j, 2]
                    total += image[j, c] if masks[p, j] else 0.0
                middle[p, i, c] = total / count
            product, norm = 0.0, 0.0
            for c in range(2):
                for j in range(image.shape[0]):
                    image[j, c] = image[j, c] - middle[p, i, c] if masks[p, j] else 0.0
                    product += image[j, c] * units[p, j, c]
                    norm += image[j, c] * image[j, c]
            scale[p, i] = max(product / max(norm, 1e-12), 0.0)
            squared = 0.0
            for c in range(2):
                for j in range(image.shape[0]):
                    residual = units[p, j, c] - scale[p, i] * image[j, c]
                    squared += residual * residual
            error[p, i] = math.sqrt(squared)


@dataclass
class Best:
    """The k best of each query, filled in query by query."""

    pose_row: NDArray[np.int64]
    rotation: Array
    scale: Array
    translation: Array
    error_norm: Array
    error_mm: Array
    gap: Array

    @classmethod
    def empty(cls, n: int, k: int) -> Best:
        """No match yet."""
        return cls(
            np.full((n, k), -1, np.int64),
            np.zeros((n, k, 3, 3)),
            np.zeros((n, k)),
            np.zeros((n, k, 2)),
            np.full((n, k), np.inf),
            np.full((n, k), np.inf),
            np.full(n, np.inf),
        )

    def put(
        self,
        i: int,
        queries: Queries,
        bank: PoseBank,
        rows: NDArray[np.int64],
        rotation: Array,
        min_distance_mm: float,
    ) -> int:
        """Enter the best distinct candidates of query ``i``; returns how many.

        Parameters
        ----------
        i : int
            Number of the query.
        queries : Queries
            Normalised 2D poses.
        bank : PoseBank
            Poses to search.
        rows : array (n,)
            Candidate poses.
        rotation : array (n, 3, 3)
            Rotations of their cameras.
        min_distance_mm : float
            Least distance between two matches of a person, millimetres.
        """
        k = self.pose_row.shape[1]
        joints = bank.joints_3d[rows].astype(np.float64)
        fitted = fit(queries.unit[i], queries.mask[i], joints, rotation)
        order = np.lexsort((rows, fitted.error))
        order = order[fitted.scale[order] > 0]
        seen = np.einsum("njd,ncd->njc", joints[order], rotation[order])
        order = order[distinct(seen, k, min_distance_mm)]
        found = len(order)
        self.pose_row[i, :found] = rows[order]
        self.rotation[i, :found] = rotation[order]
        return found

    def fit(self, queries: Queries, bank: PoseBank) -> None:
        """Fill in scale, translation and errors of the poses and rotations entered."""
        poses = np.require(bank.joints_3d, np.float32, ["C", "W"])
        scale, middle = np.zeros_like(self.scale), np.zeros_like(self.translation)
        error = np.full_like(self.error_norm, np.inf)
        rotation = np.ascontiguousarray(self.rotation[:, :, :2])
        _fit_cameras(
            queries.unit, queries.mask, poses, self.pose_row, rotation, scale, middle, error
        )
        found, size = self.pose_row >= 0, queries.size[:, None]
        count = queries.mask.sum(axis=1)[:, None]
        pixels = scale * size
        with np.errstate(divide="ignore", invalid="ignore"):
            mm = 1000 * error * size / np.sqrt(count) / pixels
        shift = queries.centre[:, None] - pixels[..., None] * middle
        self.scale[:] = pixels
        self.translation[:] = np.where(found[..., None], shift, 0.0)
        self.error_norm[:] = error
        self.error_mm[:] = np.where(found, mm, np.inf)

    def matches(self, queries: Queries, person_id: Texts) -> Matches:
        """The matches of the queries' people."""
        return Matches(
            person_id=person_id[queries.rows],
            n_annotated=queries.mask.sum(axis=1).astype(np.int32),
            pose_row=self.pose_row,
            rotation=self.rotation,
            scale=self.scale,
            translation=self.translation,
            error_norm=self.error_norm,
            error_mm=self.error_mm,
            gap=self.gap,
        )
