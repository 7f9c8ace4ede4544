"""Fill in the 2D joints that were not annotated, from a 3D pose and its camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.skeleton import JointState, is_annotated


def fit_camera(
    joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_], joints_3d: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and translation that best put 3D poses on their annotated joints.

    Parameters
    ----------
    joints_2d : (n, 13, 2) pixels; annotated : (n, 13).
    joints_3d : (n, 13, 3) metres, camera axes.

    Returns
    -------
    scale (n,) pixels per metre, at least 0; translation (n, 2) pixels.
    """
    weight = annotated.astype(np.float64)[..., None]
    count = np.maximum(weight.sum(axis=1), 1.0)
    flat = np.asarray(joints_3d, np.float64)[..., :2]
    image = np.where(annotated[..., None], joints_2d, 0.0).astype(np.float64)
    mean_flat, mean_image = (weight * flat).sum(axis=1) / count, image.sum(axis=1) / count
    flat0 = weight * (flat - mean_flat[:, None])
    image0 = weight * (image - mean_image[:, None])
    scale = (flat0 * image0).sum((1, 2)) / np.maximum((flat0**2).sum((1, 2)), 1e-12)
    scale = np.maximum(scale, 0.0)
    return scale, mean_image - scale[:, None] * mean_flat


def complete(
    joints_2d: NDArray[np.float32],
    state: NDArray[np.uint8],
    joints_3d: NDArray[np.floating],
    scale: NDArray[np.floating],
    translation: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Put the joints that are not annotated where the 3D pose says they are.

    Parameters
    ----------
    joints_2d : (n, 13, 2) pixels; state : (n, 13) ``JointState``.
    joints_3d : (n, 13, 3) metres, camera axes.
    scale : (n,) pixels per metre; translation : (n, 2) pixels.

    Returns
    -------
    joints_2d with the missing joints filled in (they may lie outside the image), and the state, 3
    for those. Annotated joints are returned bit for bit.
    """
    annotated = is_annotated(state)
    seen = np.asarray(scale)[:, None, None] * joints_3d[..., :2]
    seen = seen + np.asarray(translation)[:, None]
    filled = np.where(annotated[..., None], joints_2d, seen.astype(np.float32))
    return filled, np.where(annotated, state, np.uint8(JointState.COMPLETED)).astype(np.uint8)
