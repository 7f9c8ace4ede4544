"""Boxes around 2D joints, and points relative to a box.

A box is ``x1 y1 x2 y2`` in pixels, origin at the top-left corner of the top-left pixel. Relative
to its box, (0, 0) is the top-left corner and (1, 1) the bottom-right one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX_MARGIN = 0.10
"""Margin around a pose's joints, as a fraction of the box size on each side (paper, section 3)."""


def boxes_around(joints_2d: NDArray[Any], margin: float = BOX_MARGIN) -> NDArray[Any]:
    """Return the boxes (..., 4) around points (..., n_points, 2).

    Parameters
    ----------
    joints_2d : array (..., n_joints, 2)
        Joints, in any unit; every one counts.
    margin : float
        Fraction of the width added on the left and on the right, and of the height added
        above and below. A pose 100 px wide gets a box of 120 px at the default 0.10.

    Examples
    --------
    >>> boxes_around(np.array([[0.0, 0.0], [100.0, 200.0]])).tolist()
    [-10.0, -20.0, 110.0, 220.0]
    """
    low, high = joints_2d.min(axis=-2), joints_2d.max(axis=-2)
    pad = (high - low) * np.asarray(margin, dtype=joints_2d.dtype)
    return np.concatenate([low - pad, high + pad], axis=-1)


def relative_to_boxes(points: NDArray[Any], boxes: NDArray[Any]) -> NDArray[Any]:
    """Return the points (..., n_points, 2) relative to their boxes (..., 4).

    The sides of a box must not be zero.

    Examples
    --------
    >>> relative_to_boxes(np.array([[5.0, 5.0]]), np.array([0.0, 0.0, 10.0, 20.0])).tolist()
    [[0.5, 0.25]]
    """
    corner, size = boxes[..., None, :2], boxes[..., None, 2:] - boxes[..., None, :2]
    result: NDArray[Any] = (points - corner) / size
    return result


def from_boxes(relative: NDArray[Any], boxes: NDArray[Any]) -> NDArray[Any]:
    """Invert ``relative_to_boxes``: relative points (..., n_points, 2) into the image.

    Examples
    --------
    >>> from_boxes(np.array([[0.5, 0.25]]), np.array([0.0, 0.0, 10.0, 20.0])).tolist()
    [[5.0, 5.0]]
    """
    corner, size = boxes[..., None, :2], boxes[..., None, 2:] - boxes[..., None, :2]
    result: NDArray[Any] = corner + relative * size
    return result
