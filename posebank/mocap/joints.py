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
from posebank.mocap.asf import ROOT, Skeleton
from posebank.mocap.limbs import leg_length
from posebank.mocap.options import JointMap
from posebank.mocap.suggestion import not_found
from posebank.skeleton import JOINT_NAMES, J

HEAD_TOP_IN_BONE_LENGTHS = 1.25

ACCLAIM_BONE: Mapping[str, str] = {
    f"{side}_{joint}": side + bone
    for side in "rl"
    for joint, bone in (
        ("ankle", "tibia"),
        ("knee", "femur"),
        ("hip", "hipjoint"),
        ("wrist", "wrist"),
        ("elbow", "humerus"),
        ("shoulder", "clavicle"),
    )
} | {"head": "head"}
"""``lcrnet13`` name -> bone whose end it is (the head's is extended to the top)."""

_LEG_RANGE_M = (0.35, 1.40)


def acclaim_mapping(joints: JointMap | None = None) -> dict[str, str]:
    """Return in words where each joint of ``lcrnet13`` is taken; ``joints`` are the user's."""
    bones = _bones(joints)
    ends = {joint: f"end of {bone}" for joint, bone in bones.items()}
    if bones["head"] == ACCLAIM_BONE["head"]:
        ends["head"] += ", extended to the head top"
    return ends


def _bones(joints: JointMap | None) -> dict[str, str]:
    given = {joint: " ".join(names).lower() for joint, names in (joints or {}).items()}
    return {joint: given.get(joint, ACCLAIM_BONE[joint]) for joint in JOINT_NAMES}


def acclaim_points(
    skeleton: Skeleton, joints: JointMap | None = None
) -> tuple[list[Node], list[Point], list[str]]:
    """Return nodes, the 13 joints as points, and the bones whose values they need.

    Parameters
    ----------
    skeleton : Skeleton
        Skeleton of an ASF.
    joints : JointMap or None
        Names of the bones at whose ends joints are, where they are not CMU's.

    Raises
    ------
    SourceError
        If the skeleton lacks a bone, naming it.
    """
    by_joint = _bones(joints)
    bones = list(by_joint.values())
    if any(b not in skeleton.bones for b in bones):
        found = {j: b for j, b in by_joint.items() if b in skeleton.bones}
        names = [name for name in skeleton.bones if name != ROOT]
        raise SourceError(skeleton.path, not_found("bone", names, found, by_joint))
    nodes, points = skeleton.chain(bones)
    if by_joint["head"] == ACCLAIM_BONE["head"]:
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
