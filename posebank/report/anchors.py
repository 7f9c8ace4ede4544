"""Pictures of anchor-poses and of other sets of 3D poses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from posebank.geometry.boxes import boxes_around
from posebank.report.drawing import SIDE, View, draw_bones_3d, view_axes
from posebank.report.images import new_figure, save_figure
from posebank.skeleton import UPPER_BODY, indices
from posebank.types import Anchors

_GAP = 0.12  # metres between two figures
_TITLE = 0.3  # metres above a cell
_LETTER = 0.08  # metres that a letter of a title takes
_INCHES = 0.7  # of a metre
_CAMERA = View()  # as the camera sees it: what the 2D anchor-pose and its box are made of
_UPPER = indices(UPPER_BODY)


def anchors_picture(anchors: Anchors, path: Path, n: int | None = None) -> Path:
    """Return a PNG of the full-body anchor-poses with the most poses; all of them by default.

    Each is seen by the camera, in its box, and from a side, all at one scale, with its
    ``anchor_id`` and the number of its poses. Where there are upper-body anchor-poses, their box
    is drawn in dashes.
    """
    full = np.flatnonzero(anchors.kind == "full")
    order = full[np.argsort(-anchors.count[full], kind="stable")][:n]
    titles = [f"{anchors.anchor_id[row]}: {anchors.count[row]:,}" for row in order]
    return poses_picture(
        anchors.pose_3d[order], titles, path, boxes=("full", "upper")[: len(set(anchors.kind))]
    )


def poses_picture(
    poses: NDArray[np.floating], titles: Sequence[str], path: Path, *, boxes: Sequence[str] = ()
) -> Path:
    """Return a PNG of 3D poses (n, 13, 3), metres, camera axes, from the camera and a side.

    Parameters
    ----------
    poses : array (n, 13, 3), metres
        Poses in camera axes.
    titles : sequence of str (n,)
        Title of each.
    path : Path
        File to write.
    boxes : sequence of str
        ``full``, ``upper`` or both: draw the box around the body, or around the upper body.
    """
    poses = np.asarray(poses, np.float64)
    front = boxes_around((poses @ view_axes(_CAMERA).T)[..., :2])
    side = boxes_around((poses @ view_axes(SIDE).T)[..., :2], margin=0.0)
    wide = front[:, 2] - front[:, 0] + _GAP + side[:, 2] - side[:, 0]
    text = [_LETTER * max(map(len, title.split("\n"))) for title in titles]
    cell_wide = np.maximum(wide, text) + 3 * _GAP
    low, high = np.minimum(front[:, 1], side[:, 1]), np.maximum(front[:, 3], side[:, 3])
    cell_high = high - low + _TITLE
    corners, size = _placed(cell_wide, cell_high)
    figure = new_figure(size[0] * _INCHES, size[1] * _INCHES)
    ax = figure.subplots()
    for place, (pose, title) in enumerate(zip(poses, titles, strict=True)):
        left, top = corners[place]
        middle = left + cell_wide[place] / 2
        ax.text(middle, top + _TITLE / 2, title, fontsize=6, ha="center", va="center")
        y = top + _TITLE - low[place]
        at = (middle - wide[place] / 2 - front[place, 0], y)
        _draw_boxes(ax, pose, at, boxes)
        draw_bones_3d(ax, pose, view_axes(_CAMERA), width=1.2, at=at)
        at = (middle + wide[place] / 2 - side[place, 2], y)
        draw_bones_3d(ax, pose, view_axes(SIDE), width=1.2, at=at)
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)
    ax.set_aspect("equal")
    ax.axis("off")
    return save_figure(figure, path)


def _placed(
    wide: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Top left corners (n, 2) of cells set like words in lines, and the size of the whole.

    The lines are so long that the whole is about as wide as high.
    """
    longest = max(float(np.sqrt((wide * high).sum())), float(wide.max(initial=1.0)))
    corners = np.zeros((len(wide), 2))
    x = y = line_high = 0.0
    for place in range(len(wide)):
        if x + wide[place] > longest:
            x, y, line_high = 0.0, y + line_high, 0.0
        corners[place] = x, y
        x += wide[place]
        line_high = max(line_high, high[place])
    return corners, (longest, max(y + line_high, 1.0) + _GAP)


def _draw_boxes(
    ax: Axes, pose: NDArray[np.float64], at: tuple[float, float], kinds: Sequence[str]
) -> None:
    for kind in kinds:
        joints = pose if kind == "full" else pose[_UPPER]
        x1, y1, x2, y2 = boxes_around(joints[..., :2])
        style = "solid" if kind == "full" else (0, (2, 2))
        ax.add_patch(
            Rectangle(
                (x1 + at[0], y1 + at[1]),
                x2 - x1,
                y2 - y1,
                fill=False,
                edgecolor="#aaaaaa",
                linewidth=0.5,
                linestyle=style,
            )
        )
