"""The upward axis of a file: decide it from the rest pose and the motion, turn the joints to y up.

BVH has no field for the upward axis. Its rest pose nearly always stands, along y in most files and
along z in those of Blender and other programs whose world is z up. A body that stands along another
axis than its rest pose does is rarer: the program then turned the root. That must be told from a
person who lies on the floor, and is only believed where the feet are on the level 0 of the axis
along which the body stands throughout, and the hips are not where those of a person who lies on
the level 0 of the rest pose's axis are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.mocap.limbs import leg_length
from posebank.skeleton import J

_TO_Y_UP: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "x": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "-x": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
}
"""Upward axis of a file -> rotation to y up."""

_AXES = {name: np.array(rows[1], np.float64) for name, rows in _TO_Y_UP.items()}
_HIPS = [J["r_hip"], J["l_hip"]]
_SHOULDERS = [J["r_shoulder"], J["l_shoulder"]]
_ANKLES = [J["r_ankle"], J["l_ankle"]]

_ALONG = np.cos(np.radians(45.0))
_SOMETIMES, _NEARLY_ALWAYS = 0.2, 0.9
_MOST_FRAMES = 0.8
_FEET_M = (-0.10, 0.35)  # height of the lowest joint of a body that stands on the floor
_LYING_HIPS_M = (0.03, 0.60)  # height of the hips of one that lies on it, or on a bed


@dataclass(frozen=True)
class UpAxis:
    """A decision: the axis, what it follows from, and a doubt worth telling ("" if none)."""

    axis: str
    reason: str
    doubt: str = ""


def turned_to_y_up(points: NDArray[np.float64], up: str) -> NDArray[np.float64]:
    """Turn points (..., 3) so that the axis ``up`` of their file becomes y.

    Examples
    --------
    >>> turned_to_y_up(np.array([1.0, 2.0, 3.0]), "z")
    array([ 1.,  3., -2.])
    """
    if up == "y":
        return points
    return np.ascontiguousarray(points @ np.array(_TO_Y_UP[up]).T)


def rest_up(rest: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the upward direction (3,) of a rest pose (13, 3); None if it does not stand.

    A pose stands if the legs and the trunk point in opposite directions. In skeletons whose bones
    all lie along one axis at rest they do not.
    """
    trunk = rest[_SHOULDERS].mean(axis=0) - rest[_HIPS].mean(axis=0)
    legs = rest[_ANKLES].mean(axis=0) - rest[_HIPS].mean(axis=0)
    lengths = float(np.linalg.norm(trunk)), float(np.linalg.norm(legs))
    if min(lengths) <= 1e-9 or trunk @ legs > -_ALONG * lengths[0] * lengths[1]:
        return None
    up = trunk / lengths[0] - legs / lengths[1]
    return np.asarray(up / np.linalg.norm(up))


def decide_up(rest: NDArray[np.float64], joints: NDArray[np.float64]) -> UpAxis:
    """Decide the upward axis of a file from its rest pose and its motion.

    Parameters
    ----------
    rest : array (13, 3)
        Joints of the rest pose.
    joints : array (n_frames, 13, 3)
        Joints of the motion, metres, in the axes of the file.
    """
    direction = rest_up(rest)
    stands = None if direction is None else _nearest_axis(direction)
    usual = stands or "y"
    why = f"the rest pose stands along {stands}" if stands else "the rest pose does not stand"
    shares = _shares_along(joints)
    if shares[usual] >= _SOMETIMES:
        return UpAxis(usual, f"{why}, and so does the body" if stands else f"{why}; the body does")
    best = max(shares, key=lambda axis: shares[axis])
    if best == usual or shares[best] < _NEARLY_ALWAYS:
        return UpAxis(usual, f"{why}; the body stands along no axis" if not stands else why)
    lowest = (joints @ _AXES[best]).min(axis=1)
    on_feet = _mostly_within(lowest, _FEET_M) and _is_high(joints, _AXES[best])
    lies = _mostly_within(joints[:, _HIPS].mean(axis=1) @ _AXES[usual], _LYING_HIPS_M)
    if on_feet and not lies:
        return UpAxis(best, f"{why}, but the body stands along {best} in all frames, feet at 0")
    return UpAxis(
        usual,
        f"{why}; the body lies along {best}",
        f"the body lies along the file's {best} axis throughout, with {usual} taken as up; "
        f"if it stands, give --up {best}",
    )


def _nearest_axis(direction: NDArray[np.float64]) -> str | None:
    axis = max(_AXES, key=lambda name: float(_AXES[name] @ direction))
    return axis if float(_AXES[axis] @ direction) >= _ALONG else None


def _shares_along(joints: NDArray[np.float64]) -> dict[str, float]:
    """Return the share of frames in which the trunk points along each axis, within 45 degrees."""
    trunk = joints[:, _SHOULDERS].mean(axis=1) - joints[:, _HIPS].mean(axis=1)
    along = trunk @ np.stack(list(_AXES.values())).T
    shares = (along > _ALONG * np.linalg.norm(trunk, axis=1)[:, None]).mean(axis=0)
    return dict(zip(_AXES, shares.tolist(), strict=True))


def _mostly_within(heights: NDArray[np.float64], metres: tuple[float, float]) -> bool:
    return bool(np.mean((metres[0] <= heights) & (heights <= metres[1])) >= _MOST_FRAMES)


def _is_high(joints: NDArray[np.float64], axis: NDArray[np.float64]) -> bool:
    """Whether the hips are at least half a leg above the ankles, along an axis, in most frames."""
    hips, ankles = joints[:, _HIPS].mean(axis=1) @ axis, joints[:, _ANKLES].mean(axis=1) @ axis
    return bool(np.mean(hips - ankles > 0.5 * leg_length(joints)) >= _MOST_FRAMES)


_SHIFTS = {"x": [2, 0, 1], "y": [0, 1, 2], "z": [1, 2, 0]}


def shifted_to_y_up(points: NDArray[np.float64], up: str) -> NDArray[np.float64]:
    """Turn points (..., 3) of optical systems so that the axis ``up`` of their file becomes y.

    As ``turned_to_y_up`` but for the heading: the axes are shifted around, so that the (x, y, z) of
    CMU's AMC files are the (y, z, x) of the C3D files and AMASS clips of the same motion.

    Examples
    --------
    >>> shifted_to_y_up(np.array([1.0, 2.0, 3.0]), "z")
    array([2., 3., 1.])
    """
    return points[..., _SHIFTS[up]] if up in _SHIFTS else turned_to_y_up(points, up)
