"""Fill in the 2D joints that were not annotated, from a 3D pose and its camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.centring import centre_on
from posebank.geometry.perspective import see_from
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
    return see_from(joints_3d, DISTANCE_M)


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
    flat0, mean_flat = centre_on(flat, annotated)
    image0, mean_image = centre_on(joints_2d, annotated)
    scale = (flat0 * image0).sum((-1, -2)) / np.maximum((flat0**2).sum((-1, -2)), 1e-12)
    scale = np.maximum(scale, 0.0)
    return scale, mean_image - scale[..., None] * mean_flat


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
