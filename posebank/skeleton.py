"""The 13-joint skeleton ``lcrnet13``: names, left/right pairs, limbs, body centre.

Left and right are the person's own. Joints are accessed by name::

    joints[:, J["r_wrist"]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

SKELETON_NAME = "lcrnet13"

JOINT_NAMES: tuple[str, ...] = (
    "r_ankle",
    "l_ankle",
    "r_knee",
    "l_knee",
    "r_hip",
    "l_hip",
    "r_wrist",
    "l_wrist",
    "r_elbow",
    "l_elbow",
    "r_shoulder",
    "l_shoulder",
    "head",
)
N_JOINTS = len(JOINT_NAMES)
J: Mapping[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}

LIMBS: tuple[tuple[str, str], ...] = (
    ("r_ankle", "r_knee"),
    ("r_knee", "r_hip"),
    ("l_ankle", "l_knee"),
    ("l_knee", "l_hip"),
    ("r_wrist", "r_elbow"),
    ("r_elbow", "r_shoulder"),
    ("l_wrist", "l_elbow"),
    ("l_elbow", "l_shoulder"),
    ("r_hip", "l_hip"),
    ("r_shoulder", "l_shoulder"),
    ("r_hip", "r_shoulder"),
    ("l_hip", "l_shoulder"),
)

TORSO: tuple[str, ...] = ("r_hip", "l_hip", "r_shoulder", "l_shoulder")
LOWER_LIMBS: tuple[str, ...] = ("r_ankle", "l_ankle", "r_knee", "l_knee")
UPPER_BODY: tuple[str, ...] = tuple(name for name in JOINT_NAMES if name not in LOWER_LIMBS)


def _swapped(name: str) -> str:
    swap = {"r_": "l_", "l_": "r_"}
    return swap.get(name[:2], name[:2]) + name[2:]


MIRROR: NDArray[np.intp] = np.array([J[_swapped(name)] for name in JOINT_NAMES])
"""Index of each joint's left/right twin, shape (13,): ``mirrored = joints[..., MIRROR, :]``."""
MIRROR.flags.writeable = False


class JointState(IntEnum):
    """What is known of a joint (stored as uint8)."""

    MISSING = 0
    VISIBLE = 1
    OCCLUDED = 2
    COMPLETED = 3


def indices(names: Sequence[str]) -> list[int]:
    """Return the positions of the named joints in ``lcrnet13`` order.

    Examples
    --------
    >>> indices(["head", "r_ankle"])
    [12, 0]
    """
    return [J[name] for name in names]


def is_annotated(state: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which joints a person annotated, visible or occluded; same shape as ``state``.

    Examples
    --------
    >>> is_annotated(np.array([0, 1, 2, 3], np.uint8)).tolist()
    [False, True, True, False]
    """
    result: NDArray[np.bool_] = (state == JointState.VISIBLE) | (state == JointState.OCCLUDED)
    return result


def body_centre(joints: NDArray[Any]) -> NDArray[Any]:
    """Mean of both hips and both shoulders, shape (..., d), of joints (..., 13, d).

    Examples
    --------
    >>> pose = np.zeros((13, 3))
    >>> pose[[J["r_shoulder"], J["l_shoulder"]]] = [0.0, 1.0, 0.0]
    >>> body_centre(pose).tolist()
    [0.0, 0.5, 0.0]
    """
    result: NDArray[Any] = joints[..., indices(TORSO), :].mean(axis=-2)
    return result


def centred(joints: NDArray[Any]) -> NDArray[Any]:
    """Joints (..., 13, d) relative to their body centre.

    Examples
    --------
    >>> pose = np.random.default_rng(0).normal(size=(13, 3))
    >>> np.allclose(body_centre(centred(pose)), 0.0)
    True
    """
    result: NDArray[Any] = joints - body_centre(joints)[..., None, :]
    return result


def mirrored_3d(joints: NDArray[Any]) -> NDArray[Any]:
    """Reflect body-centred poses (..., 13, 3) in the plane x = 0, left and right swapped.

    Examples
    --------
    >>> pose = np.zeros((13, 3))
    >>> pose[J["l_wrist"]] = [0.5, 1.0, 0.2]
    >>> mirrored_3d(pose)[J["r_wrist"]].tolist()
    [-0.5, 1.0, 0.2]
    """
    result: NDArray[Any] = joints[..., MIRROR, :] * np.array([-1.0, 1.0, 1.0], dtype=joints.dtype)
    return result


def remap(
    points: NDArray[Any], source_names: Sequence[str], mapping: Mapping[str, str]
) -> NDArray[Any]:
    """Pick the 13 joints by name from another skeleton.

    Parameters
    ----------
    points : array (..., n_source, d)
        Points of the source.
    source_names : sequence of str
        Names of the n_source points, in order.
    mapping : mapping
        ``lcrnet13`` name -> source name, for all 13 joints.

    Returns
    -------
    (..., 13, d)

    Raises
    ------
    KeyError
        If the mapping or the source lacks a joint.

    Examples
    --------
    >>> names = [name.upper() for name in JOINT_NAMES[::-1]]
    >>> joints = remap(np.arange(13)[:, None], names, {name: name.upper() for name in JOINT_NAMES})
    >>> joints.ravel().tolist()
    [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    """
    where = {name: index for index, name in enumerate(source_names)}
    return points[..., [where[mapping[name]] for name in JOINT_NAMES], :]
