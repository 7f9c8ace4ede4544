"""Estimators: the 3D pose of a person, in camera axes, from the candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.completion import DISTANCE_M, fit_camera, project
from posebank.skeleton import N_JOINTS, centred
from posebank.types import Matches, PoseBank

Array = NDArray[np.float64]

# Chosen in the truth benchmark on CMU subjects 16 and 49; each may be half or twice as large for a
# millimetre or two of the error.
SIGMA = 0.1
"""Spread of ``error_norm`` in the weights of the candidates."""
SPREAD_M = 0.04
"""How far a joint may be from every mixture of the candidates: the bank has not all poses."""
NOISE_M = 0.05
"""Noise of an annotated joint at the body, errors of the camera's model included."""


@dataclass(frozen=True)
class Posterior:
    """A normal distribution of the pose of each of n people.

    mean : (n, 13, 3) metres, camera axes, body-centred.
    error_norm : (n, k) of the candidates in perspective, infinite where there is none.
    weight : (n, k) of the candidates, summing to 1.
    spread_mm : (n,) mean distance of a joint of the weighted candidates from their mean.
    reach_mm : (n,) the same distance between the best match and the candidate farthest from it.
    """

    mean: Array
    error_norm: Array
    weight: Array
    spread_mm: Array
    reach_mm: Array


def candidate_poses(bank: PoseBank, matches: Matches) -> tuple[Array, NDArray[np.bool_]]:
    """Every candidate as its camera sees it.

    Returns
    -------
    (n, k, 13, 3) metres, camera axes, body-centred, 0 where there is no candidate; (n, k) which are
    there.
    """
    there = matches.pose_row >= 0
    joints = bank.joints_3d[np.where(there, matches.pose_row, 0)].astype(np.float64)
    seen = np.einsum("nkjd,nkcd->nkjc", joints, matches.rotation)
    return np.where(there[..., None, None], seen, 0.0), there


def nearest(bank: PoseBank, matches: Matches) -> Array:
    """The best match as its camera sees it: the paper's label; (n, 13, 3)."""
    return candidate_poses(bank, matches)[0][:, 0]


def posterior(
    bank: PoseBank,
    matches: Matches,
    joints_2d: NDArray[np.floating],
    annotated: NDArray[np.bool_],
) -> Posterior:
    """What the candidates and the annotated joints together say of the pose.

    The candidates, weighted by ``exp(-error_norm^2 / 2 SIGMA^2)`` in a perspective camera, give a
    mean and a covariance; the annotated joints then correct them as a Kalman filter does, with the
    projection made linear about the mean.

    Parameters
    ----------
    joints_2d : (n, 13, 2) pixels, read where annotated; annotated : (n, 13).
    """
    poses, there = candidate_poses(bank, matches)
    error = perspective_error(poses, joints_2d[:, None], annotated[:, None])
    error = np.where(there, error, np.inf)
    weight = candidate_weights(error)
    prior = np.einsum("nk,nkjc->njc", weight, poses)
    away = poses - prior[:, None]
    flat = away.reshape(*there.shape, -1)
    covariance = np.einsum("nk,nka,nkb->nab", weight, flat, flat, optimize=True)
    covariance += SPREAD_M**2 * np.eye(N_JOINTS * 3)
    reach = np.where(there, _mean_distance(poses - poses[:, :1]), 0.0).max(axis=1)
    return Posterior(
        mean=centred(_observe(prior, covariance, joints_2d, annotated)),
        error_norm=error,
        weight=weight,
        spread_mm=1000 * (weight * _mean_distance(away)).sum(axis=1),
        reach_mm=1000 * reach,
    )


def _mean_distance(away: Array) -> Array:
    result: Array = np.linalg.norm(away, axis=-1).mean(axis=-1)
    return result


def perspective_error(
    poses: Array, joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_]
) -> Array:
    """``error_norm`` (...) of poses (..., 13, 3) in a perspective camera (``project``)."""
    image = project(poses)
    scale, shift = fit_camera(joints_2d, annotated, image)
    mask = annotated[..., None]
    seen = np.where(mask, joints_2d, 0.0)
    away = np.where(mask, joints_2d - scale[..., None, None] * image - shift[..., None, :], 0.0)
    count = np.maximum(annotated.sum(axis=-1), 1)[..., None]
    size = np.where(mask, seen - (seen.sum(axis=-2) / count)[..., None, :], 0.0)
    squared = (away**2).sum((-1, -2)) / np.maximum((size**2).sum((-1, -2)), 1e-12)
    result: Array = np.sqrt(squared)
    return result


def candidate_weights(error_norm: Array) -> Array:
    """Weights (n, k), summing to 1: exp(-error_norm^2 / 2 SIGMA^2), 0 where it is infinite."""
    # Of the best one, so that a person whom nothing explains well has weights too.
    better = error_norm.min(axis=1, keepdims=True) ** 2
    weight = np.exp((better - error_norm**2) / (2 * SIGMA**2))
    result: Array = weight / weight.sum(axis=1, keepdims=True)
    return result


def _observe(
    prior: Array, covariance: Array, joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_]
) -> Array:
    """Poses (n, 13, 3) of these covariances (n, 39, 39), corrected by the annotated joints."""
    n = len(prior)
    image, slope = project(prior), _slope_of_projection(prior)
    scale, shift = fit_camera(joints_2d, annotated, image)
    observed = (joints_2d - shift[:, None]) / np.maximum(scale, 1e-9)[:, None, None]
    # A joint that is not annotated has no slope, and so no say.
    innovation = np.where(annotated[..., None], observed - image, 0.0).reshape(n, -1)
    blocks = np.zeros((n, N_JOINTS, 2, N_JOINTS, 3))
    joint = np.arange(N_JOINTS)
    blocks[:, joint, :, joint] = np.moveaxis(slope * annotated[..., None, None], 1, 0)
    seen = blocks.reshape(n, N_JOINTS * 2, N_JOINTS * 3)
    both = seen @ covariance
    total = both @ seen.transpose(0, 2, 1) + NOISE_M**2 * np.eye(N_JOINTS * 2)
    gain = np.linalg.solve(total, both)
    return prior + np.einsum("nab,na->nb", gain, innovation).reshape(prior.shape)


def _slope_of_projection(poses: Array) -> Array:
    """Derivatives (n, 13, 2, 3) of ``project`` by the joint."""
    image = project(poses)
    nearer = 1 / np.maximum(1 + poses[..., 2] / DISTANCE_M, 0.2)
    slope = np.zeros((*image.shape, 3))
    slope[..., 0, 0] = slope[..., 1, 1] = nearer
    slope[..., 2] = -image * nearer[..., None] / DISTANCE_M
    return slope
