"""Estimators: the 3D pose of a person, in camera axes, from the candidates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.completion import fit_camera
from posebank.skeleton import centred
from posebank.types import Matches, PoseBank

Array = NDArray[np.float64]

SIGMA = 0.1
"""Spread of error_norm in the weights: the best of 0.03, 0.06, 0.1, 0.15 in the truth benchmark."""


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


def candidate_weights(matches: Matches, sigma: float = SIGMA) -> Array:
    """Weights (n, k), summing to 1: exp(-error_norm^2 / 2 sigma^2), 0 where no candidate is."""
    squared = matches.error_norm**2
    best = squared[:, :1]
    with np.errstate(invalid="ignore"):
        weight = np.exp(-np.nan_to_num(squared - best, nan=np.inf, posinf=np.inf) / (2 * sigma**2))
    return weight / weight.sum(axis=1, keepdims=True)


def nearest(bank: PoseBank, matches: Matches) -> Array:
    """The best match as its camera sees it: the paper's label; (n, 13, 3)."""
    return candidate_poses(bank, matches)[0][:, 0]


def posterior(
    bank: PoseBank,
    matches: Matches,
    joints_2d: NDArray[np.float32],
    annotated: NDArray[np.bool_],
    sigma: float = SIGMA,
) -> Array:
    """Mean of the candidates, weighted by likelihood, with the annotated joints honoured.

    Parameters
    ----------
    joints_2d : (n, 13, 2) pixels; annotated : (n, 13).

    Returns
    -------
    (n, 13, 3) metres, camera axes, body-centred. The annotated joints' x and y are the observed
    ones, at the scale of the mean pose; depths and hidden joints are the mean's.
    """
    poses, _ = candidate_poses(bank, matches)
    mean = np.einsum("nk,nkjc->njc", candidate_weights(matches, sigma), poses)
    scale, translation = fit_camera(joints_2d, annotated, mean)
    observed = (joints_2d - translation[:, None]) / np.maximum(scale, 1e-9)[:, None, None]
    mean[..., :2] = np.where(annotated[..., None], observed, mean[..., :2])
    result: Array = centred(mean)
    return result
