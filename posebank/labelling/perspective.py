"""Candidate poses in the perspective camera that labels are made with (``completion.project``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from posebank.geometry.centring import centre_on
from posebank.geometry.perspective import depth_ratio
from posebank.labelling.completion import DISTANCE_M, fit_camera, project
from posebank.types import Matches, PoseBank

Array = NDArray[np.float64]
Annotated = NDArray[np.bool_]

SPREAD_M = 0.04
"""Standard deviation of a joint about every mixture of candidates: the bank lacks some poses."""
NOISE_M = 0.05
"""Noise of an annotated joint, metres at the body, with the errors of the camera model."""
TURN = 0.1
"""Standard deviation of the rotation of a candidate's camera about each axis, radians."""
FREE = 0.5
"""Standard deviation of the shift (metres) and of the log scale of an image: next to unknown."""
_BLOCK = 128  # people at a time, to bound the memory


def candidate_poses(bank: PoseBank, matches: Matches) -> tuple[Array, NDArray[np.bool_]]:
    """Return every candidate in the axes of its camera.

    Returns
    -------
    poses : (n, k, 13, 3)
        Metres, camera axes, body-centred, 0 where there is no candidate.
    valid : (n, k)
        Whether there is a candidate.
    """
    valid = matches.pose_row >= 0
    joints = bank.joints_3d[np.where(valid, matches.pose_row, 0)].astype(np.float64)
    poses = np.einsum("nkjd,nkcd->nkjc", joints, matches.rotation)
    return np.where(valid[..., None, None], poses, 0.0), valid


def perspective_candidates(
    bank: PoseBank, matches: Matches, joints_2d: NDArray[np.floating], annotated: Annotated
) -> tuple[Array, Array]:
    """Return every candidate turned to where it fits best in perspective.

    Parameters
    ----------
    bank, matches
        The candidates of n people.
    joints_2d : (n, 13, 2)
        Pixels, read where annotated.
    annotated : Annotated (n, 13)
        Joints that are annotated.

    Returns
    -------
    poses : (n, k, 13, 3)
        Metres, camera axes, body-centred.
    error_norm : (n, k)
        Of each pose in the perspective camera, infinite where there is no candidate.
    """
    poses = np.empty((*matches.pose_row.shape, *bank.joints_3d.shape[1:]))
    error = np.empty(matches.pose_row.shape)
    for start in range(0, len(matches), _BLOCK):
        rows = slice(start, start + _BLOCK)
        candidates, valid = candidate_poses(bank, matches.take(rows))
        poses[rows] = turned(candidates, joints_2d[rows], annotated[rows])
        residual = perspective_error(poses[rows], joints_2d[rows, None], annotated[rows, None])
        error[rows] = np.where(valid, residual, np.inf)
    return poses, error


def perspective_error(poses: Array, joints_2d: NDArray[np.floating], annotated: Annotated) -> Array:
    """Return the ``error_norm`` (...) of poses (..., 13, 3) in the perspective camera.

    Parameters
    ----------
    poses : (..., 13, 3)
        Metres, camera axes, body-centred.
    joints_2d : (..., 13, 2)
        Pixels, read where annotated.
    annotated : Annotated (..., 13)
        Joints that are annotated.
    """
    image = project(poses)
    scale, shift = fit_camera(joints_2d, annotated, image)
    residual = joints_2d - scale[..., None, None] * image - shift[..., None, :]
    residual = np.where(annotated[..., None], residual, 0.0)
    query, _ = centre_on(joints_2d, annotated)
    squared = (residual**2).sum((-1, -2)) / np.maximum((query**2).sum((-1, -2)), 1e-12)
    result: Array = np.sqrt(squared)
    return result


def turned(poses: Array, joints_2d: NDArray[np.floating], annotated: Annotated) -> Array:
    """Turn each candidate a little, to where it fits best in perspective.

    The candidates' cameras were chosen without perspective. This is one Gauss-Newton step over the
    rotation, the shift and the scale of the image, with a standard deviation of ``TURN`` about each
    axis and of ``SPREAD_M + NOISE_M`` of each joint.

    Parameters
    ----------
    poses : (n, k, 13, 3)
        Metres, camera axes, body-centred.
    joints_2d : (n, 13, 2)
        Pixels, read where annotated.
    annotated : Annotated (n, 13)
        Joints that are annotated.

    Returns
    -------
    (n, k, 13, 3)
    """
    innovation = _innovation(poses, joints_2d[:, None], annotated[:, None])
    by_joint = slope_of_projection(poses) * annotated[:, None, :, None, None]
    free = _image_freedom(project(poses), annotated[:, None])
    slope = np.concatenate([TURN * (by_joint @ _turn_directions(poses)), free], axis=-1)
    slope = slope.reshape(*poses.shape[:2], -1, slope.shape[-1])
    transposed = slope.swapaxes(-1, -2)
    normal = transposed @ slope + (SPREAD_M + NOISE_M) ** 2 * np.eye(slope.shape[-1])
    right = transposed @ innovation.reshape(*poses.shape[:2], -1, 1)
    angles = TURN * np.linalg.solve(normal, right)[..., :3, 0]
    rotation = Rotation.from_rotvec(angles.reshape(-1, 3)).as_matrix()
    result: Array = poses @ rotation.reshape(*poses.shape[:2], 3, 3).swapaxes(-1, -2)
    return result


def turn_covariance(poses: Array) -> Array:
    """Return the covariance (n, 39, 39) of poses (n, 13, 3) turned by ``TURN`` about each axis."""
    directions = TURN * _turn_directions(poses).reshape(len(poses), -1, 3)
    result: Array = directions @ directions.swapaxes(-1, -2)
    return result


def observe(
    poses: Array,
    about: Array,
    covariance: Array,
    joints_2d: NDArray[np.floating],
    annotated: Annotated,
) -> Array:
    """Correct poses by the annotated joints, as a Kalman filter does.

    The shift and the scale of the image are free.

    Parameters
    ----------
    poses : (n, k, 13, 3)
        Means of normal distributions.
    about : (n, 13, 3)
        Where the projection is made linear.
    covariance : (n, 39, 39)
        Of each of the n x k distributions.
    joints_2d : (n, 13, 2)
        Pixels, read where annotated.
    annotated : Annotated (n, 13)
        Joints that are annotated.

    Returns
    -------
    (n, k, 13, 3)
        The means given the annotated joints.
    """
    n = len(poses)
    slope = slope_of_projection(about) * annotated[..., None, None]
    joint = np.arange(slope.shape[1])
    blocks = np.zeros((n, len(joint), 2, len(joint), 3))
    blocks[:, joint, :, joint] = np.moveaxis(slope, 1, 0)
    observation = blocks.reshape(n, 2 * len(joint), 3 * len(joint))
    free = _image_freedom(project(about), annotated).reshape(n, 2 * len(joint), -1)
    cross = observation @ covariance
    total = cross @ observation.swapaxes(-1, -2) + free @ free.swapaxes(-1, -2)
    total += NOISE_M**2 * np.eye(2 * len(joint))
    gain = np.linalg.solve(total, cross)
    innovation = _innovation(poses, joints_2d[:, None], annotated[:, None])
    step = innovation.reshape(*poses.shape[:2], -1) @ gain
    corrected: Array = poses + step.reshape(poses.shape)
    return corrected


def slope_of_projection(poses: Array) -> Array:
    """Return the derivatives (..., 13, 2, 3) of ``project`` with respect to the joint."""
    image = project(poses)
    nearer = 1 / depth_ratio(poses, DISTANCE_M)[..., 0]
    slope = np.zeros((*image.shape, 3))
    slope[..., 0, 0] = slope[..., 1, 1] = nearer
    slope[..., 2] = -image * nearer[..., None] / DISTANCE_M
    return slope


def _innovation(poses: Array, joints_2d: NDArray[np.floating], annotated: Annotated) -> Array:
    """Return annotated minus projected joints (..., 13, 2), metres at the body.

    They are 0 where a joint is not annotated, and for a pose that no image of positive size fits.
    """
    image = project(poses)
    scale, shift = fit_camera(joints_2d, annotated, image)
    fits = (scale > 0)[..., None, None]
    placed = (joints_2d - shift[..., None, :]) / np.where(fits, scale[..., None, None], 1.0)
    return np.where(annotated[..., None] & fits, placed - image, 0.0)


def _turn_directions(poses: Array) -> Array:
    """Return the derivatives (..., 13, 3, 3) of joints with respect to turns about x, y, z."""
    return np.stack([np.cross(axis, poses) for axis in np.eye(3)], axis=-1)


def _image_freedom(image: Array, annotated: Annotated) -> Array:
    """Return the spread (..., 13, 2, 3) of annotated joints by log scale and shift."""
    shift = np.broadcast_to(np.eye(2), (*image.shape, 2))
    both = np.concatenate([image[..., None], shift], axis=-1)
    result: Array = FREE * both * annotated[..., None, None]
    return result
