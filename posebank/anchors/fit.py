"""Fit anchor-poses to 3D poses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from posebank.anchors.settings import AnchorSettings
from posebank.errors import ArtefactError
from posebank.geometry.boxes import boxes_around, relative_to_boxes
from posebank.skeleton import N_JOINTS, UPPER_BODY, centred, indices
from posebank.types import Anchors, texts


def fit_anchors(poses: NDArray[np.float32], settings: AnchorSettings) -> Anchors:
    """Anchor-poses of 3D poses (n, 13, 3), metres, camera axes.

    Raises
    ------
    ArtefactError
        If there are fewer distinct poses than anchor-poses.
    """
    poses = np.asarray(centred(poses), np.float32)
    if len(poses) < settings.k:
        raise ArtefactError(
            f"anchors: expected at least k = {settings.k} poses to cluster, found {len(poses)}"
        )
    fitted = KMeans(settings.k, n_init=1, random_state=settings.seed).fit(
        poses.reshape(len(poses), -1)
    )
    count = np.bincount(fitted.labels_, minlength=settings.k)
    return _records(fitted.cluster_centers_.reshape(-1, N_JOINTS, 3), count, settings.upper_body)


def _records(means: NDArray[np.floating], count: NDArray[np.int64], upper_body: bool) -> Anchors:
    """The most frequent anchor-pose first; upper-body ones after the full-body ones."""
    order = np.argsort(-count, kind="stable")
    pose_3d = centred(means[order]).astype(np.float32)
    kinds = ("full", "upper") if upper_body else ("full",)
    n = len(order)
    return Anchors(
        anchor_id=np.arange(n * len(kinds), dtype=np.int32),
        kind=texts(kind for kind in kinds for _ in range(n)),
        pose_2d=np.concatenate([pose_in_box(pose_3d, kind) for kind in kinds]),
        pose_3d=np.concatenate([pose_3d] * len(kinds)),
        count=np.concatenate([count[order]] * len(kinds)).astype(np.int64),
    )


def pose_in_box(pose_3d: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """2D anchor-poses (n, 13, 2) of 3D ones (n, 13, 3), relative to their box.

    The 3D pose is seen by an orthographic camera. The box is around all joints (``full``) or
    around the upper body (``upper``; the legs then lie below it, paper, section 4.3), with the
    margin ``BOX_MARGIN``.
    """
    seen = pose_3d[..., :2]
    covered = seen if kind == "full" else seen[:, indices(UPPER_BODY)]
    relative: NDArray[np.float32] = relative_to_boxes(seen, boxes_around(covered))
    return relative
