"""Fit the anchor-poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from posebank.errors import SettingsError
from posebank.geometry.boxes import boxes_around, relative_to_boxes
from posebank.geometry.cameras import CameraLimits, sample_rotations
from posebank.skeleton import N_JOINTS, UPPER_BODY, indices
from posebank.types import Anchors, PoseBank, texts


@dataclass(frozen=True)
class AnchorSettings:
    """How anchor-poses are made.

    k : full-body anchor-poses. upper_body : add an upper-body one for each (paper, section 4.2).
    source : cluster the labels' poses, or the bank's in random views.
    n_poses : poses drawn when the source is the bank. limits : cameras of those views.
    restarts : k-means++ starts, of which the best is kept.
    """

    k: int = 100
    upper_body: bool = True
    source: str = "labels"
    n_poses: int = 100_000
    restarts: int = 3
    limits: CameraLimits = CameraLimits()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.source not in ("labels", "bank"):
            raise SettingsError(f"source: expected labels or bank, got {self.source!r}")
        for name in ("k", "n_poses", "restarts"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected at least 1, got {getattr(self, name)}")


def anchor_poses(bank: PoseBank, settings: AnchorSettings) -> NDArray[np.float32]:
    """Poses of the bank in random views, (n_poses, 13, 3) metres, camera axes.

    Every pose is taken equally often, give or take one.
    """
    rng = np.random.default_rng([settings.seed, 0])
    rows = np.arange(settings.n_poses) % len(bank)
    rotation = sample_rotations(settings.n_poses, settings.limits, rng)
    return np.einsum("nij,nkj->nki", rotation, bank.joints_3d[rows]).astype(np.float32)


def fit_anchors(poses: NDArray[np.floating], settings: AnchorSettings) -> Anchors:
    """K-means over poses; anchors in descending order of their count.

    Parameters
    ----------
    poses : (n, 13, 3) metres, camera axes, body-centred; n >= k.

    Raises
    ------
    SettingsError
        If there are fewer distinct poses than anchors.
    """
    flat = np.ascontiguousarray(poses, np.float64).reshape(len(poses), -1)
    if len(np.unique(flat, axis=0)) < settings.k:
        raise SettingsError(
            f"k: expected at most as many anchors as distinct poses, got k={settings.k} "
            f"and {len(poses)} poses"
        )
    fitted = KMeans(
        n_clusters=settings.k,
        init="k-means++",
        n_init=settings.restarts,
        random_state=settings.seed,
    ).fit(flat)
    count = np.bincount(fitted.labels_, minlength=settings.k)
    centres = fitted.cluster_centers_
    order = np.lexsort((*centres.T[::-1], -count))
    pose_3d = centres[order].reshape(-1, N_JOINTS, 3).astype(np.float32)
    kinds = ["full"]
    shapes = [anchor_2d(pose_3d, "full")]
    if settings.upper_body:
        kinds.append("upper")
        shapes.append(anchor_2d(pose_3d, "upper"))
    n = settings.k * len(kinds)
    return Anchors(
        anchor_id=np.arange(n, dtype=np.int32),
        kind=texts([kind for kind in kinds for _ in range(settings.k)]),
        pose_2d=np.concatenate(shapes).astype(np.float32),
        pose_3d=np.concatenate([pose_3d] * len(kinds)),
        count=np.tile(count[order], len(kinds)).astype(np.int64),
    )


def anchor_2d(pose_3d: NDArray[np.floating], kind: str) -> NDArray[np.float64]:
    """2D anchor-poses in their box: the orthographic projection, box at (0, 0)-(1, 1).

    Parameters
    ----------
    pose_3d : (K, 13, 3), camera axes.
    kind : ``full``, or ``upper`` for the box around the upper body alone (paper, section 4.2).

    Returns
    -------
    (K, 13, 2); of an upper-body anchor the legs reach beyond the box.
    """
    flat = np.asarray(pose_3d, np.float64)[..., :2]
    covered = flat if kind == "full" else flat[:, indices(UPPER_BODY)]
    return relative_to_boxes(flat, boxes_around(covered))
