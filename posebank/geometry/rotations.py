"""Rotation matrices from elementary angles, and the heading of a pose.

Convention: right-handed, column vectors, ``R @ v``. A positive angle about y takes z to x:
``axis_rotation("y", pi / 2) @ (0, 0, 1) = (1, 0, 0)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

AXES = {"x": 0, "y": 1, "z": 2}


def axis_rotation(axis: str, angle: float | NDArray[Any]) -> NDArray[np.float64]:
    """Return rotation matrices (..., 3, 3) about ``x``, ``y`` or ``z`` by angles (...), radians.

    Examples
    --------
    >>> axis_rotation("z", np.pi / 2).round(12).astype(int).tolist()
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    angle = np.asarray(angle, np.float64)
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    k = AXES[axis]
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., i, i] = matrix[..., j, j] = c
    matrix[..., i, j] = -s
    matrix[..., j, i] = s
    matrix[..., k, k] = 1.0
    return matrix


def fixed_axes_rotation(order: str, angles: NDArray[Any]) -> NDArray[np.float64]:
    """Rotate about fixed axes, in the order they are named.

    Parameters
    ----------
    order : str
        Letters of ``xyz``, any case, each the axis of one angle: ``"xyz"`` turns about x
        first, so it is ``Rz @ Ry @ Rx``.
    angles : array (..., len(order)), radians
        One angle for each letter.

    Returns
    -------
    (..., 3, 3)

    Examples
    --------
    >>> turn = fixed_axes_rotation("xz", np.array([np.pi / 2, np.pi / 2]))
    >>> np.allclose(turn @ [0, 1, 0], [0, 0, 1])
    True
    """
    angles = np.asarray(angles, np.float64)
    matrix = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3)).copy()
    for position, axis in enumerate(order.lower()):
        matrix = axis_rotation(axis, angles[..., position]) @ matrix
    return matrix


def heading_angle(joints: NDArray[Any], right: int, left: int) -> NDArray[np.float64]:
    """Return the heading of poses: angle about y, in (-pi, pi], of the left-to-right axis.

    Parameters
    ----------
    joints : array (..., n_joints, 3)
        Joints, y up.
    right, left : int
        Joints whose difference is the axis.

    Returns
    -------
    (...) radians; 0 where the axis points along +x, growing as it turns about +y.

    Examples
    --------
    >>> hips = np.array([[0.0, 0.9, 0.1], [0.0, 0.9, -0.1]])
    >>> float(np.degrees(heading_angle(hips, right=0, left=1)))
    -90.0
    """
    across = joints[..., right, :] - joints[..., left, :]
    result: NDArray[np.float64] = np.arctan2(-across[..., 2], across[..., 0]).astype(np.float64)
    return result
