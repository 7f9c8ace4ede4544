"""From a source's own skeleton to the 13 joints of ``lcrnet13``.

In the Acclaim skeleton of CMU and HDM05 a joint is the end of a bone:

- wrist: the end of ``wrist``, not of ``radius``. The model splits the forearm 2 : 1 to place its
  twist, so the end of ``radius`` lies two thirds down the forearm.
- head: the end of the bone ``head`` is at the height of a head band (in clip 02_01 it lies 18 mm
  below the middle of the head markers), not at the top. The top is put 1.25 lengths of that bone
  further along it (115 mm for that actor).
- hip: the end of ``hipjoint``; shoulder: the end of ``clavicle``; ankle: the end of ``tibia``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Node, Point
from posebank.mocap.asf import Skeleton
from posebank.skeleton import JOINT_NAMES, J

HEAD_TOP_IN_BONE_LENGTHS = 1.25

ACCLAIM_BONE: Mapping[str, str] = {
    f"{side}_{joint}": side + bone
    for side in "rl"
    for joint, bone in (
        ("ankle", "tibia"), ("knee", "femur"), ("hip", "hipjoint"),
        ("wrist", "wrist"), ("elbow", "humerus"), ("shoulder", "clavicle"),
    )
} | {"head": "head"}  # fmt: skip
"""``lcrnet13`` name -> bone whose end it is (the head's is extended to the top)."""

RIGID_LIMBS: tuple[tuple[str, str], ...] = (
    ("r_ankle", "r_knee"), ("r_knee", "r_hip"), ("l_ankle", "l_knee"), ("l_knee", "l_hip"),
    ("r_wrist", "r_elbow"), ("r_elbow", "r_shoulder"),
    ("l_wrist", "l_elbow"), ("l_elbow", "l_shoulder"), ("r_hip", "l_hip"),
)  # fmt: skip
"""Pairs of joints whose distance a sound clip keeps."""

_LEG_RANGE_M = (0.35, 1.40)


def acclaim_points(skeleton: Skeleton) -> tuple[list[Node], list[Point], list[str]]:
    """Nodes, the 13 joints as points, and the bones whose values they need.

    Raises
    ------
    SourceError
        If the skeleton lacks a bone, naming it.
    """
    bones = [ACCLAIM_BONE[name] for name in JOINT_NAMES]
    missing = [b for b in bones if b not in skeleton.bones]
    if missing:
        raise SourceError(
            skeleton.path,
            f"expected the bones of the CMU/HDM05 skeleton, found none named {', '.join(missing)}",
        )
    nodes, points = skeleton.chain(bones)
    top = points[J["head"]]
    points[J["head"]] = Point(top.node, top.offset * (1.0 + HEAD_TOP_IN_BONE_LENGTHS))
    needed = [b for b in skeleton.bones_towards(bones) if skeleton.bones[b].dof]
    return nodes, points, needed


_ENDS = np.array([(J[a], J[b]) for a, b in RIGID_LIMBS])


def limb_lengths(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Lengths (n, 9) of the ``RIGID_LIMBS`` in poses (n, 13, 3), in the unit of the joints."""
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
    """Median length of shin and thigh together, both sides averaged."""
    lengths = limb_lengths(joints)
    legs = [i for i, (a, b) in enumerate(RIGID_LIMBS) if "knee" in a + b]
    return float(np.median(lengths[:, legs].sum(axis=1)) / 2)


def check_size(joints: NDArray[np.floating], where: Path, unit: str) -> None:
    """Refuse a clip whose legs no person can have: its unit must be wrong.

    Raises
    ------
    SourceError
        Naming the leg length found and the unit it follows from.
    """
    leg = leg_length(joints)
    if not _LEG_RANGE_M[0] <= leg <= _LEG_RANGE_M[1]:
        raise SourceError(
            where,
            f"expected legs of {_LEG_RANGE_M[0]} to {_LEG_RANGE_M[1]} m, found {leg:.3g} m "
            f"with lengths in {unit}",
        )
