"""Pose proposals into poses: PPI (paper, section 3.5), and NMS as the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
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
    modes = [
        group[mode]
        for group in _groups(p, settings.iou)
        for mode in _modes(q[group], settings.distance_m)
    ]
    sums = np.array([s[mode].sum() for mode in modes])
    best = np.argsort(-sums, kind="stable")[: settings.max_poses]
    flat = np.concatenate([p, q], axis=2)
    means = np.zeros((len(best), *flat.shape[1:]))
    for row, i in enumerate(best):
        means[row] = np.tensordot(s[modes[i]], flat[modes[i]], axes=1) / sums[i]
    return Poses(means[..., :2], means[..., 2:], sums[best])


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


def _modes(joints_3d: Array, distance_m: float) -> Iterator[NDArray[np.int64]]:
    """Rows of a group (n, 13, 3), sorted by score, by mode (equation 6), best first."""
    # One contiguous row per coordinate and joint: many times faster to work on than triples.
    left, points = np.arange(len(joints_3d)), np.ascontiguousarray(joints_3d.transpose(2, 1, 0))
    while len(left):
        difference = points - points[:, :, :1]
        distance = np.sqrt(np.einsum("cjn,cjn->jn", difference, difference)).mean(axis=0)
        in_mode = distance < distance_m
        in_mode[0] = True
        yield left[in_mode]
        left, points = left[~in_mode], points[:, :, ~in_mode]
