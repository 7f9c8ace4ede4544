"""Fill in the 2D joints that were not annotated, from a 3D pose and its camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.centring import centre_on
from posebank.geometry.perspective import see_from
from posebank.skeleton import JointState, is_annotated

DISTANCE_M = 5.0
"""Distance of the camera that labels are completed in: about that of most photographs."""


def project(joints_3d: NDArray[np.floating]) -> NDArray[np.float64]:
    """Project poses (..., 13, 3) into a perspective camera at ``DISTANCE_M``.

    From another distance of a few metres the image is much the same; an orthographic image differs
    more.

    Returns
    -------
    (..., 13, 2)
        Metres at the body centre.
    """
    return see_from(joints_3d, DISTANCE_M)


def fit_camera(
    joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_], flat: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the scale and translation of projected poses to the annotated joints.

    Parameters
    ----------
    joints_2d : (..., 13, 2)
        Pixels, read where annotated.
    annotated : array (..., 13)
        Joints that are annotated.
    flat : (..., 13, 2)
        Projected joints, metres (orthographic, or of ``project``).

    Returns
    -------
    scale : (...)
        Pixels per metre, at least 0.
    translation : (..., 2)
        Pixels.
    """
    flat0, mean_flat = centre_on(flat, annotated)
    image0, mean_image = centre_on(joints_2d, annotated)
    scale = (flat0 * image0).sum((-1, -2)) / np.maximum((flat0**2).sum((-1, -2)), 1e-12)
    scale = np.maximum(scale, 0.0)
    return scale, mean_image - scale[..., None] * mean_flat


def complete(
    joints_2d: NDArray[np.float32], state: NDArray[np.uint8], joints_3d: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Fill in the joints that are not annotated from the 3D pose.

    Parameters
    ----------
    joints_2d : (n, 13, 2)
        Pixels.
    state : (n, 13)
        ``JointState``.
    joints_3d : (n, 13, 3)
        Metres, camera axes, body-centred.

    Returns
    -------
    joints_2d : (n, 13, 2)
        With the missing joints filled in, perhaps outside the image. Annotated joints are returned
        bit for bit.
    state : (n, 13)
        ``JointState.COMPLETED`` for the joints filled in.
    """
    annotated = is_annotated(state)
    flat = project(joints_3d)
    scale, translation = fit_camera(joints_2d, annotated, flat)
    projected = scale[:, None, None] * flat + translation[:, None]
    filled = np.where(annotated[..., None], joints_2d, projected.astype(np.float32))
    return filled, np.where(annotated, state, np.uint8(JointState.COMPLETED)).astype(np.uint8)
