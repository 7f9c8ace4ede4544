"""The upward axis of a file: turn its joints to y up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_TO_Y_UP: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "x": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "-x": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
}
"""Upward axis of a file -> rotation to y up."""


def turned_to_y_up(points: NDArray[np.float64], up: str) -> NDArray[np.float64]:
    """Turn points (..., 3) so that the axis ``up`` of their file becomes y.

    Examples
    --------
    >>> turned_to_y_up(np.array([1.0, 2.0, 3.0]), "z")
    array([ 1.,  3., -2.])
    """
    if up == "y":
        return points
    return points @ np.array(_TO_Y_UP[up]).T
