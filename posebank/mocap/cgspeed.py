"""Quirks of the cgspeed BVH conversions of CMU.

- Lengths are the AMC's, not divided by the ASF's 0.45: one unit is 1/0.45 inch.
- Frame 0 is an added T-pose: whole-number angles, at the place of frame 1. It is dropped only where
  it is one (a re-export without it exists).
- The MotionBuilder release (UpLeg-Leg-Foot names) loses the lengths of ``thorax`` and ``wrist``:
  neck and shoulders hang 0.11 m low and the hands sit two thirds down the forearms. Both can be
  put back: the model divides the back into three almost equal bones, and the forearm 2 : 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.kinematics import Node
from posebank.mocap.asf import METRES_PER_INCH
from posebank.mocap.bvh import BvhMotion, plain_name
from posebank.mocap.joints import HEAD_TOP_IN_BONE_LENGTHS

METRES_PER_UNIT = METRES_PER_INCH / 0.45
_MOTIONBUILDER = {"lhipjoint", "rhipjoint", "lowerback", "spine1", "lthumb", "leftfingerbase"}
_MAX_FRIENDLY = {"lefthip", "leftknee", "leftcollar", "chest", "hips"}


def is_cgspeed(motion: BvhMotion) -> bool:
    """Whether the joint names, and the size that follows from them, are those of cgspeed's."""
    names = {plain_name(n) for n in motion.names}
    if not (_MOTIONBUILDER.issubset(names) or _MAX_FRIENDLY.issubset(names)):
        return False
    thighs = [
        float(np.linalg.norm(node.offset))
        for name, node in zip(motion.names, motion.nodes, strict=True)
        if plain_name(name) in ("leftleg", "leftknee")
    ]
    return bool(thighs) and 5.0 < thighs[0] < 10.0  # 0.28 to 0.56 m in CMU's unit


def _has_t_pose(motion: BvhMotion) -> bool:
    if len(motion.values) < 2 or motion.frames[0] != 0:
        return False
    turns = [channel for node in motion.nodes for _, channel in node.rotations]
    shifts = [channel for node in motion.nodes for _, channel in node.translations]
    first, second = motion.values[0], motion.values[1]
    whole = np.array_equal(first[turns], np.round(first[turns]))
    return whole and bool(np.allclose(first[shifts], second[shifts], atol=1e-3))


def restored(motion: BvhMotion) -> tuple[BvhMotion, bool]:
    """Drop the T-pose and put back what the conversion lost; also whether there was something."""
    if _has_t_pose(motion):
        motion = replace(
            motion,
            values=motion.values[1:],
            frames=motion.frames[1:],
            n_lost=motion.n_lost + 1,
            lost=(*motion.lost, "frame 0 set aside: the T-pose that the conversion added"),
        )
    nodes = list(motion.nodes)
    where = {plain_name(n): i for i, n in enumerate(motion.names)}

    def place(name: str, offset: NDArray[np.float64]) -> None:
        node = nodes[where[name]]
        nodes[where[name]] = Node(node.parent, offset, node.rest, node.rotations, node.translations)

    put_back = _MOTIONBUILDER.issubset(where)
    if put_back:
        back = nodes[where["spine1"]].offset
        for name in ("neck", "leftshoulder", "rightshoulder"):
            if name in where and not nodes[where[name]].offset.any():
                place(name, back)
        for name in ("lefthand", "righthand"):
            if name in where:
                place(name, nodes[where[name]].offset * 1.5)
    top = where.get("head/end site")
    if top is not None:
        place("head/end site", nodes[top].offset * (1.0 + HEAD_TOP_IN_BONE_LENGTHS))
    return replace(motion, nodes=tuple(nodes)), put_back
