"""Axis-aligned boxes x1 y1 x2 y2, and poses relative to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX_MARGIN = 0.10
"""Margin of a pose's box, a fraction of its width and height on each side (paper, section 3.1)."""


def boxes_around(joints_2d: NDArray[Any], margin: float = BOX_MARGIN) -> NDArray[Any]:
    """Boxes (..., 4) around all joints (..., n_joints, 2), widened by the margin on each side."""
    low, high = joints_2d.min(axis=-2), joints_2d.max(axis=-2)
    pad = margin * (high - low)
    return np.concatenate([low - pad, high + pad], axis=-1)


def relative_to_box(joints_2d: NDArray[Any], boxes: NDArray[Any]) -> NDArray[Any]:
    """Joints (..., n_joints, 2) with the box's (..., 4) corners at (0, 0) and (1, 1)."""
    low, size = boxes[..., None, :2], (boxes[..., 2:] - boxes[..., :2])[..., None, :]
    return (joints_2d - low) / np.maximum(size, 1e-9)
