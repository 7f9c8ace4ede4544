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
"""Agreement on a limb's direction from which on its length counts; fully at 1."""


def limb_lengths(poses: Array) -> Array:
    """Lengths (..., 12) of ``LIMBS`` in poses (..., 13, 3)."""
    return _length(_limbs(poses))


def keep_limb_lengths(middle: Array, candidates: Array, poses: Array, weight: Array) -> Array:
    """Give a pose in the middle of others the limb lengths that those have.

    The middle of limbs that point to many sides is short, and to lengthen it would only be a guess:
    a limb gets its length as far as the poses agree on its direction, which is the length of the
    mean of their unit vectors.

    Parameters
    ----------
    middle : (n, 13, 3) metres.
    candidates : (n, k, 13, 3), whose lengths are right; poses : (n, k, 13, 3), whose directions
        are; weight : (n, k), summing to 1, of both.

    Returns
    -------
    (n, 13, 3), body-centred, near the middle: joints on which the poses agree move less.
    """
    limbs = _limbs(poses)
    units = limbs / _length(limbs)[..., None]
    agreement = _length(np.einsum("nk,nklc->nlc", weight, units))
    known = np.clip((agreement - AGREED) / (1 - AGREED), 0.0, 1.0)
    short = limb_lengths(middle)
    lengths = np.einsum("nk,nkl->nl", weight, limb_lengths(candidates))
    squared = ((poses - middle[:, None]) ** 2).mean(axis=-1)
    variance = np.einsum("nk,nkj->nj", weight, squared) + SPREAD_M**2
    return with_limb_lengths(middle, short + known * (lengths - short), variance)


def with_limb_lengths(poses: Array, lengths: Array, variance: Array) -> Array:
    """Poses with these limb lengths, near what they were.

    Parameters
    ----------
    poses : (n, 13, 3) metres.
    lengths : (n, 12) metres, of ``LIMBS``.
    variance : (n, 13) of the joints: what is known well moves less.

    Returns
    -------
    (n, 13, 3), body-centred. Each Gauss-Newton step is the least one, in squared distance over the
    variance, that mends the lengths to first order.
    """
    n, limb = len(poses), np.arange(len(LIMBS))
    spread = np.repeat(variance, 3, axis=1)[:, :, None]  # (n, 39, 1)
    # A little, for limbs that lie on a line, whose lengths are one equation.
    damping = 1e-6 * spread.mean(axis=1, keepdims=True) * np.eye(len(limb))
    for _ in range(_STEPS):
        bone = _limbs(poses)
        now = _length(bone)
        by_joint = np.zeros((n, len(limb), N_JOINTS, 3))
        by_joint[:, limb, _TO] = bone / now[..., None]
        by_joint[:, limb, _FROM] = -bone / now[..., None]
        slope = by_joint.reshape(n, len(limb), -1)
        both = spread * slope.swapaxes(-1, -2)
        step = both @ np.linalg.solve(slope @ both + damping, (lengths - now)[..., None])
        poses = poses + step.reshape(poses.shape)
    return centred(poses)


def _limbs(poses: Array) -> Array:
    """``LIMBS`` (..., 12, 3) as vectors."""
    return poses[..., _TO, :] - poses[..., _FROM, :]


def _length(vectors: Array) -> Array:
    result: Array = np.maximum(np.linalg.norm(vectors, axis=-1), 1e-6)
    return result
