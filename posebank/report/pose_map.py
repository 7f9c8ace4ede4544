"""A 2D map of poses: bank, labelled people and anchor-poses in one plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from posebank.geometry.rotations import axis_rotation, heading_angle
from posebank.skeleton import N_JOINTS, J, centred

Points = NDArray[np.float64]


@dataclass(frozen=True)
class PoseMap:
    """Points of the plane, each in [0, 1] x [0, 1].

    bank : (n_poses, 2); people : (n_people, 2); anchors : (n_anchors, 2).
    explained : share of the poses' variance that the plane keeps.
    """

    bank: Points
    people: Points
    anchors: Points
    explained: float


def pose_map(
    bank: NDArray[np.floating], people: NDArray[np.floating], anchors: NDArray[np.floating]
) -> PoseMap:
    """Project poses on the two principal components of the bank and the people together.

    Poses are turned about the vertical so that the hips face the viewer, because the direction a
    person faces says nothing of the pose.

    Parameters
    ----------
    bank : array (n_poses, 13, 3), metres
        Poses of the bank, y up.
    people : array (n_people, 13, 3), metres
        Labelled poses in camera axes (y down).
    anchors : array (n_anchors, 13, 3), metres
        Anchor-poses in camera axes (y down).

    Returns
    -------
    The points, scaled together to the unit square; a few outliers beyond the 0.5 and 99.5
    percentiles are moved to its border.
    """
    to_world = np.array([1.0, -1.0, -1.0])
    features = [_facing(bank), _facing(people * to_world), _facing(anchors * to_world)]
    fitted = PCA(n_components=2).fit(np.concatenate(features[:2]))
    flat = [fitted.transform(f) if len(f) else np.zeros((0, 2)) for f in features]
    low, high = np.percentile(np.concatenate(flat), [0.5, 99.5], axis=0)
    first, second, third = (np.clip((f - low) / np.maximum(high - low, 1e-9), 0, 1) for f in flat)
    return PoseMap(first, second, third, float(fitted.explained_variance_ratio_.sum()))


def _facing(poses: NDArray[np.floating]) -> Points:
    """Poses (n, 13, 3), y up, turned to face one way and flattened to (n, 39)."""
    joints = centred(np.asarray(poses, np.float64))
    turned = axis_rotation("y", -heading_angle(joints, J["r_hip"], J["l_hip"]))
    facing: Points = np.einsum("nij,nkj->nki", turned, joints).reshape(len(joints), 3 * N_JOINTS)
    return facing
