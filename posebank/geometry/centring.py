"""Centre points on the mean of those that are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def centre_on(
    points: NDArray[np.floating], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Subtract the mean of the points in the mask; points outside it become 0.

    Parameters
    ----------
    points : array (..., n_points, d)
        Points, read where ``mask`` is true.
    mask : array (..., n_points)
        Points that count.

    Returns
    -------
    The centred points (..., n_points, d), and their mean (..., d), 0 for an empty mask.

    Examples
    --------
    >>> centred, mean = centre_on(np.array([[1.0], [3.0], [np.nan]]), np.array([1, 1, 0], bool))
    >>> centred.ravel().tolist(), mean.tolist()
    ([-1.0, 1.0, 0.0], [2.0])
    """
    known = np.where(mask[..., None], points, 0.0).astype(np.float64)
    mean = known.sum(axis=-2) / np.maximum(mask.sum(axis=-1), 1)[..., None]
    return np.where(mask[..., None], known - mean[..., None, :], 0.0), mean
