"""Scaled-orthographic cameras.

Convention
----------
World: right-handed, y up, metres. Camera: x right, y down, z away from the camera. A camera is
``R = Rz(roll) Rx(elevation) diag(1, -1, -1) Ry(azimuth)``; at angles (0, 0, 0) it looks along world
-z, so the world point (1, 2, 3) is at camera (1, -2, -3). A positive elevation looks down from
above. Image: ``x = scale * (R X)[:2] + translation``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class CameraLimits:
    """Cameras allowed: azimuth is free, elevation and roll lie within bounds (radians).

    The paper (section 4.2) says only "random virtual views"; the default is what photographers
    do: from a little below to well above, nearly upright. ``CameraLimits.free()`` allows all.
    """

    min_elevation: float = -np.pi / 6
    max_elevation: float = np.pi / 3
    max_roll: float = np.pi / 9

    def __post_init__(self) -> None:
        if not -np.pi / 2 <= self.min_elevation <= self.max_elevation <= np.pi / 2:
            raise ValueError(
                "expected -pi/2 <= min_elevation <= max_elevation <= pi/2, got "
                f"{self.min_elevation} and {self.max_elevation}"
            )
        if not 0 <= self.max_roll <= np.pi:
            raise ValueError(f"expected max_roll in [0, pi], got {self.max_roll}")

    @staticmethod
    def free() -> CameraLimits:
        """Return the limits that allow every rotation."""
        return CameraLimits(-np.pi / 2, np.pi / 2, np.pi)

    @property
    def is_free(self) -> bool:
        """Whether no camera is excluded."""
        return self == CameraLimits.free()


def camera_rotation(
    azimuth: NDArray[np.float64] | float,
    elevation: NDArray[np.float64] | float,
    roll: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Return the rotation (..., 3, 3) from world to camera axes for angles (...) in radians.

    Examples
    --------
    A camera that looks along the world's -z axis sees y up and x to the right:

    >>> camera_rotation(0.0, 0.0).round(12).astype(int).tolist()
    [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    """
    az, el, ro = np.broadcast_arrays(
        np.asarray(azimuth, float), np.asarray(elevation, float), np.asarray(roll, float)
    )
    zero, one = np.zeros_like(az), np.ones_like(az)

    def matrix(*rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    ca, sa, ce, se, cr, sr = np.cos(az), np.sin(az), np.cos(el), np.sin(el), np.cos(ro), np.sin(ro)
    about_y = matrix([ca, zero, sa], [zero, one, zero], [-sa, zero, ca])
    about_x = matrix([one, zero, zero], [zero, ce, -se], [zero, se, ce])
    about_z = matrix([cr, -sr, zero], [sr, cr, zero], [zero, zero, one])
    return about_z @ about_x @ _FLIP @ about_y


def elevation_roll(
    rotation: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the elevation in [-pi/2, pi/2] and roll in (-pi, pi] of cameras (..., 3, 3).

    Straight above or below, roll is not determined by the up axis; it is then whatever
    ``arctan2`` returns.

    Examples
    --------
    >>> elevation, roll = elevation_roll(camera_rotation(1.0, 0.3, -0.2))
    >>> round(float(elevation), 6), round(float(roll), 6)
    (0.3, -0.2)
    """
    up = rotation[..., :, 1]
    elevation = -np.arcsin(np.clip(up[..., 2], -1, 1))
    return elevation, np.arctan2(up[..., 0], -up[..., 1])


def within_limits(
    rotation: NDArray[np.float64], limits: CameraLimits, tolerance: float = 1e-9
) -> NDArray[np.bool_]:
    """Return which of the cameras (..., 3, 3) the limits allow."""
    elevation, roll = elevation_roll(rotation)
    return (
        (elevation >= limits.min_elevation - tolerance)
        & (elevation <= limits.max_elevation + tolerance)
        & (np.abs(roll) <= limits.max_roll + tolerance)
    )


def sample_rotations(
    n_views: int, limits: CameraLimits, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return random cameras (n_views, 3, 3), uniform on the sphere within the limits.

    Azimuth and roll are uniform; elevation has density proportional to its cosine.
    """
    azimuth = rng.uniform(-np.pi, np.pi, n_views)
    low, high = np.sin(limits.min_elevation), np.sin(limits.max_elevation)
    elevation = np.arcsin(rng.uniform(low, high, n_views))
    roll = rng.uniform(-limits.max_roll, limits.max_roll, n_views)
    return camera_rotation(azimuth, elevation, roll)


def project(
    joints: NDArray[np.float64],
    rotation: NDArray[np.float64],
    scale: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Project joints (..., n_joints, 3) to image points (..., n_joints, 2).

    rotation (..., 3, 3), scale (...), translation (..., 2).

    Examples
    --------
    >>> joint = np.array([[0.5, 1.0, -2.0]])
    >>> project(joint, camera_rotation(0.0, 0.0), 100.0, np.array([320.0, 240.0])).tolist()
    [[370.0, 140.0]]
    """
    camera = joints @ np.swapaxes(rotation, -1, -2)[..., :2]
    return np.asarray(scale)[..., None, None] * camera + np.asarray(translation)[..., None, :]
