"""Reference lengths that make pixel distances comparable: head size and torso size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.skeleton import J, is_annotated

HEAD_BOX_FACTOR = 0.6
"""Head size = 0.6 x the diagonal of the annotated head rectangle (MPII)."""

HEAD_PER_SHOULDERS = 0.618
"""Median of MPII's head size over the distance from head top to the middle of the shoulders.

Measured on the 2,932 people of MPII's validation detections that have the three joints and the
rectangle (quartiles 0.564 and 0.682).
"""

HEAD_SIZE_SOURCES = ("none", "head_box", "head_to_shoulders")


def head_sizes(
    head_box: NDArray[np.floating],
    joints_2d: NDArray[np.floating],
    state: NDArray[np.uint8],
    *,
    fallback: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return the head size of each person, and where it comes from.

    Parameters
    ----------
    head_box : array (n, 4)
        x1 y1 x2 y2 in pixels, NaN where unknown.
    joints_2d : array (n, 13, 2), pixels
        Joints, which only ``fallback`` uses.
    state : array (n, 13)
        Joint states, which only ``fallback`` uses.
    fallback : bool
        Give a person without a head box ``HEAD_PER_SHOULDERS`` x the distance from the head to the
        middle of the shoulders, if none of the three is missing (a completed joint will do).

    Returns
    -------
    size : (n,) pixels; NaN where it is not known. A head box of no extent counts as unknown.
    source : (n,) uint8, position in ``HEAD_SIZE_SOURCES``.
    """
    box = np.asarray(head_box, np.float64)
    size = HEAD_BOX_FACTOR * np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    size = np.where(size > 0, size, np.nan)
    source = np.where(np.isfinite(size), 1, 0).astype(np.uint8)
    if fallback:
        joints = np.asarray(joints_2d, np.float64)
        names = [J["head"], J["r_shoulder"], J["l_shoulder"]]
        shoulders = joints[:, names[1:]].mean(axis=1)
        guess = HEAD_PER_SHOULDERS * np.linalg.norm(joints[:, J["head"]] - shoulders, axis=-1)
        use = (source == 0) & (state[:, names] > 0).all(axis=1) & (guess > 0)
        size = np.where(use, guess, size)
        source[use] = 2
    return size, source


def torso_sizes(joints_2d: NDArray[np.floating], state: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return right shoulder to left hip (n,), pixels, NaN unless both are annotated.

    The reference length of PCK on LSP and LSPE ("torso diameter").
    """
    ends = [J["r_shoulder"], J["l_hip"]]
    joints = np.asarray(joints_2d, np.float64)
    size = np.linalg.norm(joints[:, ends[0]] - joints[:, ends[1]], axis=-1)
    return np.where(is_annotated(state)[:, ends].all(axis=1) & (size > 0), size, np.nan)
