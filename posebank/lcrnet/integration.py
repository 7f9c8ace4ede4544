"""Pose proposals into poses: PPI (paper, section 3.5), and NMS as the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.geometry.overlap import box_iou
from posebank.lcrnet.settings import FOREGROUND_IOU, IntegrationSettings

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
    joints_2d: Array,
    joints_3d: Array,
    score: Array,
    settings: IntegrationSettings,
    box: NDArray[np.integer] | None = None,
) -> Poses:
    """Integrate pose proposals (section 3.5, equations 6 and 7).

    Proposals are grouped by the IoU of the boxes around their 2D joints with the top one of those
    left; within a group, those whose mean 3D joint distance from the top one is below T_3D form a
    mode. With ``all_modes`` each mode is a pose, as in the paper: the score-weighted means of its
    2D and 3D joints, of the sum of the scores.

    Otherwise a group is a person, with one pose, from the mode of the highest sum. The mean is
    over the proposals of the mode whose IoU with its top one is at least ``FOREGROUND_IOU``,
    because people who stand close together are in one group, and in one mode if their poses are
    alike. The score is the confidence that there is a person, whatever the pose: the scores of
    each box's proposals in the group are added up, and the highest sum is taken.

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
    box : array (n,) of int, or None
        Number of the box that each proposal was made from. Without it the score of a person's pose
        is the sum over the mode.
    """
    order = np.argsort(-score, kind="stable")
    p, q, s = joints_2d[order], joints_3d[order], np.asarray(score, np.float64)[order]
    boxes = _boxes(p)
    group = _groups(boxes, settings.iou)
    mode = _modes(q, group, settings.distance_m)
    sums = np.bincount(mode, s).astype(np.float64)
    if settings.all_modes:
        return _best(*_means(p, q, s, mode), sums, settings.max_poses)
    _, top = np.unique(mode, return_index=True)
    best = _first_of_each(group[top], sums)
    near = _overlap_of_two(boxes, boxes[top[mode]]) >= FOREGROUND_IOU
    near[top] = True  # also a box of no area
    flat, deep = _means(p, q, np.where(near, s, 0), mode)
    person = sums[best] if box is None else _highest_box(group, np.asarray(box)[order], s)
    return _best(flat[best], deep[best], person, settings.max_poses)


def _highest_box(group: NDArray[np.int64], box: NDArray[np.integer], score: Array) -> Array:
    """Highest sum of the scores (n,) of one box within each group; groups count from 0."""
    order = np.lexsort((box, group))
    group, box = group[order], box[order]
    new = np.ones(len(group), bool)
    new[1:] = (np.diff(group) != 0) | (np.diff(box) != 0)
    sums = np.add.reduceat(score[order], np.flatnonzero(new))
    return np.asarray(sums[_first_of_each(group[new], sums)])


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
def _overlap_of_two(a: Array, b: Array) -> Array:  # pragma: no cover
    """IoU (n,) of each box (n, 4) with the one in the same row of the other array."""
    iou = np.empty(len(a))
    for row in range(len(a)):
        iou[row] = box_iou(a[row], b[row])
    return iou


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
) -> tuple[Array, Array]:  # pragma: no cover
    """Score-weighted means in 2D and 3D of each mode (equation 7)."""
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
    return flat, deep
