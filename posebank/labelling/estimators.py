"""Estimators: the 3D pose of a person, in camera axes, from the candidates."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.camera_prior import SIGMA
from posebank.labelling.limbs import keep_limb_lengths
from posebank.labelling.perspective import (
    SPREAD_M,
    candidate_poses,
    observe,
    perspective_candidates,
    turn_covariance,
)
from posebank.skeleton import LIMBS, N_JOINTS, J, centred
from posebank.types import Matches, PoseBank

Array = NDArray[np.float64]

# Chosen in the truth benchmark on CMU subjects, each left out of the bank in turn. The error is
# flat: each may be half or twice as large for a millimetre or two. The standard deviation of
# ``error_norm`` in the likelihood, SIGMA, is that of the camera prior.
INFLATION = 2.0
"""Covariance about a candidate, in covariances of all candidates."""
REACH = 8.0
"""Decay length, in limbs, of the covariance between joints: arms move without legs."""
LIFTED = 0.2
"""Weight of the lifting network in the mixture."""
_MODE_M = 0.15
_BLOCK = 128  # people at a time, to bound the memory


@dataclass(frozen=True)
class Posterior:
    """A mixture of k normal distributions of the pose of each of n people, and its median.

    Attributes
    ----------
    pose : (n, 13, 3)
        The label: metres, camera axes, body-centred.
    poses : (n, k, 13, 3)
        Means of the mixture, 0 where there is no candidate.
    weight : (n, k)
        Of the candidates, summing to 1.
    error_norm : (n, k)
        Of the candidates in perspective, infinite where there is none.
    spread_mm : (n,)
        Weighted mean joint distance between the means of the mixture and the label.
    across_mm : (n,)
        The same of the distance across the image, without depth.
    reach_mm : (n,)
        Mean joint distance between the best match and the candidate farthest from it.
    """

    pose: Array
    poses: Array
    weight: Array
    error_norm: Array
    spread_mm: Array
    across_mm: Array
    reach_mm: Array


def nearest(bank: PoseBank, matches: Matches) -> Array:
    """Return the best match (n, 13, 3) in the axes of its camera: the label of the paper."""
    return candidate_poses(bank, matches)[0][:, 0]


def posterior(
    bank: PoseBank,
    matches: Matches,
    joints_2d: NDArray[np.floating],
    annotated: NDArray[np.bool_],
    penalty: Array | None = None,
) -> Posterior:
    """Estimate the pose from the candidates and the annotated joints together.

    Each candidate, turned to where it fits best in a perspective camera, is the mean of a normal
    distribution with the weight ``exp(-(error_norm^2 + penalty) / 2 SIGMA^2)``. The covariance is
    that of the candidates, localised: with so few candidates, most correlation between joints far
    apart in the body is chance (Houtekamer and Mitchell 2001). The annotated joints correct each
    distribution as a Kalman filter does, so that modes (a limb towards the camera or away from it)
    stay apart. The label is the geometric median of the mixture, joint by joint, which lies in the
    heavier mode where the mean would lie between them; then its limbs are given the candidates'
    lengths (``limbs``).

    Parameters
    ----------
    bank, matches
        The candidates of n people.
    joints_2d : (n, 13, 2)
        Pixels, read where annotated.
    annotated : array (n, 13)
        Joints that are annotated.
    penalty : (n, k), optional
        Of the candidates' cameras (``camera_prior.camera_penalties``).

    Returns
    -------
    Posterior
    """
    cost = np.zeros(matches.pose_row.shape) if penalty is None else penalty
    blocks = [slice(i, i + _BLOCK) for i in range(0, max(len(matches), 1), _BLOCK)]
    parts = [_posterior(bank, matches.take(b), joints_2d[b], annotated[b], cost[b]) for b in blocks]
    columns = [f.name for f in fields(Posterior)]
    return Posterior(**{c: np.concatenate([getattr(p, c) for p in parts]) for c in columns})


def _posterior(
    bank: PoseBank,
    matches: Matches,
    joints_2d: NDArray[np.floating],
    annotated: NDArray[np.bool_],
    penalty: Array,
) -> Posterior:
    matched, valid = candidate_poses(bank, matches)
    candidates, error = perspective_candidates(bank, matches, joints_2d, annotated)
    weight = candidate_weights(error, penalty)
    mean = _weighted(weight, candidates)
    deviation = (candidates - mean[:, None]).reshape(*valid.shape, -1)
    covariance = INFLATION * _LOCAL * (deviation.swapaxes(1, 2) @ (weight[..., None] * deviation))
    covariance += SPREAD_M**2 * np.eye(N_JOINTS * 3) + turn_covariance(mean)
    corrected = observe(candidates, mean, covariance, joints_2d, annotated)
    corrected = np.where(valid[..., None, None], centred(corrected), 0.0)
    median = _geometric_median(corrected, weight)
    pose = keep_limb_lengths(median, candidates, corrected, weight)
    away = corrected - pose[:, None]
    reach = np.where(valid, _mean_distance(matched - matched[:, :1]), 0.0).max(axis=1)
    return Posterior(
        pose=pose,
        poses=corrected,
        weight=weight,
        error_norm=error,
        spread_mm=1000 * (weight * _mean_distance(away)).sum(axis=1),
        across_mm=1000 * (weight * _mean_distance(away[..., :2])).sum(axis=1),
        reach_mm=1000 * reach,
    )


def mixture(estimate: Posterior, lifted: Array) -> Array:
    """Return the weighted mean (n, 13, 3) of a posterior's label and a lifting network's poses."""
    return (1 - LIFTED) * estimate.pose + LIFTED * lifted


def modes(poses: Array, weight: Array) -> list[tuple[float, Array]]:
    """Divide the mixture of one person into modes, the heaviest first.

    Parameters
    ----------
    poses : array (k, 13, 3)
        Poses of the bank.
    weight : array (k,)
        Weight of each pose.

    Returns
    -------
    The weight and the mean pose (13, 3) of each mode: of the poses that are left, the one with the
    most weight within 150 mm (mean joint distance) and all those.
    """
    near = _mean_distance(poses[:, None] - poses) <= _MODE_M
    left = weight.astype(np.float64)
    result = []
    while left.sum() > 1e-3:
        members = near[np.argmax(near @ left)] & (left > 0)
        share = np.where(members, left, 0.0)
        result.append((float(share.sum()), np.tensordot(share / share.sum(), poses, 1)))
        left = np.where(members, 0.0, left)
    return sorted(result, key=lambda mode: -mode[0])


def candidate_weights(error_norm: Array, penalty: Array) -> Array:
    """Return the weights (n, k) of candidates, summing to 1.

    They are ``exp(-(error_norm^2 + penalty) / 2 SIGMA^2)``, and 0 where ``error_norm`` is infinite.
    """
    cost = error_norm**2 + penalty
    # Relative to the best one, so that a person whom no candidate explains well has weights too.
    weight = np.exp((cost.min(axis=1, keepdims=True) - cost) / (2 * SIGMA**2))
    result: Array = weight / weight.sum(axis=1, keepdims=True)
    return result


def _weighted(weight: Array, values: Array) -> Array:
    """Return the weighted mean (n, a, b) of values (n, k, a, b)."""
    mean: Array = np.einsum("nk,nkab->nab", weight, values)
    return mean


def _mean_distance(difference: Array) -> Array:
    result: Array = np.linalg.norm(difference, axis=-1).mean(axis=-1)
    return result


def _geometric_median(poses: Array, weight: Array) -> Array:
    """Return the geometric median (n, 13, 3) of poses (n, k, 13, 3), joint by joint.

    Weiszfeld's iteration, with the distance smoothed by ``SPREAD_M``, so that a lone heavy
    candidate does not capture it.
    """
    median = _weighted(weight, poses)
    for _ in range(10):
        squared = ((poses - median[:, None]) ** 2).sum(axis=-1)
        pull = weight[..., None] / np.sqrt(squared + SPREAD_M**2)
        pull /= pull.sum(axis=1, keepdims=True)
        median = np.einsum("nkj,nkjc->njc", pull, poses)
    return median


def _localisation() -> Array:
    """Return the factors (39, 39) of covariances: exp(-limbs between two joints / REACH)."""
    apart = np.full((N_JOINTS, N_JOINTS), np.inf)
    np.fill_diagonal(apart, 0)
    for a, b in (*LIMBS, ("head", "r_shoulder"), ("head", "l_shoulder")):
        apart[J[a], J[b]] = apart[J[b], J[a]] = 1
    for via in range(N_JOINTS):
        np.minimum(apart, apart[:, [via]] + apart[[via]], out=apart)
    return np.asarray(np.kron(np.exp(-apart / REACH), np.ones((3, 3))), np.float64)


_LOCAL = _localisation()
