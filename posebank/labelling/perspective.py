"""Poses in the perspective camera that labels are made with (``completion.project``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from posebank.geometry.centring import centre_on
from posebank.geometry.perspective import depth_ratio
from posebank.labelling.completion import DISTANCE_M, fit_camera, project

Array = NDArray[np.float64]
Annotated = NDArray[np.bool_]

SPREAD_M = 0.04
"""How far a joint may be from every mixture of candidates: the bank has not all poses."""
NOISE_M = 0.05
"""Noise of an annotated joint at the body, errors of the camera's model included."""
TURN = 0.1
"""How far, in radians about each axis, the camera of a candidate may be off."""
FREE = 0.5
"""Standard deviation of the shift (metres) and of the log scale of an image: next to unknown."""


def perspective_error(poses: Array, joints_2d: NDArray[np.floating], annotated: Annotated) -> Array:
    """``error_norm`` (...) of poses (..., 13, 3) in the perspective camera."""
    image = project(poses)
    scale, shift = fit_camera(joints_2d, annotated, image)
    residual = joints_2d - scale[..., None, None] * image - shift[..., None, :]
    residual = np.where(annotated[..., None], residual, 0.0)
    query, _ = centre_on(joints_2d, annotated)
    squared = (residual**2).sum((-1, -2)) / np.maximum((query**2).sum((-1, -2)), 1e-12)
    result: Array = np.sqrt(squared)
    return result


def turned(poses: Array, joints_2d: NDArray[np.floating], annotated: Annotated) -> Array:
    """Turn candidates, each a little, to where they fit best in perspective.

    Their cameras were chosen without perspective. One Gauss-Newton step over the rotation, the
    shift and the scale of the image, with ``TURN`` about each axis expected and the errors of the
    pose and of the annotation in the way.

    Parameters
    ----------
    poses : (n, k, 13, 3) metres, camera axes, body-centred.
    joints_2d : (n, 13, 2) pixels, read where annotated; annotated : (n, 13).
    """
    away = _innovation(poses, joints_2d[:, None], annotated[:, None])
    by_joint = slope_of_projection(poses) * annotated[:, None, :, None, None]
    free = _image_freedom(project(poses), annotated[:, None])
    slope = np.concatenate([TURN * (by_joint @ _turn_directions(poses)), free], axis=-1)
    slope = slope.reshape(*poses.shape[:2], -1, slope.shape[-1])
    transposed = slope.swapaxes(-1, -2)
    total = transposed @ slope + (SPREAD_M + NOISE_M) ** 2 * np.eye(slope.shape[-1])
    right = transposed @ away.reshape(*poses.shape[:2], -1, 1)
    angles = TURN * np.linalg.solve(total, right)[..., :3, 0]
    rotation = Rotation.from_rotvec(angles.reshape(-1, 3)).as_matrix()
    result: Array = poses @ rotation.reshape(*poses.shape[:2], 3, 3).swapaxes(-1, -2)
    return result


def turn_covariance(poses: Array) -> Array:
    """Covariance (n, 39, 39) of poses (n, 13, 3) turned by ``TURN`` about each axis."""
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
    """Correct poses by the annotated joints as a Kalman filter does.

    Parameters
    ----------
    poses : (n, k, 13, 3) means of normal distributions.
    about : (n, 13, 3) where the projection is made linear.
    covariance : (n, 39, 39) of each of the n x k.
    joints_2d : (n, 13, 2) pixels, read where annotated; annotated : (n, 13).

    Returns
    -------
    (n, k, 13, 3): the means given the annotated joints. The shift and the scale of the image are
    free.
    """
    n = len(poses)
    slope = slope_of_projection(about) * annotated[..., None, None]
    joint = np.arange(slope.shape[1])
    blocks = np.zeros((n, len(joint), 2, len(joint), 3))
    blocks[:, joint, :, joint] = np.moveaxis(slope, 1, 0)
    seen = blocks.reshape(n, 2 * len(joint), 3 * len(joint))
    free = _image_freedom(project(about), annotated).reshape(n, 2 * len(joint), -1)
    both = seen @ covariance
    total = both @ seen.swapaxes(-1, -2) + free @ free.swapaxes(-1, -2)
    total += NOISE_M**2 * np.eye(2 * len(joint))
    gain = np.linalg.solve(total, both)
    away = _innovation(poses, joints_2d[:, None], annotated[:, None])
    moved: Array = poses + (away.reshape(*poses.shape[:2], -1) @ gain).reshape(poses.shape)
    return moved


def slope_of_projection(poses: Array) -> Array:
    """Derivatives (..., 13, 2, 3) of ``project`` by the joint."""
    image = project(poses)
    nearer = 1 / depth_ratio(poses, DISTANCE_M)[..., 0]
    slope = np.zeros((*image.shape, 3))
    slope[..., 0, 0] = slope[..., 1, 1] = nearer
    slope[..., 2] = -image * nearer[..., None] / DISTANCE_M
    return slope


def _innovation(poses: Array, joints_2d: NDArray[np.floating], annotated: Annotated) -> Array:
    """What annotated joints are away from projected ones, metres at the body; (..., 13, 2).

    0 where not annotated, and all of a pose that no image of positive size fits.
    """
    image = project(poses)
    scale, shift = fit_camera(joints_2d, annotated, image)
    fits = (scale > 0)[..., None, None]
    placed = (joints_2d - shift[..., None, :]) / np.where(fits, scale[..., None, None], 1.0)
    return np.where(annotated[..., None] & fits, placed - image, 0.0)


def _turn_directions(poses: Array) -> Array:
    """How the joints (..., 13, 3) move when turned about x, y, z: (..., 13, 3, 3)."""
    return np.stack([np.cross(axis, poses) for axis in np.eye(3)], axis=-1)


def _image_freedom(image: Array, annotated: Annotated) -> Array:
    """How annotated joints (..., 13, 2) move with the scale and shift: (..., 13, 2, 3)."""
    shift = np.broadcast_to(np.eye(2), (*image.shape, 2))
    both = np.concatenate([image[..., None], shift], axis=-1)
    result: Array = FREE * both * annotated[..., None, None]
    return result
