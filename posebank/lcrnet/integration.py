"""Pose proposals into poses: PPI (paper, section 3.5), and NMS as the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.lcrnet.settings import IntegrationSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Poses:
    """Poses of one image: joints_2d (n, 13, 2) px, joints_3d (n, 13, 3) m, score (n,)."""

    joints_2d: Array
    joints_3d: Array
    score: Array


def _boxes(joints_2d: Array) -> Array:
    return np.concatenate([joints_2d.min(axis=1), joints_2d.max(axis=1)], axis=1)


def _iou(box: Array, boxes: Array) -> Array:
    """IoU of one box (4,) with boxes (n, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return common / np.maximum(np.prod(box[2:] - box[:2]) + area - common, 1e-12)


def integrate(
    joints_2d: Array, joints_3d: Array, score: Array, settings: IntegrationSettings
) -> Poses:
    """Pose proposals integration (section 3.5, equations 6 and 7).

    Proposals are grouped by the IoU of the boxes around their 2D joints with the top one of those
    left; within a group, those whose mean 3D joint distance from the top one is below T_3D form a
    mode, and their score-weighted means in 2D and 3D are one pose, of the sum of their scores.

    Parameters
    ----------
    joints_2d : (n, 13, 2) px; joints_3d : (n, 13, 3) m; score : (n,).

    Returns
    -------
    Poses in descending order of score.
    """
    order = np.argsort(-score, kind="stable")
    p, q, s = joints_2d[order], joints_3d[order], score[order]
    boxes = _boxes(p) if len(p) else np.zeros((0, 4))
    found: list[tuple[Array, Array, float]] = []
    left = np.arange(len(p))
    while len(left):
        overlaps = _iou(boxes[left[0]], boxes[left]) > settings.iou
        overlaps[0] = True  # a box of no area overlaps nothing, not even itself
        group, left = left[overlaps], left[~overlaps]
        while len(group):
            distance = np.linalg.norm(q[group] - q[group[0]], axis=2).mean(axis=1)
            in_mode = distance < settings.distance_m
            mode, group = group[in_mode], group[~in_mode]
            weight = s[mode] / s[mode].sum()
            found.append(
                (
                    np.einsum("n,njc->jc", weight, p[mode]),
                    np.einsum("n,njc->jc", weight, q[mode]),
                    float(s[mode].sum()),
                )
            )
    return _sorted(found, settings.max_poses, joints_2d.shape[1])


def nms(joints_2d: Array, joints_3d: Array, score: Array, settings: IntegrationSettings) -> Poses:
    """Non-maximum suppression by the IoU of the boxes around the 2D joints; same arguments."""
    order = np.argsort(-score, kind="stable")
    p = joints_2d[order]
    boxes = _boxes(p) if len(p) else np.zeros((0, 4))
    found = []
    left = np.arange(len(p))
    while len(left):
        top = order[left[0]]
        found.append((joints_2d[top], joints_3d[top], float(score[top])))
        suppressed = _iou(boxes[left[0]], boxes[left]) > settings.nms_iou
        suppressed[0] = True
        left = left[~suppressed]
    return _sorted(found, settings.max_poses, joints_2d.shape[1])


def _sorted(found: list[tuple[Array, Array, float]], most: int, n_joints: int) -> Poses:
    if not found:
        return Poses(np.zeros((0, n_joints, 2)), np.zeros((0, n_joints, 3)), np.zeros(0))
    score = np.array([f[2] for f in found])
    order = np.argsort(-score, kind="stable")[:most]
    return Poses(
        np.stack([found[i][0] for i in order]),
        np.stack([found[i][1] for i in order]),
        score[order],
    )
