"""Several people in one 3D scene (Figure 7 of the paper).

3D poses are relative to each body's own centre. Each gets the displacement in front of the camera
that minimises its reprojection error: the distance between its 2D pose and the projection of its
displaced 3D pose. The camera is not known; one is assumed: a perspective camera looking at the
middle of the image, with a focal length of ``FOCAL`` x the longer side of the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.optimize import least_squares

from posebank.geometry.perspective import PerspectiveCamera
from posebank.images import read_image
from posebank.report.drawing import (
    FRONT,
    View,
    draw_bones_3d,
    draw_floor,
    draw_pose_2d,
    frame_axes,
    view_axes,
)
from posebank.report.images import new_figure, save_figure
from posebank.types import Predictions

FOCAL = 1.2
"""About 45 degrees across the longer side."""

OBLIQUE = View(np.pi / 4, np.pi / 9)


def displacements(
    joints_2d: NDArray[np.floating],
    joints_3d: NDArray[np.floating],
    width: float,
    height: float,
    focal: float | None = None,
) -> NDArray[np.float64]:
    """Return where each body's centre is in camera axes, (n, 3) metres (caption of Figure 7).

    Parameters
    ----------
    joints_2d : array (n, 13, 2), pixels
        Poses in the image.
    joints_3d : array (n, 13, 3), metres
        The same poses in camera axes, relative to the body centre.
    width, height : float
        Size of the image, pixels; its middle is the principal point.
    focal : float or None
        Focal length, pixels; ``FOCAL`` x the longer side by default.
    """
    focal = FOCAL * max(width, height) if focal is None else focal
    camera = PerspectiveCamera(focal, (width / 2, height / 2))
    places = np.zeros((len(joints_2d), 3))
    for row, (points, pose) in enumerate(zip(joints_2d, joints_3d, strict=True)):
        seen = np.asarray(points, np.float64)
        body = np.asarray(pose, np.float64)

        def residual(
            place: NDArray[np.float64],
            body: NDArray[np.float64] = body,
            seen: NDArray[np.float64] = seen,
        ) -> NDArray[np.float64]:
            return np.asarray((camera.project(body + place) - seen).ravel())

        nearest = 0.1 - body[:, 2].min()  # every joint stays in front of the camera
        start = _weak_perspective(seen - np.asarray(camera.centre), body, focal)
        start[2] = max(start[2], nearest + 0.1)
        bounds = ([-np.inf, -np.inf, nearest], [np.inf, np.inf, np.inf])
        places[row] = least_squares(residual, start, bounds=bounds).x
    return places


def _weak_perspective(
    seen: NDArray[np.float64], body: NDArray[np.float64], focal: float
) -> NDArray[np.float64]:
    """Start: the scale that maps the body's x and y onto the 2D pose gives the depth."""
    flat = body[:, :2] - body[:, :2].mean(axis=0)
    image = seen - seen.mean(axis=0)
    scale = max(float((flat * image).sum() / max((flat**2).sum(), 1e-12)), 1e-3 * focal)
    shift = seen.mean(axis=0) / scale - body[:, :2].mean(axis=0)
    return np.array([*shift, focal / scale])


def prediction_picture(
    image: Path | NDArray[np.uint8], predictions: Predictions, path: Path
) -> Path:
    """Return a PNG of the image with the 2D poses, and all 3D poses in one scene from two sides.

    Parameters
    ----------
    image : Path or array
        A file, or RGB (height, width, 3) uint8.
    predictions : Predictions
        The poses of this image that are to be drawn.
    path : Path
        File to write.
    """
    pixels = read_image(image) if isinstance(image, Path) else image
    height, width = pixels.shape[:2]
    shape = height / width
    figure = new_figure(15, min(max(5 * shape, 4), 9))
    panels = figure.subplots(1, 3)
    panels[0].imshow(pixels, extent=(0, width, height, 0))
    for joints in predictions.joints_2d:
        draw_pose_2d(panels[0], joints)
    panels[0].set_xlim(0, width)
    panels[0].set_ylim(height, 0)
    panels[0].axis("off")
    poses = np.asarray(predictions.joints_3d, np.float64)
    if not len(poses):
        for panel in panels[1:]:
            panel.axis("off")
        panels[0].set_title("nobody found", fontsize=9)
        return save_figure(figure, path)
    scene = poses + displacements(predictions.joints_2d, poses, width, height)[:, None]
    for panel, view, name in zip(panels[1:], (FRONT, OBLIQUE), ("front", "side"), strict=True):
        draw_scene(panel, scene, view)
        panel.set_title(f"3D, {name}", fontsize=9)
    scores = ", ".join(f"{s:.2f}" for s in predictions.score)
    panels[0].set_title(f"scores {scores}", fontsize=9)
    return save_figure(figure, path)


def draw_detections(
    flat: Axes,
    solid: Axes,
    image: NDArray[np.uint8] | None,
    predictions: Predictions,
    around: NDArray[np.floating],
) -> None:
    """Draw the poses of one image: in 2D on the image, and in 3D in one scene from the front.

    Parameters
    ----------
    flat : Axes
        Axes of the image.
    solid : Axes
        Axes of the 3D scene.
    image : array or None
        RGB (height, width, 3); without it the 2D poses are drawn on grey, over the extent of
        ``around``.
    predictions : Predictions
        The poses of this image that are to be drawn.
    around : array (n, 13, 2), pixels
        Joints of the people who are known to be there.
    """
    if image is not None:
        height, width = image.shape[:2]
        flat.imshow(image, extent=(0, width, height, 0))
    else:
        width, height = (int(v) for v in np.nanmax(around, axis=(0, 1)) * 1.1 + 1)
        flat.add_patch(Rectangle((0, 0), width, height, color="#eeeeee"))
    for joints in predictions.joints_2d:
        draw_pose_2d(flat, joints)
    flat.set_xlim(0, width)
    flat.set_ylim(height, 0)
    flat.set_aspect("equal")
    known = np.isfinite(predictions.joints_2d).all(axis=(1, 2))
    known &= np.isfinite(predictions.joints_3d).all(axis=(1, 2))
    if not known.any():
        solid.text(0.5, 0.5, "nobody in 3D", ha="center", transform=solid.transAxes, fontsize=9)
        return
    poses = np.asarray(predictions.joints_3d[known], np.float64)
    scene = poses + displacements(predictions.joints_2d[known], poses, width, height)[:, None]
    draw_scene(solid, scene, OBLIQUE)


def draw_scene(ax: Axes, scene: NDArray[np.float64], view: View) -> None:
    """Draw people (n, 13, 3), camera axes, far ones first, over their common floor."""
    axes = view_axes(view)
    middle = scene.reshape(-1, 3).mean(axis=0)
    scene = scene - middle
    # Metres, but a scene may be deep: the grid gets coarser with it.
    step = 0.5 * 2.0 ** max(0, round(np.log2(np.ptp(scene.reshape(-1, 3), axis=0).max() / 5)))
    draw_floor(ax, scene, float(scene[..., 1].max()), axes, step=step)
    for row in np.argsort(-(scene @ axes.T)[..., 2].mean(axis=1)):
        draw_bones_3d(ax, scene[row], axes)
    frame_axes(ax, scene @ axes.T, square=1.1)
