"""Fill in the 2D joints that were not annotated, from a 3D pose and its camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.skeleton import JointState, is_annotated

DISTANCE_M = 5.0
"""How far photographers stand: the distance of the camera that completes and labels."""


def project(joints_3d: NDArray[np.floating]) -> NDArray[np.float64]:
    """Poses (..., 13, 3), metres, camera axes, body-centred, seen from ``DISTANCE_M``.

    Returns
    -------
    (..., 13, 2): metres at the body, what is nearer larger. From any other distance of a few metres
    a person looks much the same, and less so in an orthographic camera.
    """
    depth = np.asarray(joints_3d, np.float64)[..., 2:]
    result: NDArray[np.float64] = joints_3d[..., :2] / np.maximum(1 + depth / DISTANCE_M, 0.2)
    return result


def fit_camera(
    joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_], flat: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and translation that best put projected poses on their annotated joints.

    Parameters
    ----------
    joints_2d : (..., 13, 2) pixels; annotated : (..., 13).
    flat : (..., 13, 2) metres: the x and y of the joints, or what ``project`` makes of them.

    Returns
    -------
    scale (...) pixels per metre, at least 0; translation (..., 2) pixels.
    """
    weight = annotated.astype(np.float64)[..., None]
    count = np.maximum(weight.sum(axis=-2, keepdims=True), 1.0)
    image = np.where(annotated[..., None], joints_2d, 0.0).astype(np.float64)
    mean_flat = (weight * flat).sum(axis=-2, keepdims=True) / count
    mean_image = image.sum(axis=-2, keepdims=True) / count
    flat0, image0 = weight * (flat - mean_flat), weight * (image - mean_image)
    scale = (flat0 * image0).sum((-1, -2)) / np.maximum((flat0**2).sum((-1, -2)), 1e-12)
    scale = np.maximum(scale, 0.0)
    return scale, (mean_image - scale[..., None, None] * mean_flat)[..., 0, :]


def complete(
    joints_2d: NDArray[np.float32], state: NDArray[np.uint8], joints_3d: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Put the joints that are not annotated where the 3D pose says they are.

    Parameters
    ----------
    joints_2d : (n, 13, 2) pixels; state : (n, 13) ``JointState``.
    joints_3d : (n, 13, 3) metres, camera axes, body-centred.

    Returns
    -------
    joints_2d with the missing joints filled in (they may lie outside the image), and the state, 3
    for those. Annotated joints are returned bit for bit.
    """
    annotated = is_annotated(state)
    flat = project(joints_3d)
    scale, translation = fit_camera(joints_2d, annotated, flat)
    seen = scale[:, None, None] * flat + translation[:, None]
    filled = np.where(annotated[..., None], joints_2d, seen.astype(np.float32))
    return filled, np.where(annotated, state, np.uint8(JointState.COMPLETED)).astype(np.uint8)
