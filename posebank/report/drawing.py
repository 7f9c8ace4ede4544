"""Drawing one pose, in 2D on an image or in 3D from any side.

Convention
----------
3D poses are in camera axes (x right, y down, z away). A view is an orbit of the viewer about the
person: at azimuth 0 and elevation 0 the viewer is where the camera was, so the drawing agrees with
the image; a positive azimuth moves the viewer towards the image's right (at +90 degrees the point
(0, 0, 1), which is behind the person for the camera, is on the right); a positive elevation moves
the viewer up. The person's right limbs are red, the left ones blue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from posebank.skeleton import LIMBS, J, JointState

RIGHT, LEFT, CENTRE = "#d62728", "#1f77b4", "#555555"

_NAMES = tuple(J)


@dataclass(frozen=True)
class View:
    """Where the viewer stands: azimuth and elevation in radians."""

    azimuth: float = 0.0
    elevation: float = 0.0


FRONT = View(0.0, np.pi / 18)
SIDE = View(np.pi * 7 / 18, np.pi / 18)


def view_axes(view: View) -> NDArray[np.float64]:
    """Return the rotation (3, 3) from camera axes to the viewer's own: right, down, away."""
    ca, sa = np.cos(view.azimuth), np.sin(view.azimuth)
    ce, se = np.cos(view.elevation), np.sin(view.elevation)
    right = np.array([ca, 0.0, sa])
    level, down = np.array([-sa, 0.0, ca]), np.array([0.0, 1.0, 0.0])
    return np.stack([right, ce * down - se * level, ce * level + se * down])


def bones(joints: NDArray[Any]) -> tuple[NDArray[np.float64], list[str]]:
    """Return the segments (n_bones, 2, d) of a pose (13, d), with the neck, and their colours."""
    joints = np.asarray(joints, np.float64)
    segments, colours = [], []
    for a, b in LIMBS:
        segments.append([joints[J[a]], joints[J[b]]])
        colours.append(_colour(a, b))
    neck = (joints[J["r_shoulder"]] + joints[J["l_shoulder"]]) / 2
    segments.append([neck, joints[J["head"]]])
    colours.append(CENTRE)
    return np.array(segments), colours


def _colour(a: str, b: str) -> str:
    if a.startswith("r_") and b.startswith("r_"):
        return RIGHT
    return LEFT if a.startswith("l_") and b.startswith("l_") else CENTRE


def draw_pose_2d(
    ax: Axes,
    joints_2d: NDArray[Any],
    state: NDArray[np.uint8] | None = None,
    *,
    width: float = 2.0,
    alpha: float = 1.0,
) -> None:
    """Draw a 2D pose (13, 2), pixels, on axes that show the image.

    Visible joints are filled circles, occluded ones squares, completed ones hollow circles; bones
    that end at a completed joint are dashed. Joints that are missing or NaN are not drawn.

    Parameters
    ----------
    ax : Axes
        Axes to draw on.
    joints_2d : array (13, 2), pixels
        The pose.
    state : array (13,) or None
        Joint states; all visible by default.
    width : float
        Line width, points.
    alpha : float
        Opacity.
    """
    joints = np.asarray(joints_2d, np.float64)
    if state is None:
        state = np.full(len(joints), JointState.VISIBLE, np.uint8)
    known = (state != JointState.MISSING) & np.isfinite(joints).all(axis=-1)
    made = state == JointState.COMPLETED
    shoulders = [J["r_shoulder"], J["l_shoulder"]]
    ends = [(J[a], J[b]) for a, b in LIMBS] + [(J["head"], *shoulders)]
    segments, colours = bones(joints)
    for segment, colour, members in zip(segments, colours, ends, strict=True):
        if known[list(members)].all():
            style = (0, (2, 1.2)) if made[list(members)].any() else "solid"
            ax.plot(
                *segment.T,
                color=colour,
                linewidth=width,
                linestyle=style,
                alpha=alpha,
                solid_capstyle="round",
            )
    for joint, name in enumerate(_NAMES):
        if known[joint]:
            colour = _colour(name, name)
            ax.plot(
                *joints[joint],
                marker="s" if state[joint] == JointState.OCCLUDED else "o",
                markersize=2.2 * width,
                markerfacecolor="white" if made[joint] else colour,
                markeredgecolor=colour if made[joint] else "white",
                markeredgewidth=0.6 * width if made[joint] else 0.3 * width,
                alpha=alpha,
            )


def draw_pose_3d(
    ax: Axes,
    joints_3d: NDArray[Any],
    view: View = FRONT,
    *,
    floor: bool = True,
    width: float = 2.0,
    at: tuple[float, float] | None = None,
) -> None:
    """Draw a 3D pose (13, 3), metres, camera axes, as seen by the viewer, on plain axes.

    The floor is a grid of half metres at the height of the lowest joint, with the pose's shadow; it
    is level if the camera was. Near bones are drawn over far ones.

    Parameters
    ----------
    ax : Axes
        Axes to draw on.
    joints_3d : array (13, 3), metres
        The pose in camera axes.
    view : View
        Direction that the pose is seen from.
    floor : bool
        Draw the floor.
    width : float
        Line width, points.
    at : (float, float) or None
        Position of the body centre on the axes, metres, if several poses share them; the caller
        then sets the limits of the axes.
    """
    joints = np.asarray(joints_3d, np.float64)
    axes = view_axes(view)
    if floor:
        ground = float(joints[:, 1].max())
        draw_floor(ax, joints[None], ground, axes, width=width)
    draw_bones_3d(ax, joints, axes, width=width, at=at or (0.0, 0.0))
    if at is None:
        frame_axes(ax, joints @ axes.T, square=1.1)


def draw_bones_3d(
    ax: Axes,
    joints: NDArray[np.float64],
    axes: NDArray[np.float64],
    *,
    width: float = 2.0,
    at: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Draw the bones of a pose (13, 3) seen along ``axes`` (3, 3), far ones first."""
    segments, colours = bones(joints)
    seen = segments @ axes.T + [*at, 0.0]
    order = np.argsort(-seen[..., 2].mean(axis=1))
    ax.add_collection(
        LineCollection(
            [seen[i, :, :2] for i in order],
            colors=[colours[i] for i in order],
            linewidths=width,
            capstyle="round",
            zorder=3,
        )
    )
    head = (joints @ axes.T)[J["head"]] + [*at, 0.0]
    ax.plot(head[0], head[1], "o", color=CENTRE, markersize=2.5 * width, zorder=3)


def draw_floor(
    ax: Axes,
    poses: NDArray[np.float64],
    ground: float,
    axes: NDArray[np.float64],
    *,
    step: float = 0.5,
    width: float = 2.0,
) -> None:
    """Draw a level grid of ``step`` metres at y = ``ground``, and shadows of poses (n, 13, 3)."""
    flat = poses[..., [0, 2]].reshape(-1, 2)
    low = np.floor((flat.min(axis=0) - 0.25) / step) * step
    high = np.ceil((flat.max(axis=0) + 0.25) / step) * step
    xs = np.arange(low[0], high[0] + step / 2, step)
    zs = np.arange(low[1], high[1] + step / 2, step)
    lines = [[[x, ground, low[1]], [x, ground, high[1]]] for x in xs]
    lines += [[[low[0], ground, z], [high[0], ground, z]] for z in zs]
    grid = np.array(lines) @ axes.T
    ax.add_collection(LineCollection(list(grid[..., :2]), colors="#cccccc", linewidths=0.5))
    for pose in poses:
        shadow = bones(pose * [1, 0, 1] + [0, ground, 0])[0] @ axes.T
        ax.add_collection(LineCollection(list(shadow[..., :2]), colors="#bbbbbb", linewidths=width))


def frame_axes(ax: Axes, seen: NDArray[np.float64], *, square: float | None = None) -> None:
    """Return the limits, aspect and y axis (downwards) for points (..., 2 or 3) seen by the viewer.

    square : least half-width and half-height of the frame, so that several panels share a scale.
    """
    flat = seen.reshape(-1, seen.shape[-1])
    middle = (flat[:, :2].max(axis=0) + flat[:, :2].min(axis=0)) / 2
    half = np.maximum((flat[:, :2].max(axis=0) - flat[:, :2].min(axis=0)) / 2 * 1.1, 1e-3)
    if square is not None:
        half = np.full(2, max(square, half.max()))
    ax.set_xlim(middle[0] - half[0], middle[0] + half[0])
    ax.set_ylim(middle[1] + half[1], middle[1] - half[1])
    ax.set_aspect("equal")
    ax.axis("off")
