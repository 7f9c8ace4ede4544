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
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Node, Point
from posebank.mocap.asf import Skeleton
from posebank.mocap.limbs import leg_length
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

_LEG_RANGE_M = (0.35, 1.40)


def acclaim_mapping() -> dict[str, str]:
    """The decisions above in words: ``lcrnet13`` name -> where the joint is taken."""
    ends = {joint: f"end of {bone}" for joint, bone in ACCLAIM_BONE.items()}
    return ends | {"head": "end of head, extended to the head top"}


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
