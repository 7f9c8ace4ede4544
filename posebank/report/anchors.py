"""Pictures of the anchor-poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posebank.report.drawing import FRONT, SIDE, draw_pose_3d
from posebank.report.images import new_figure, save_figure
from posebank.types import Anchors


def anchors_picture(anchors: Anchors, path: Path, n: int = 100) -> Path:
    """PNG of the ``n`` full-body anchor-poses with the most poses, in 3D from front and side."""
    full = np.flatnonzero(anchors.kind == "full")
    order = full[np.argsort(-anchors.count[full], kind="stable")][:n]
    columns = 10
    lines = max(-(-len(order) // columns), 1)
    figure = new_figure(1.5 * columns, 1.3 * lines)
    grid = figure.subplots(lines, columns, squeeze=False)
    for ax in grid.flat:
        ax.axis("off")
    for ax, row in zip(grid.flat, order, strict=False):
        pose = anchors.pose_3d[row].astype(np.float64)
        draw_pose_3d(ax, pose, FRONT, floor=False, width=1.2, at=(-0.9, 0.0))
        draw_pose_3d(ax, pose, SIDE, floor=False, width=1.2, at=(0.9, 0.0))
        ax.set_xlim(-1.9, 1.9)
        ax.set_ylim(1.1, -1.1)
        ax.set_aspect("equal")
        ax.set_title(f"{anchors.anchor_id[row]}: {anchors.count[row]}", fontsize=6, pad=1)
    return save_figure(figure, path)
