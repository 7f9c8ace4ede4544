"""Limb lengths of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.labelling.perspective import SPREAD_M
from posebank.skeleton import LIMBS, N_JOINTS, J, centred

Array = NDArray[np.float64]

_FROM = [J[a] for a, _ in LIMBS]
_TO = [J[b] for _, b in LIMBS]
_STEPS = 10
AGREED = 0.7
"""Agreement on a limb's direction above which its length is corrected, fully at 1."""


def limb_lengths(poses: Array) -> Array:
    """Return the lengths (..., 12) of ``LIMBS`` in poses (..., 13, 3)."""
    return _length(_limbs(poses))


def keep_limb_lengths(median: Array, candidates: Array, poses: Array, weight: Array) -> Array:
    """Give the median of several poses their limb lengths.

    The median of limbs that point in many directions is short, and lengthening it would be a guess.
    So a limb is lengthened in proportion to how well the poses agree on its direction, measured by
    the length of the mean of their unit vectors.

    Parameters
    ----------
    median : (n, 13, 3)
        Metres.
    candidates : (n, k, 13, 3)
        Poses with the right limb lengths.
    poses : (n, k, 13, 3)
        Poses with the right limb directions.
    weight : (n, k)
        Of both, summing to 1.

    Returns
    -------
    (n, 13, 3)
        Body-centred, near the median: joints on which the poses agree move less.
    """
    limbs = _limbs(poses)
    units = limbs / _length(limbs)[..., None]
    agreement = _length(np.einsum("nk,nklc->nlc", weight, units))
    known = np.clip((agreement - AGREED) / (1 - AGREED), 0.0, 1.0)
    short = limb_lengths(median)
    lengths = np.einsum("nk,nkl->nl", weight, limb_lengths(candidates))
    squared = ((poses - median[:, None]) ** 2).mean(axis=-1)
    variance = np.einsum("nk,nkj->nj", weight, squared) + SPREAD_M**2
    return with_limb_lengths(median, short + known * (lengths - short), variance)


def with_limb_lengths(poses: Array, lengths: Array, variance: Array) -> Array:
    """Give poses these limb lengths while moving them little.

    Each Gauss-Newton step is the smallest, in squared distance over the variance, that corrects the
    lengths to first order.

    Parameters
    ----------
    poses : (n, 13, 3)
        Metres.
    lengths : (n, 12)
        Of ``LIMBS``, metres.
    variance : (n, 13)
        Of the joints: those with a small variance move less.

    Returns
    -------
    (n, 13, 3)
        Body-centred.
    """
    n, limb = len(poses), np.arange(len(LIMBS))
    spread = np.repeat(variance, 3, axis=1)[:, :, None]  # (n, 39, 1)
    # Damping, because the lengths of limbs on one line are one equation.
    damping = 1e-6 * spread.mean(axis=1, keepdims=True) * np.eye(len(limb))
    for _ in range(_STEPS):
        bone = _limbs(poses)
        length = _length(bone)
        by_joint = np.zeros((n, len(limb), N_JOINTS, 3))
        by_joint[:, limb, _TO] = bone / length[..., None]
        by_joint[:, limb, _FROM] = -bone / length[..., None]
        slope = by_joint.reshape(n, len(limb), -1)
        cross = spread * slope.swapaxes(-1, -2)
        step = cross @ np.linalg.solve(slope @ cross + damping, (lengths - length)[..., None])
        poses = poses + step.reshape(poses.shape)
    return centred(poses)


def _limbs(poses: Array) -> Array:
    """Return ``LIMBS`` as vectors (..., 12, 3)."""
    return poses[..., _TO, :] - poses[..., _FROM, :]


def _length(vectors: Array) -> Array:
    result: Array = np.maximum(np.linalg.norm(vectors, axis=-1), 1e-6)
    return result
