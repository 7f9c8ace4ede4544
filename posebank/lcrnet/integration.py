"""Pose proposals into poses: PPI (paper, section 3.5), and NMS as the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
    """Pose proposals integration (section 3.5, equations 6 and 7).

    Proposals are grouped by the IoU of the boxes around their 2D joints with the top one of those
    left; within a group, those whose mean 3D joint distance from the top one is below T_3D form a
    mode, and their score-weighted means in 2D and 3D are one pose, of the sum of their scores.

    Parameters
    ----------
    joints_2d : (n, 13, 2) px; joints_3d : (n, 13, 3) m; score : (n,), positive.
    """
    order = np.argsort(-score, kind="stable")
    p = np.asarray(joints_2d, np.float64)[order]
    q = np.asarray(joints_3d, np.float64)[order]
    s = np.asarray(score, np.float64)[order]
    mode = np.empty(len(s), np.int64)
    n_modes = 0
    for group in _groups(p, settings.iou):
        mode[group] = n_modes + _modes(q[group], settings.distance_m)
        n_modes = int(mode[group].max()) + 1
    by_mode = np.argsort(mode, kind="stable")
    weighted = np.concatenate([p, q], axis=2)[by_mode] * s[by_mode, None, None]
    first = np.searchsorted(mode[by_mode], np.arange(n_modes))
    if n_modes == 0:
        return Poses(p, q, s)
    sums = np.add.reduceat(s[by_mode], first)
    means = np.add.reduceat(weighted, first) / sums[:, None, None]
    best = np.argsort(-sums, kind="stable")[: settings.max_poses]
    return Poses(means[best, :, :2], means[best, :, 2:], sums[best])


def nms(joints_2d: Array, joints_3d: Array, score: Array, settings: IntegrationSettings) -> Poses:
    """Non-maximum suppression by the IoU of the boxes around the 2D joints; same arguments."""
    order = np.argsort(-score, kind="stable")
    groups = _groups(np.asarray(joints_2d, np.float64)[order], settings.nms_iou)
    top = order[np.array([group[0] for group in groups], np.int64)][: settings.max_poses]
    return Poses(joints_2d[top], joints_3d[top], score[top])


def _groups(joints_2d: Array, iou: float) -> list[NDArray[np.int64]]:
    """Rows of proposals (n, 13, 2), sorted by score, by overlap with the top one of those left.

    Proposals overlap when the IoU of the boxes around their joints is above ``iou``.
    """
    low, high = joints_2d.min(axis=1), joints_2d.max(axis=1)
    area = (high - low).prod(axis=1)
    left = np.arange(len(joints_2d))
    groups = []
    while len(left):
        top = left[0]
        sides = np.minimum(high[top], high[left]) - np.maximum(low[top], low[left])
        common = sides.clip(min=0).prod(axis=1)
        overlaps = common > iou * (area[top] + area[left] - common)
        overlaps[0] = True  # a box of no area overlaps nothing, not even itself
        groups.append(left[overlaps])
        left = left[~overlaps]
    return groups


@njit(cache=True)
def _modes(joints_3d: Array, distance_m: float) -> NDArray[np.int64]:  # pragma: no cover
    """Mode (n,) of each pose of a group (n, 13, 3), sorted by score (equation 6).

    Most poses of other modes are told after a few joints: that is why this is a loop.
    """
    n, n_joints, _ = joints_3d.shape
    mode = np.full(n, -1, np.int64)
    n_modes = 0
    for top in range(n):
        if mode[top] >= 0:
            continue
        mode[top] = n_modes
        for other in range(top + 1, n):
            if mode[other] >= 0:
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
