"""Pose proposals into poses: PPI (paper, section 3.5), and NMS as the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.geometry.overlap import box_iou
from posebank.lcrnet.settings import IntegrationSettings

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Poses:
    """Poses of one image, best first.

    joints_2d : (n, 13, 2) px; joints_3d : (n, 13, 3) m; score : (n,).
    """

    joints_2d: Array
    joints_3d: Array
    score: Array


def integrate(
    joints_2d: Array, joints_3d: Array, score: Array, settings: IntegrationSettings
) -> Poses:
    """Integrate pose proposals (section 3.5, equations 6 and 7).

    Proposals are grouped by the IoU of the boxes around their 2D joints with the top one of those
    left; within a group, those whose mean 3D joint distance from the top one is below T_3D form a
    mode, and their score-weighted means in 2D and 3D are one pose, of the sum of their scores.
    Of a group, which is a person, the mode of the highest sum is returned; with ``all_modes``
    every one is.

    Parameters
    ----------
    joints_2d : array (n, 13, 2), pixels
        2D poses of the proposals.
    joints_3d : array (n, 13, 3), metres
        3D poses of the proposals, camera axes.
    score : array (n,)
        Score of each proposal, above 0.
    settings : IntegrationSettings
        Thresholds of the integration.
    """
    order = np.argsort(-score, kind="stable")
    p, q, s = joints_2d[order], joints_3d[order], np.asarray(score, np.float64)[order]
    group = _groups(_boxes(p), settings.iou)
    mode = _modes(q, group, settings.distance_m)
    poses = _means(p, q, s, mode)
    if not settings.all_modes:
        _, first = np.unique(mode, return_index=True)
        best = _first_of_each(group[first], poses[2])
        poses = (poses[0][best], poses[1][best], poses[2][best])
    return _best(*poses, settings.max_poses)


def _first_of_each(group: NDArray[np.int64], score: Array) -> NDArray[np.intp]:
    """Row of the highest score (n,) of each group (n,); of equal ones the first."""
    order = np.argsort(-score, kind="stable")
    _, first = np.unique(group[order], return_index=True)
    return order[first]


def _best(joints_2d: Array, joints_3d: Array, score: Array, most: int) -> Poses:
    order = np.argsort(-score, kind="stable")[:most]
    return Poses(joints_2d[order], joints_3d[order], score[order])


def nms(joints_2d: Array, joints_3d: Array, score: Array, settings: IntegrationSettings) -> Poses:
    """Suppress all but the best of overlapping poses; arguments as of ``integrate``."""
    order = np.argsort(-score, kind="stable")
    _, first = np.unique(_groups(_boxes(joints_2d[order]), settings.nms_iou), return_index=True)
    top = order[first]
    return _best(joints_2d[top], joints_3d[top], score[top], settings.max_poses)


# Loops, because an image has thousands of proposals, most of which are told apart early.


@njit(cache=True)
def _boxes(joints_2d: Array) -> Array:  # pragma: no cover
    """Boxes (n, 4) around joints (n, 13, 2)."""
    boxes = np.empty((len(joints_2d), 4))
    for row in range(len(joints_2d)):
        for axis in range(2):
            low = high = joints_2d[row, 0, axis]
            for joint in range(1, joints_2d.shape[1]):
                value = joints_2d[row, joint, axis]
                low, high = min(low, value), max(high, value)
            boxes[row, axis], boxes[row, 2 + axis] = low, high
    return boxes


@njit(cache=True)
def _groups(boxes: Array, iou: float) -> NDArray[np.int64]:  # pragma: no cover
    """Group (n,) of each box (n, 4), sorted by score: by overlap with the top one of those left.

    Boxes overlap when their IoU is above ``iou``.
    """
    n = len(boxes)
    group = np.full(n, -1, np.int64)
    n_groups = 0
    for top in range(n):
        if group[top] >= 0:
            continue
        group[top] = n_groups  # a box of no area overlaps nothing, not even itself
        for other in range(top + 1, n):
            if group[other] < 0 and box_iou(boxes[top], boxes[other]) > iou:
                group[other] = n_groups
        n_groups += 1
    return group


@njit(cache=True)
def _modes(
    joints_3d: Array, group: NDArray[np.int64], distance_m: float
) -> NDArray[np.int64]:  # pragma: no cover
    """Mode (n,) of each pose (n, 13, 3), sorted by score, within its group (equation 6)."""
    n, n_joints, _ = joints_3d.shape
    mode = np.full(n, -1, np.int64)
    n_modes = 0
    for top in range(n):
        if mode[top] >= 0:
            continue
        mode[top] = n_modes
        for other in range(top + 1, n):
            if mode[other] >= 0 or group[other] != group[top]:
                continue
            left = distance_m * n_joints
            for joint in range(n_joints):
                x = joints_3d[other, joint, 0] - joints_3d[top, joint, 0]
                y = joints_3d[other, joint, 1] - joints_3d[top, joint, 1]
                z = joints_3d[other, joint, 2] - joints_3d[top, joint, 2]
                left -= np.sqrt(x * x + y * y + z * z)
                if left <= 0:
                    break
            if left > 0:
                mode[other] = n_modes
        n_modes += 1
    return mode


@njit(cache=True)
def _means(
    joints_2d: Array, joints_3d: Array, score: Array, mode: NDArray[np.int64]
) -> tuple[Array, Array, Array]:  # pragma: no cover
    """Score-weighted means in 2D and 3D of each mode, and the sums of the scores (equation 7)."""
    n_modes = 0
    for row in range(len(mode)):
        n_modes = max(n_modes, mode[row] + 1)
    n_joints = joints_2d.shape[1]
    flat, deep = np.zeros((n_modes, n_joints, 2)), np.zeros((n_modes, n_joints, 3))
    sums = np.zeros(n_modes)
    for row in range(len(mode)):
        sums[mode[row]] += score[row]
        for joint in range(n_joints):
            for axis in range(2):
                flat[mode[row], joint, axis] += score[row] * joints_2d[row, joint, axis]
            for axis in range(3):
                deep[mode[row], joint, axis] += score[row] * joints_3d[row, joint, axis]
    for row in range(n_modes):
        flat[row] /= sums[row]
        deep[row] /= sums[row]
    return flat, deep, sums
