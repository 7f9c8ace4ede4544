"""Forward kinematics of the SMPL family of body models (SMPL, SMPL+H, SMPL-X).

Their first 22 joints are the same. A pose holds a rotation for each joint, relative to its parent,
as an axis-angle vector: its direction is the axis, its length the angle in radians. In the rest
pose the person stands with the arms stretched sideways, y up, facing +z, left along +x.

Source: M. Loper, N. Mahmood, J. Romero, G. Pons-Moll, M. J. Black. SMPL: A Skinned Multi-Person
Linear Model. SIGGRAPH Asia 2015, equations 2 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.skeleton import JOINT_NAMES

BODY_JOINTS = (
    "pelvis",
    "l_hip",
    "r_hip",
    "spine1",
    "l_knee",
    "r_knee",
    "spine2",
    "l_ankle",
    "r_ankle",
    "spine3",
    "l_foot",
    "r_foot",
    "neck",
    "l_collar",
    "r_collar",
    "head",
    "l_shoulder",
    "r_shoulder",
    "l_elbow",
    "r_elbow",
    "l_wrist",
    "r_wrist",
)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
N_BODY_JOINTS = len(BODY_JOINTS)
_BLOCK_FRAMES = 2048  # whose rotations stay in the processor's cache

_AT = {name: number for number, name in enumerate(BODY_JOINTS)}
_ENDS = {"l_ankle", "r_ankle", "l_foot", "r_foot", "l_wrist", "r_wrist"}
_TURNING = tuple(j for j, name in enumerate(BODY_JOINTS) if name not in _ENDS)
"""The joints whose rotation moves one of the 13 joints."""


@dataclass(frozen=True)
class RestBody:
    """A body in the rest pose, metres.

    Parameters
    ----------
    joints : (22, 3) the ``BODY_JOINTS``.
    head_top : (3,) a point that the head carries.
    """

    joints: NDArray[np.float64]
    head_top: NDArray[np.float64]


def joint_mapping() -> Mapping[str, str]:
    """Return ``lcrnet13`` name -> where it is on the body."""
    return {name: name for name in JOINT_NAMES} | {"head": "head top, carried by head"}


def posed_joints(
    rotations: NDArray[np.float64], translation: NDArray[np.float64], body: RestBody
) -> NDArray[np.float64]:
    """Return the 13 joints of a body in many poses.

    Parameters
    ----------
    rotations : array (n_frames, 66)
        Axis-angle vectors of the ``BODY_JOINTS``, radians.
    translation : array (n_frames, 3)
        Translation of the model's origin, metres.
    body : RestBody
        The person at rest.

    Returns
    -------
    (n_frames, 13, 3) metres, in the axes of the translation.
    """
    joints = np.empty((len(rotations), len(JOINT_NAMES), 3))
    for start in range(0, len(rotations), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        turns = np.ascontiguousarray(rotations[block].T).reshape(N_BODY_JOINTS, 3, -1)
        places = _places(_matrices(turns[list(_TURNING)]), body)
        for number, name in enumerate(JOINT_NAMES):
            joints[block, number] = places[name].T
        joints[block] += translation[block, None]
    return joints


def _matrices(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices (n, 3, 3, n_frames) of axis-angle vectors (n, 3, n_frames): Rodrigues."""
    x, y, z = turns[:, 0], turns[:, 1], turns[:, 2]
    square = x * x + y * y + z * z
    small = square < 1e-8  # there the quotients below are those of their series
    angle = np.sqrt(np.where(small, 1.0, square))
    sine = np.where(small, 1.0 - square / 6.0, np.sin(angle) / angle)
    versine = np.where(small, 0.5 - square / 24.0, (1.0 - np.cos(angle)) / (angle * angle))
    matrices = np.empty((len(turns), 3, 3, turns.shape[-1]))
    matrices[:, 0, 0] = 1.0 - versine * (y * y + z * z)
    matrices[:, 1, 1] = 1.0 - versine * (x * x + z * z)
    matrices[:, 2, 2] = 1.0 - versine * (x * x + y * y)
    for row, column, along, product in ((2, 1, x, y * z), (0, 2, y, x * z), (1, 0, z, x * y)):
        matrices[:, row, column] = versine * product + sine * along
        matrices[:, column, row] = versine * product - sine * along
    return matrices


def _places(matrices: NDArray[np.float64], body: RestBody) -> dict[str, NDArray[np.float64]]:
    """Body joints and ``head`` (the top), each (3, n_frames), for no translation."""
    own = dict(zip(_TURNING, matrices, strict=True))
    world = {0: own[0]}
    at = {0: np.repeat(body.joints[0][:, None], matrices.shape[-1], axis=1)}
    for joint in range(1, N_BODY_JOINTS):
        parent = PARENTS[joint]
        if parent not in world:
            continue
        offset = body.joints[joint] - body.joints[parent]
        at[joint] = at[parent] + _applied(world[parent], offset)
        if joint in own:
            world[joint] = _product(world[parent], own[joint])
    head = _AT["head"]
    top = at[head] + _applied(world[head], body.head_top - body.joints[head])
    places = {name: at[number] for name, number in _AT.items() if number in at}
    return places | {"head": top}


def _applied(matrices: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrices (3, 3, n_frames) times one vector (3,)."""
    applied: NDArray[np.float64] = matrices[:, 0] * vector[0]
    applied += matrices[:, 1] * vector[1]
    applied += matrices[:, 2] * vector[2]
    return applied


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of matrices (3, 3, n_frames)."""
    product: NDArray[np.float64] = a[:, 0, None] * b[0]
    product += a[:, 1, None] * b[1]
    product += a[:, 2, None] * b[2]
    return product
