"""References for a network's scores: poses that need no network, in each person's true box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.anchors import assign, pose_in_box
from posebank.evaluation.truth import GroundTruth
from posebank.geometry.boxes import boxes_around, from_boxes
from posebank.types import Anchors, Predictions


def mean_pose(truth: GroundTruth, anchors: Anchors) -> Predictions:
    """Predict the mean training pose in each person's true box.

    A network that finds everybody and has learnt nothing else about their poses scores this.

    Parameters
    ----------
    truth : GroundTruth
        The n people, all 13 joints of each in ``joints_2d``, px.
    anchors : Anchors
        Anchor-poses; the mean of the full-body ones, weighted by the poses of each cluster, is
        the mean of the poses that they were fitted to.

    Returns
    -------
    Predictions
        One row for each person, score 1.
    """
    full = anchors.take(anchors.kind == "full")
    mean = np.average(full.pose_3d, axis=0, weights=full.count).astype(np.float32)
    poses = np.repeat(mean[None], len(truth), axis=0)
    return _in_true_boxes(truth, poses, pose_in_box(poses, "full"))


def nearest_anchor(truth: GroundTruth, anchors: Anchors) -> Predictions:
    """Predict the anchor-pose nearest in 3D to each person's true pose, in the true box.

    A network that finds everybody, always has the right class, and regresses nothing scores this.

    Parameters
    ----------
    truth : GroundTruth
        The n people; those without a 3D pose are left out.
    anchors : Anchors
        Anchor-poses; the full-body ones are used.

    Returns
    -------
    Predictions
        One row for each person with a 3D pose, score 1.
    """
    known = truth.take(np.asarray(np.isfinite(truth.joints_3d).all(axis=(1, 2))))
    full = anchors.take(anchors.kind == "full")
    nearest, _ = assign(full.pose_3d, known.joints_3d)
    return _in_true_boxes(known, full.pose_3d[nearest], full.pose_2d[nearest])


def _in_true_boxes(
    truth: GroundTruth, poses_3d: NDArray[np.float32], in_box: NDArray[np.float32]
) -> Predictions:
    boxes = boxes_around(truth.joints_2d)
    return Predictions(
        image_id=truth.image_id,
        joints_2d=from_boxes(in_box, boxes).astype(np.float32),
        joints_3d=poses_3d.astype(np.float32),
        score=np.ones(len(truth), np.float32),
    )
