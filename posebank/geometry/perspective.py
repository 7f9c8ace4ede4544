"""The perspective camera: pinhole projection, with lens distortion where a camera has any.

Convention: camera axes are x right, y down, z away from the camera. The point (1, 0, 4) m seen
with a focal length of 800 px and the principal point at (500, 300) px is at pixel (700, 300).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MIN_DEPTH_RATIO = 0.2
"""Points nearer than this fraction of the distance are seen as if they were there."""


def _zeros(n: int) -> NDArray[np.float64]:
    return np.zeros(n)


@dataclass(frozen=True)
class PerspectiveCamera:
    """A pinhole camera in the world, with lens distortion.

    rotation : (3, 3) world to camera axes. position : (3,) of the camera in the world, metres.
    focal : pixels, one number or (2,). centre : (2,) principal point, pixels.
    radial : (3,), tangential : (2,) coefficients of the lens.

    Examples
    --------
    >>> camera = PerspectiveCamera(focal=800.0, centre=(500.0, 300.0))
    >>> camera.project(np.array([1.0, 0.0, 4.0])).tolist()
    [700.0, 300.0]
    """

    focal: ArrayLike
    centre: ArrayLike
    rotation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    position: NDArray[np.float64] = field(default_factory=lambda: _zeros(3))
    radial: NDArray[np.float64] = field(default_factory=lambda: _zeros(3))
    tangential: NDArray[np.float64] = field(default_factory=lambda: _zeros(2))

    def to_camera(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return world points (..., 3) in camera axes."""
        return (points - self.position) @ self.rotation.T

    def project(self, camera_points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return pixels (..., 2) of points (..., 3) in camera axes.

        The tangential term is Human3.6M's own: half of the usual one in the mixed products.
        """
        xy = camera_points[..., :2] / camera_points[..., 2:]
        k1, k2, k3 = self.radial
        p1, p2 = self.tangential
        r2 = (xy**2).sum(-1, keepdims=True)
        bend = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * xy[..., 1:] + p2 * xy[..., :1]
        distorted = xy * bend + r2 * np.array([p2, p1])
        result: NDArray[np.float64] = np.asarray(self.focal) * distorted + np.asarray(self.centre)
        return result


def see_from(
    joints_3d: NDArray[np.floating], distance: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Project body-centred points as a camera sees them that looks at the body centre.

    Parameters
    ----------
    joints_3d : array (..., n_points, 3), metres
        Poses in camera axes, relative to the body centre.
    distance : float or array
        Distance from the camera to the body centre, metres; broadcasts against
        (..., n_points, 1).

    Returns
    -------
    (..., n_points, 2) metres at the body centre: what is nearer to the camera is larger. This is
    ``PerspectiveCamera`` with a focal length of ``distance``, the body centre straight ahead.

    Examples
    --------
    >>> see_from(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, -1.0]]), 5.0).tolist()
    [[1.0, 0.0], [1.25, 0.0]]
    """
    return joints_3d[..., :2] / depth_ratio(joints_3d, distance)


def depth_ratio(
    joints_3d: NDArray[np.floating], distance: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the depth (..., n_points, 1) of points as a multiple of the body centre's."""
    depth = np.asarray(joints_3d, np.float64)[..., 2:]
    ratio: NDArray[np.float64] = np.maximum(1 + depth / distance, _MIN_DEPTH_RATIO)
    return ratio
