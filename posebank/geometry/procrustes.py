"""Procrustes alignment of point sets, with optional weights or masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def align(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    scale: bool,
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Move ``source`` onto ``target`` by the best rotation and translation.

    Parameters
    ----------
    source, target : array (..., n_points, 3)
        Points, in one unit.
    scale : bool
        Also allow a change of size ("PA-MPJPE"); without it the alignment is rigid, which
        is what the LCR-Net paper reports as aligned.
    weights : array (..., n_points) or None
        Non-negative; 0 leaves a point out of the fit (it is still moved).

    Returns
    -------
    The moved ``source``, (..., n_points, 3) float64. Reflections are not allowed.

    Notes
    -----
    Kabsch / Umeyama (1991): with H = source^T target = U S V^T, R = V diag(1, 1, det) U^T.

    Examples
    --------
    >>> triangle = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]])
    >>> turned = triangle @ [[0, 1, 0], [-1, 0, 0], [0, 0, 1]] + [5, 0, 0]
    >>> bool(np.allclose(align(turned, triangle, scale=False), triangle))
    True
    """
    moved, factor, mean = _superpose(source, target, weights)
    return (moved * factor if scale else moved) + mean


def align_both(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    weights: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``align`` without and with a change of size, for little more than the price of one."""
    moved, factor, mean = _superpose(source, target, weights)
    return moved + mean, moved * factor + mean


def _superpose(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    weights: NDArray[np.floating] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The centred source turned onto the target, the best factor, the target's centre."""
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    w = np.ones(x.shape[:-1]) if weights is None else np.asarray(weights, np.float64)
    w = (w / np.maximum(w.sum(-1, keepdims=True), 1e-300))[..., None]
    mean_x, mean_y = (w * x).sum(-2, keepdims=True), (w * y).sum(-2, keepdims=True)
    x0, y0 = x - mean_x, y - mean_y
    u, s, vt = np.linalg.svd(np.swapaxes(w * x0, -1, -2) @ y0)
    sign = np.sign(np.linalg.det(u @ vt))
    flip = np.ones_like(s)
    flip[..., -1] = np.where(sign < 0, -1.0, 1.0)
    rotation = (u * flip[..., None, :]) @ vt  # row vectors: x0 @ rotation ~ y0
    variance = (w * x0**2).sum((-1, -2))
    factor = (s * flip).sum(-1) / np.maximum(variance, 1e-300)
    return x0 @ rotation, factor[..., None, None], mean_y
