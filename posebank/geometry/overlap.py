"""Intersection over union of boxes, compiled: the one definition in posebank.

The training targets, which live on the GPU, use ``torchvision.ops.box_iou``, the same measure.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def box_iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:  # pragma: no cover
    """Return the IoU of two boxes (4,), x1 y1 x2 y2; 0 where either is NaN or has no area."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    shared = width * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


@njit(cache=True)
def pairwise_iou(
    a: NDArray[np.floating], b: NDArray[np.floating]
) -> NDArray[np.float64]:  # pragma: no cover
    """Return the IoU (n_a, n_b) of boxes (n_a, 4) and (n_b, 4).

    Examples
    --------
    >>> boxes = np.array([[0.0, 0, 2, 1], [1.0, 0, 3, 1]])
    >>> pairwise_iou(boxes, boxes).round(3).tolist()
    [[1.0, 0.333], [0.333, 1.0]]
    """
    iou = np.empty((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            iou[i, j] = box_iou(a[i], b[j])
    return iou
