"""The poses that anchor-poses are made of, and the distance between poses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.anchors.blocks import in_blocks
from posebank.anchors.settings import AnchorSettings
from posebank.errors import ArtefactError
from posebank.geometry.cameras import sample_rotations
from posebank.skeleton import N_JOINTS, centred, mirrored_3d
from posebank.types import PoseBank


def anchor_poses(bank: PoseBank, settings: AnchorSettings) -> NDArray[np.float32]:
    """Return poses of the bank (``drawn_rows``) as random cameras within the limits see them.

    Returns
    -------
    (n_poses, 13, 3) float32, metres, camera axes, relative to the body centre.

    Raises
    ------
    ArtefactError
        If the bank is empty.
    """
    if len(bank) == 0:
        raise ArtefactError("bank: expected at least one pose, found none")
    n = settings.n_poses
    rows = drawn_rows(len(bank), settings)
    rng = np.random.default_rng([settings.seed, 1])
    rotations = sample_rotations(n, settings.limits, rng).astype(np.float32)
    poses = np.empty((n, N_JOINTS, 3), np.float32)

    def view(block: slice) -> None:
        seen = bank.joints_3d[rows[block]] @ np.swapaxes(rotations[block], -1, -2)
        poses[block] = centred(seen)

    in_blocks(view, n)
    return poses


def trained_poses(poses: NDArray[np.floating], settings: AnchorSettings) -> NDArray[np.float32]:
    """Return poses of labels as augmented training shows them: mirrored, and rotated in the image.

    Parameters
    ----------
    poses : array (n, 13, 3), metres
        Poses in camera axes.
    settings : AnchorSettings
        The settings.

    Returns
    -------
    (c * n, 13, 3): the poses ``c`` times in their order; ``c`` is 1 without any such change, 2 with
    mirroring alone, else 4 (with mirroring, half of them mirrored) at random angles.
    """
    copies = [np.asarray(poses, np.float32)]
    if settings.mirrored:
        copies.append(mirrored_3d(copies[0]))
    if settings.rotation_deg:
        copies = copies * (4 // len(copies))
        rng = np.random.default_rng([settings.seed, 2])
        most = np.radians(settings.rotation_deg)
        copies = [_rolled(copy, rng.uniform(-most, most, len(copy))) for copy in copies]
    return np.concatenate(copies)


def _rolled(poses: NDArray[np.float32], angle: NDArray[np.float64]) -> NDArray[np.float32]:
    """Poses (n, 13, 3) whose camera rolled: x and y turned by the angles (n,), from x to y."""
    cos, sin = (f(angle).astype(np.float32)[:, None] for f in (np.cos, np.sin))
    x, y, z = np.moveaxis(poses, -1, 0)
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)


def drawn_rows(n_bank: int, settings: AnchorSettings) -> NDArray[np.int64]:
    """Return which poses of a bank of ``n_bank`` (at least 1) are drawn, (n_poses,).

    Every one is used equally often, give or take one: the bank is gone through again and again in
    new random orders until ``settings.n_poses`` poses are drawn.
    """
    rng = np.random.default_rng([settings.seed, 0])
    rounds = [rng.permutation(n_bank) for _ in range(-(-settings.n_poses // n_bank))]
    return np.concatenate(rounds)[: settings.n_poses]


def assign(
    anchors_3d: NDArray[Any], joints_3d: NDArray[Any]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the closest anchor-pose of each pose, by D = mean joint distance (paper, equation 2).

    Parameters
    ----------
    anchors_3d : array (n_anchors, 13, 3)
        Anchor-poses, relative to the body centre.
    joints_3d : array (n, 13, 3)
        Poses in the unit and the frame of the anchors.

    Returns
    -------
    (ids, distance) : (n,) rows of ``anchors_3d``, the lowest where several are equally close, and
        the distance to them in the unit of the input.

    Examples
    --------
    >>> poses = np.random.default_rng(0).normal(size=(5, 13, 3))
    >>> number, distance = assign(poses[:3], poses[[2, 0]])
    >>> number.tolist(), distance.round(6).tolist()
    ([2, 0], [0.0, 0.0])
    """
    anchors = np.ascontiguousarray(anchors_3d, np.float32)
    poses = np.ascontiguousarray(joints_3d, np.float32)
    if len(anchors) == 0:
        raise ValueError("expected at least one anchor-pose")
    # Joint coordinates first, anchors last: the inner loop runs over anchors and vectorises.
    by_joint = np.ascontiguousarray(anchors.transpose(1, 2, 0))
    ids = np.empty(len(poses), np.int32)
    distance = np.empty(len(poses), np.float32)
    in_blocks(lambda s: _closest(by_joint, poses[s], ids[s], distance[s]), len(poses))
    return ids, distance


@njit(cache=True, nogil=True, error_model="numpy")
def _closest(
    by_joint: NDArray[np.float32],
    poses: NDArray[np.float32],
    ids: NDArray[np.int32],
    distance: NDArray[np.float32],
) -> None:
    n_joints, _, n_anchors = by_joint.shape
    total = np.empty(n_anchors, np.float32)
    for i in range(len(poses)):
        total[:] = 0
        for j in range(n_joints):
            x, y, z = poses[i, j, 0], poses[i, j, 1], poses[i, j, 2]
            for k in range(n_anchors):
                dx = by_joint[j, 0, k] - x
                dy = by_joint[j, 1, k] - y
                dz = by_joint[j, 2, k] - z
                total[k] += np.sqrt(dx * dx + dy * dy + dz * dz)
        best = 0
        for k in range(1, n_anchors):
            if total[k] < total[best]:
                best = k
        ids[i] = best
        distance[i] = total[best] / np.float32(n_joints)
