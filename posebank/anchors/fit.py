"""Fit anchor-poses to 3D poses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.anchors.kmeans import Clusters, Mirror, TooFewPointsError, kmeans, twins
from posebank.anchors.plain_kmeans import sklearn_kmeans
from posebank.anchors.settings import AnchorSettings
from posebank.errors import ArtefactError
from posebank.geometry.boxes import boxes_around, relative_to_boxes
from posebank.skeleton import MIRROR, N_JOINTS, UPPER_BODY, centred, indices
from posebank.types import Anchors, texts


def fit_anchors(poses: NDArray[np.floating], settings: AnchorSettings) -> Anchors:
    """Return the anchor-poses of 3D poses: their K-means centers (paper, section 4.1).

    Parameters
    ----------
    poses : array (n, 13, 3), metres
        Poses in camera axes; they are centred on the body again.
    settings : AnchorSettings
        Number of anchors and how they are computed.

    Returns
    -------
    The full-body anchor-poses, the one with the most poses first (of a mirror-closed set, pair by
    pair), and after them, if asked for, the upper-body ones in the same order.

    Raises
    ------
    ArtefactError
        If there are fewer distinct poses than anchor-poses, or a coordinate is not finite.
    """
    points = np.ascontiguousarray(centred(poses), np.float32).reshape(len(poses), -1)
    if not np.isfinite(points).all():
        raise ArtefactError("anchors: expected finite 3D joints, found NaN or infinity")
    if len(points) < settings.k:
        raise ArtefactError(
            f"anchors: expected k (-k) of at most the {len(points):,} poses to cluster, found "
            f"{settings.k:,}; use -k {max(1, len(points) // 10)} or fewer"
        )
    mirror = _MIRROR_POINTS if settings.mirror_closed else None
    try:
        if settings.algorithm == "sklearn":
            found = sklearn_kmeans(
                points, settings.k, restarts=settings.restarts, seed=settings.seed
            )
        else:
            found = kmeans(
                points, settings.k, restarts=settings.restarts, seed=settings.seed, mirror=mirror
            )
    except TooFewPointsError as error:
        raise ArtefactError(
            f"anchors: k = {settings.k} for {len(points)} poses: {error}"
        ) from error
    means = found.centers.reshape(-1, N_JOINTS, 3)
    if settings.medoids:
        means = _medoids(points, found, mirror).reshape(-1, N_JOINTS, 3)
    order = _by_count(found.count, settings.mirror_closed)
    return _records(means[order], found.count[order], settings.upper_body)


_MIRROR_POINTS = Mirror(
    order=(MIRROR[:, None] * 3 + np.arange(3)).reshape(-1),
    sign=np.tile([-1.0, 1.0, 1.0], N_JOINTS),
)
"""``skeleton.mirrored_3d`` on flattened poses."""


def _medoids(
    points: NDArray[np.float32], found: Clusters, mirror: Mirror | None
) -> NDArray[np.float64]:
    """The point of each cluster that is closest to its mean.

    It is the medoid for squared distances: their sum over a cluster is least there. Of a mirrored
    pair, the points of one cluster and the mirrored ones of the other are looked at together.
    """
    members: list[tuple[NDArray[Any], NDArray[Any]]] = [(points, found.labels)]
    if mirror is not None:
        members.append((mirror(points), twins(len(found.centers))[found.labels]))
    medoids = found.centers.copy()
    least = np.full(len(medoids), np.inf)
    for candidates, labels in members:
        square = ((candidates - found.centers[labels]) ** 2).sum(axis=1)
        order = np.lexsort((np.arange(len(labels)), square, labels))
        first = order[np.unique(labels[order], return_index=True)[1]]
        better = first[square[first] < least[labels[first]]]
        medoids[labels[better]], least[labels[better]] = candidates[better], square[better]
    if mirror is not None:  # one choice for a pair
        even = np.arange(0, len(medoids) - 1, 2)
        medoids[even + 1] = mirror(medoids[even])
    return medoids


def _by_count(count: NDArray[np.int64], pairs: bool) -> NDArray[np.intp]:
    """Rows by falling count; mirrored pairs stay together, in the order of their sum."""
    if not pairs:
        return np.argsort(-count, kind="stable")
    twin = twins(len(count))
    together = count + np.where(twin == np.arange(len(count)), 0, count[twin])
    return np.argsort(-together, kind="stable")


def _records(means: NDArray[np.floating], count: NDArray[np.int64], upper_body: bool) -> Anchors:
    pose_3d = centred(means).astype(np.float32)
    kinds = ("full", "upper") if upper_body else ("full",)
    n = len(pose_3d)
    return Anchors(
        anchor_id=np.arange(n * len(kinds), dtype=np.int32),
        kind=texts(kind for kind in kinds for _ in range(n)),
        pose_2d=np.concatenate([pose_in_box(pose_3d, kind) for kind in kinds]),
        pose_3d=np.concatenate([pose_3d] * len(kinds)),
        count=np.concatenate([count] * len(kinds)).astype(np.int64),
    )


def pose_in_box(pose_3d: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Return the 2D anchor-poses (n, 13, 2) of 3D ones (n, 13, 3), relative to their box.

    The 3D pose is seen by an orthographic camera. The box is around all joints (``full``) or
    around the upper body (``upper``; the legs may then lie outside it, paper, section 4.3), with
    the margin ``BOX_MARGIN``.
    """
    seen = pose_3d[..., :2]
    covered = seen if kind == "full" else seen[:, indices(UPPER_BODY)]
    relative: NDArray[np.float32] = relative_to_boxes(seen, boxes_around(covered))
    return relative
