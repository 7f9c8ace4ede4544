"""Quirks of the cgspeed BVH conversions of CMU, in whatever unit they were saved again.

- Lengths are the AMC's, not divided by the ASF's 0.45: one unit is 1/0.45 inch.
- Frame 0 is an added T-pose: whole-number angles, at the place of frame 1. It is dropped only where
  it is one (a re-export without it exists).
- The MotionBuilder release (UpLeg-Leg-Foot names) loses the lengths of ``thorax`` and ``wrist``:
  neck and shoulders hang 0.11 m low and the hands sit two thirds down the forearms. Both can be
  put back: the model divides the back into three almost equal bones, and the forearm 2 : 1.

The MotionBuilder release is known by its names alone. The 3ds Max release shares its names with
Xsens, so that it is known by its size as well; in another unit its first frame is still dropped.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.kinematics import Node
from posebank.mocap.bvh import BvhMotion
from posebank.mocap.joints import HEAD_TOP_IN_BONE_LENGTHS
from posebank.mocap.naming import plain_name
from posebank.mocap.options import METRES_PER_INCH

METRES_PER_UNIT = METRES_PER_INCH / 0.45
_MOTIONBUILDER = {"lhipjoint", "rhipjoint", "lowerback", "spine1", "lthumb", "leftfingerbase"}
_MAX_FRIENDLY = {"lefthip", "leftknee", "leftcollar", "chest", "hips"}
_THIGH_UNITS = (5.0, 10.0)  # 0.28 to 0.56 m in CMU's unit
_SAME_PLACE = 1.4e-4  # thighs: the print precision of the root's place


def convention(motion: BvhMotion) -> str | None:
    """Return ``motionbuilder`` or ``max``, the release that a file is of; None if of neither."""
    names = {plain_name(n) for n in motion.names}
    if _MOTIONBUILDER.issubset(names):
        return "motionbuilder" if _thigh(motion) > 0 else None
    if _MAX_FRIENDLY.issubset(names) and (_has_size(motion) or _has_t_pose(motion)):
        return "max"
    return None


def restored(motion: BvhMotion, release: str) -> BvhMotion:
    """Return the motion without its T-pose and with the lengths that the release lost."""
    if _has_t_pose(motion):
        motion = replace(
            motion,
            values=motion.values[1:],
            frames=motion.frames[1:],
            n_lost=motion.n_lost + 1,
            lost=(*motion.lost, "frame 0 set aside: the T-pose that the conversion added"),
        )
    nodes = list(motion.nodes)
    where = {plain_name(n): i for i, n in reversed(list(enumerate(motion.names)))}

    def place(name: str, offset: NDArray[np.float64]) -> None:
        node = nodes[where[name]]
        nodes[where[name]] = Node(node.parent, offset, node.rest, node.rotations, node.translations)

    if release == "motionbuilder":
        back = nodes[where["spine1"]].offset
        for name in ("neck", "leftshoulder", "rightshoulder"):
            if name in where and not nodes[where[name]].offset.any():
                place(name, back)
        for name in ("lefthand", "righthand"):
            if name in where:
                place(name, nodes[where[name]].offset * 1.5)
    top = where.get("head/end site")
    if top is not None and (release == "motionbuilder" or _has_size(motion)):
        place("head/end site", nodes[top].offset * (1.0 + HEAD_TOP_IN_BONE_LENGTHS))
    return replace(motion, nodes=tuple(nodes))


def _thigh(motion: BvhMotion) -> float:
    """Return the length of the left thigh in the file's unit; 0 where there is none."""
    for name, node in zip(motion.names, motion.nodes, strict=True):
        if plain_name(name) in ("leftleg", "leftknee"):
            return float(np.linalg.norm(node.offset))
    return 0.0


def _has_size(motion: BvhMotion) -> bool:
    return _THIGH_UNITS[0] < _thigh(motion) < _THIGH_UNITS[1]


def _has_t_pose(motion: BvhMotion) -> bool:
    if len(motion.values) < 2 or motion.frames[0] != 0:
        return False
    turns = [channel for node in motion.nodes for _, channel in node.rotations]
    shifts = [channel for node in motion.nodes for _, channel in node.translations]
    first, second = motion.values[0], motion.values[1]
    whole = np.array_equal(first[turns], np.round(first[turns]))
    close = _SAME_PLACE * _thigh(motion)
    return whole and bool(np.allclose(first[shifts], second[shifts], rtol=1e-5, atol=close))
