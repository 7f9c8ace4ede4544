"""Estimators: the 3D pose of a person, in camera axes, from the candidates."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from posebank.labelling.limbs import keep_limb_lengths
from posebank.labelling.perspective import (
    SPREAD_M,
    observe,
    perspective_error,
    turn_covariance,
    turned,
)
from posebank.skeleton import LIMBS, N_JOINTS, J, centred
from posebank.types import Matches, PoseBank

Array = NDArray[np.float64]

# Chosen in the truth benchmark on CMU subjects, each left out of the bank in turn. The error is
# flat: each may be half or twice as large for a millimetre or two.
SIGMA = 0.1
"""Spread of ``error_norm`` in the weights of the candidates."""
INFLATION = 2.0
"""Covariance about a candidate, in covariances of all candidates."""
REACH = 8.0
"""Joints so many limbs apart, times 2.7, say little of each other: arms move without legs."""
LIFTED = 0.2
"""Weight of the lifting network in the mixture."""
_MODE_M = 0.15
_BLOCK = 128  # people at a time, to bound the memory


@dataclass(frozen=True)
class Posterior:
    """A mixture of k normal distributions of the pose of each of n people, and its middle.

    pose : (n, 13, 3) metres, camera axes, body-centred: the label.
    poses : (n, k, 13, 3) the middles of the mixture, 0 where there is no candidate.
    weight : (n, k) of the candidates, summing to 1.
    error_norm : (n, k) of the candidates in perspective, infinite where there is none.
    spread_mm : (n,) weighted mean distance of a joint of the mixture's middles from the label's.
    reach_mm : (n,) mean distance of a joint between the best match and the candidate farthest off.
    """

    pose: Array
    poses: Array
    weight: Array
    error_norm: Array
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

    Each candidate, turned to where it fits best in a perspective camera, is the middle of a normal
    distribution and has the weight ``exp(-error_norm^2 / 2 SIGMA^2)``. The covariance is that of
    the candidates, localised: what joints far apart in the body seem to say of each other is mostly
    chance, with so few candidates (Houtekamer and Mitchell 2001). The annotated joints correct each
    as a Kalman filter does, so that modes (a limb towards the camera or away from it) stay apart.
    The label is the geometric median of the mixture, joint by joint, which lies in the heavier mode
    where the mean would lie between them; then its
    limbs are given the candidates' lengths (``limbs``).

    Parameters
    ----------
    joints_2d : (n, 13, 2) pixels, read where annotated; annotated : (n, 13).
    """
    blocks = [slice(i, i + _BLOCK) for i in range(0, max(len(matches), 1), _BLOCK)]
    parts = [_posterior(bank, matches.take(b), joints_2d[b], annotated[b]) for b in blocks]
    columns = [f.name for f in fields(Posterior)]
    return Posterior(**{c: np.concatenate([getattr(p, c) for p in parts]) for c in columns})


def _posterior(
    bank: PoseBank,
    matches: Matches,
    joints_2d: NDArray[np.floating],
    annotated: NDArray[np.bool_],
) -> Posterior:
    found, there = candidate_poses(bank, matches)
    candidates = turned(found, joints_2d, annotated)
    error = perspective_error(candidates, joints_2d[:, None], annotated[:, None])
    error = np.where(there, error, np.inf)
    weight = candidate_weights(error)
    mean = _weighted(weight, candidates)
    away = (candidates - mean[:, None]).reshape(*there.shape, -1)
    covariance = INFLATION * _LOCAL * (away.swapaxes(1, 2) @ (weight[..., None] * away))
    covariance += SPREAD_M**2 * np.eye(N_JOINTS * 3) + turn_covariance(mean)
    corrected = observe(candidates, mean, covariance, joints_2d, annotated)
    corrected = np.where(there[..., None, None], centred(corrected), 0.0)
    middle = _geometric_median(corrected, weight)
    pose = keep_limb_lengths(middle, candidates, corrected, weight)
    reach = np.where(there, _mean_distance(found - found[:, :1]), 0.0).max(axis=1)
    return Posterior(
        pose=pose,
        poses=corrected,
        weight=weight,
        error_norm=error,
        spread_mm=1000 * (weight * _mean_distance(corrected - pose[:, None])).sum(axis=1),
        reach_mm=1000 * reach,
    )


def mixture(found: Posterior, lifted: Array) -> Array:
    """Weighted mean (n, 13, 3) of the posterior's label and of a lifting network's poses."""
    return (1 - LIFTED) * found.pose + LIFTED * lifted


def modes(poses: Array, weight: Array) -> list[tuple[float, Array]]:
    """Divide the mixture of one person into modes, the heaviest first.

    Parameters
    ----------
    poses : (k, 13, 3); weight : (k,), of a ``Posterior``.

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


def candidate_weights(error_norm: Array) -> Array:
    """Weights (n, k), summing to 1: exp(-error_norm^2 / 2 SIGMA^2), 0 where it is infinite."""
    # Of the best one, so that a person whom nothing explains well has weights too.
    better = error_norm.min(axis=1, keepdims=True) ** 2
    weight = np.exp((better - error_norm**2) / (2 * SIGMA**2))
    result: Array = weight / weight.sum(axis=1, keepdims=True)
    return result


def _weighted(weight: Array, values: Array) -> Array:
    """Mean (n, a, b) of values (n, k, a, b)."""
    mean: Array = np.einsum("nk,nkab->nab", weight, values)
    return mean


def _mean_distance(away: Array) -> Array:
    result: Array = np.linalg.norm(away, axis=-1).mean(axis=-1)
    return result


def _geometric_median(poses: Array, weight: Array) -> Array:
    """Joint by joint, the point (n, 13, 3) with the least weighted distance to those of the poses.

    Weiszfeld's iteration, the distance smoothed by the bank's spread, so that a lone heavy
    candidate does not capture it.
    """
    middle = _weighted(weight, poses)
    for _ in range(10):
        squared = ((poses - middle[:, None]) ** 2).sum(axis=-1)
        pull = weight[..., None] / np.sqrt(squared + SPREAD_M**2)
        pull /= pull.sum(axis=1, keepdims=True)
        middle = np.einsum("nkj,nkjc->njc", pull, poses)
    return middle


def _localisation() -> Array:
    """Factors (39, 39) of covariances: exp(-limbs between two joints / REACH)."""
    apart = np.full((N_JOINTS, N_JOINTS), np.inf)
    np.fill_diagonal(apart, 0)
    for a, b in (*LIMBS, ("head", "r_shoulder"), ("head", "l_shoulder")):
        apart[J[a], J[b]] = apart[J[b], J[a]] = 1
    for via in range(N_JOINTS):
        np.minimum(apart, apart[:, [via]] + apart[[via]], out=apart)
    return np.asarray(np.kron(np.exp(-apart / REACH), np.ones((3, 3))), np.float64)


_LOCAL = _localisation()
