"""Lengths of limbs: measured, put back, and made those of one adult."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.skeleton import LIMBS, J

RIGID_LIMBS: tuple[tuple[str, str], ...] = LIMBS[:9]
"""Pairs of joints whose distance a sound clip keeps."""

ADULT_HEIGHT_M = 1.70
_ADULT_PARTS = {"ankle": 0.246, "knee": 0.245, "wrist": 0.146, "elbow": 0.186, "hip": 0.100}

ADULT_LIMBS_M = np.array([ADULT_HEIGHT_M * _ADULT_PARTS[a[2:]] for a, _ in RIGID_LIMBS])
"""Lengths (9,) of the ``RIGID_LIMBS`` of an adult 1.70 m tall: shank, thigh, forearm and upper arm
as parts of the height by Drillis and Contini (Winter 2009, figure 4.1); the distance of the hip
centres, which they do not give, is 170 mm (150 to 194 mm in the clips of CMU and HDM05 at hand)."""


def limb_name(limb: tuple[str, str]) -> str:
    """Name of a rigid limb, such as ``r_ankle-r_knee``."""
    return "-".join(limb)


_ENDS = np.array([(J[a], J[b]) for a, b in RIGID_LIMBS])


def limb_lengths(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the lengths (n, 9) of the ``RIGID_LIMBS`` of poses (n, 13, 3), in their unit."""
    return _distances(np.ascontiguousarray(joints, np.float64), _ENDS)


@njit(cache=True, nogil=True)
def _distances(joints: NDArray[np.float64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    lengths = np.empty((joints.shape[0], ends.shape[0]))
    for row in range(joints.shape[0]):
        for limb in range(ends.shape[0]):
            a, b = joints[row, ends[limb, 0]], joints[row, ends[limb, 1]]
            lengths[row, limb] = np.sqrt(
                (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2
            )
    return lengths


def leg_length(joints: NDArray[np.floating]) -> float:
    """Return the median length of shin and thigh together, both sides averaged."""
    lengths = limb_lengths(joints)
    legs = [i for i, (a, b) in enumerate(RIGID_LIMBS) if "knee" in a + b]
    return float(np.median(lengths[:, legs].sum(axis=1)) / 2)


def with_limb_lengths(
    joints: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the poses (n, 13, 3) with ``RIGID_LIMBS`` of the given lengths (n, 9).

    The shoulders and the middle of the hips stay where they are.
    """
    return _with_lengths(
        np.ascontiguousarray(joints, np.float64), np.ascontiguousarray(lengths), _HIPS, _CHAINS
    )


def _limb(outer: str, inner: str) -> tuple[int, int, int]:
    """Joints of a limb and its column in the lengths."""
    return J[outer], J[inner], RIGID_LIMBS.index((outer, inner))


_HIPS = np.array(_limb("r_hip", "l_hip"))
_CHAINS = np.array(  # outwards: a limb is put on the new place of the one before it
    [
        _limb(f"{side}_{outer}", f"{side}_{inner}")
        for side in "rl"
        for outer, inner in (
            ("knee", "hip"),
            ("ankle", "knee"),
            ("elbow", "shoulder"),
            ("wrist", "elbow"),
        )
    ]
)


@njit(cache=True, nogil=True)
def _with_lengths(
    joints: NDArray[np.float64],
    lengths: NDArray[np.float64],
    hips: NDArray[np.int64],
    chains: NDArray[np.int64],
) -> NDArray[np.float64]:
    result = joints.copy()
    right, left, column = hips
    for row in range(len(joints)):
        old, new = joints[row], result[row]
        middle = (old[right] + old[left]) / 2
        half = lengths[row, column] / 2 * _direction(old[right] - old[left])
        new[right], new[left] = middle + half, middle - half
        for outer, inner, limb in chains:
            new[outer] = new[inner] + lengths[row, limb] * _direction(old[outer] - old[inner])
    return result


@njit(cache=True, nogil=True)
def _direction(v: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = v / max(np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]), 1e-9)
    return unit


def retargeted(
    joints: NDArray[np.float64], own: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the poses of one person (n, 13, 3) on another's limbs, every limb in its direction.

    The whole pose is scaled by the ratio of the limbs together, so that the trunk and the head,
    whose lengths are no limb's, follow; then each limb gets its length exactly.

    Parameters
    ----------
    joints : array (n, 13, 3)
        Poses of one person.
    own, lengths : array (9,)
        Lengths of the ``RIGID_LIMBS``: the person's and the other's.
    """
    scaled = joints * (lengths.sum() / own.sum())
    return with_limb_lengths(scaled, np.broadcast_to(lengths, (len(joints), len(lengths))))
