"""PCK and PCKh: the share of joints found within a fraction of a reference length.

Convention
----------
A joint is right iff ``distance / reference <= threshold`` (``strict=True``: ``<``). Joints that are
not annotated do not count. A person whose reference length is unknown (NaN) does not count. A
predicted joint that is NaN (no prediction was found for the person) counts as wrong. Shares are in
percent; a share of nothing is NaN.

Two means are in use and both are given: *weighted*, right joints / annotated joints, and
*unweighted*, the mean of the joints' own shares. *limbs* are the 12 joints other than the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.skeleton import N_JOINTS, J

LIMB_JOINTS = np.array([i for i in range(N_JOINTS) if i != J["head"]])

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PckScore:
    """Shares of right joints, percent.

    per_joint : (13,); count : (13,) annotated joints that counted.
    """

    per_joint: Floats
    count: NDArray[np.int64]
    weighted: float
    unweighted: float
    limbs_weighted: float
    limbs_unweighted: float


def relative_distances(
    pred_2d: NDArray[np.floating],
    true_2d: NDArray[np.floating],
    reference: NDArray[np.floating],
    annotated: NDArray[np.bool_],
) -> Floats:
    """Compute distances in units of the reference length.

    Parameters
    ----------
    pred_2d, true_2d : array (n, n_joints, 2), pixels
        Predicted and true joints; NaN in ``pred_2d`` where nothing was predicted.
    reference : array (n,), pixels
        Length that the distances are divided by; NaN where unknown.
    annotated : array (n, n_joints)
        Joints that are scored.

    Returns
    -------
    (n, n_joints) float64: NaN where the joint does not count, inf where nothing was predicted.

    Examples
    --------
    >>> distance = relative_distances(
    ...     np.array([[[3.0, 4.0]]]), np.zeros((1, 1, 2)), np.array([10.0]), np.ones((1, 1), bool)
    ... )
    >>> distance.tolist()
    [[0.5]]
    """
    difference = np.asarray(pred_2d, np.float64) - np.asarray(true_2d, np.float64)
    reference = np.asarray(reference, np.float64)[:, None]
    distance = np.hypot(difference[..., 0], difference[..., 1]) / reference
    distance = np.where(np.isfinite(distance), distance, np.inf)
    return np.where(annotated & np.isfinite(reference) & (reference > 0), distance, np.nan)


def right_or_not(distance: Floats, threshold: float, *, strict: bool = False) -> Floats:
    """Return 1 for a right joint, 0 for a wrong one and NaN for one that does not count."""
    right = distance < threshold if strict else distance <= threshold
    return np.where(np.isnan(distance), np.nan, right)


def share_within(distance: Floats, threshold: float, *, strict: bool = False) -> PckScore:
    """Score of relative distances (n, 13) as made by ``relative_distances``."""
    right = right_or_not(distance, threshold, strict=strict)
    hits, count = np.nansum(right, axis=0), (~np.isnan(right)).sum(axis=0)
    per_joint = 100 * _ratio(hits, count)
    limbs = LIMB_JOINTS
    return PckScore(
        per_joint=per_joint,
        count=np.asarray(count, np.int64),
        weighted=100 * float(_ratio(hits.sum(), count.sum())),
        unweighted=mean_of_known(per_joint),
        limbs_weighted=100 * float(_ratio(hits[limbs].sum(), count[limbs].sum())),
        limbs_unweighted=mean_of_known(per_joint[limbs]),
    )


def pckh(
    pred_2d: NDArray[np.floating],
    true_2d: NDArray[np.floating],
    head_size: NDArray[np.floating],
    annotated: NDArray[np.bool_],
    threshold: float = 0.5,
    *,
    strict: bool = False,
) -> PckScore:
    """Compute PCKh@threshold (section 4.2 of the paper; Andriluka et al., CVPR 2014).

    Parameters
    ----------
    pred_2d, true_2d : array (n, 13, 2), pixels
        The prediction selected for each person (NaN if none), and the true joints.
    head_size : array (n,), pixels
        Head size of each person, see ``head_sizes``; with torso sizes the score is PCK.
    annotated : array (n, 13)
        Joints that are scored.
    threshold : float
        Distance below which a joint is right, in head sizes.
    strict : bool
        Count only joints strictly below the threshold as right.

    Examples
    --------
    Twelve of 13 joints are right, one is off by a whole head:

    >>> truth = np.zeros((1, 13, 2))
    >>> prediction = truth.copy()
    >>> prediction[0, 0] = [60.0, 80.0]
    >>> score = pckh(prediction, truth, np.array([100.0]), np.ones((1, 13), bool))
    >>> round(score.weighted, 1)
    92.3
    """
    distance = relative_distances(pred_2d, true_2d, head_size, annotated)
    return share_within(distance, threshold, strict=strict)


def pck_curve(distance: Floats, thresholds: Floats, *, strict: bool = False) -> Floats:
    """Return the weighted share (percent) at each threshold, shape (n_thresholds,).

    The threshold is the abscissa itself: the value at 0.5 is PCKh@0.5, exactly.
    """
    values = np.sort(distance[~np.isnan(distance)])
    right = np.searchsorted(values, thresholds, side="left" if strict else "right")
    return 100 * _ratio(right, len(values))


def area_of_joints(distance: Floats, upper: float) -> Floats:
    """Return the share of thresholds up to ``upper`` at which each joint is right; NaN stays."""
    return np.maximum(0, 1 - distance / upper)


def area_under_curve(distance: Floats, upper: float) -> float:
    """Return the exact mean of the weighted share over thresholds from 0 to ``upper``, percent.

    The curve is a step function, so the area has a closed form: a joint at distance d is right for
    the fraction ``max(0, 1 - d / upper)`` of the thresholds. No grid is involved.

    Examples
    --------
    >>> area_under_curve(np.array([[0.0, 0.25]]), 0.5)
    75.0
    """
    return 100 * mean_of_known(area_of_joints(distance, upper))


def _ratio(part: NDArray[Any] | float, whole: NDArray[Any] | float) -> NDArray[np.float64]:
    whole = np.asarray(whole, np.float64)
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def mean_of_known(values: Floats) -> float:
    """Return the mean of the values (n,) that are not NaN; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
