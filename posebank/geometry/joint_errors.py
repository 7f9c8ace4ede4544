"""3D errors: mean distance per joint, before and after alignment; 2D errors in pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.procrustes import align as procrustes_align
from posebank.geometry.procrustes import align_both
from posebank.skeleton import J, body_centre

Root = Literal["body_centre", "mid_hip", "none"]
Align = Literal["rigid", "similarity"]

ROOTS: tuple[Root, ...] = ("body_centre", "mid_hip", "none")
_BLOCK = 1 << 13  # poses aligned at once: the temporaries stay within the caches


def subtract_root(joints: NDArray[np.floating], root: Root) -> NDArray[np.float64]:
    """Return the joints (..., 13, 3) relative to the body centre or to the middle of the hips."""
    points: NDArray[np.float64] = np.asarray(joints, np.float64)
    if root == "none":
        return points
    if root == "body_centre":
        origin = body_centre(points)
    elif root == "mid_hip":
        origin = points[..., [J["r_hip"], J["l_hip"]], :].mean(axis=-2)
    else:
        raise ValueError(f"expected a root among {', '.join(ROOTS)}, got {root!r}")
    result: NDArray[np.float64] = points - origin[..., None, :]
    return result


def joint_errors_mm(
    pred_3d: NDArray[np.floating],
    true_3d: NDArray[np.floating],
    *,
    root: Root = "body_centre",
    align: Align | None = None,
) -> NDArray[np.float64]:
    """Return the distance of every joint, (n, 13) float64 millimetres.

    Parameters
    ----------
    pred_3d, true_3d : array (n, 13, 3), metres
        Poses in camera axes.
    root : Root
        What is subtracted from both before they are compared; of no effect with ``align``.
    align : Align or None
        None, ``rigid`` (rotation and translation: the paper's "Align.") or ``similarity``
        (a change of size as well: "PA-MPJPE" elsewhere).
    """
    if align not in (None, "rigid", "similarity"):
        raise ValueError(f"expected align None, 'rigid' or 'similarity', got {align!r}")
    errors = np.empty(np.shape(pred_3d)[:-1])
    for rows in _blocks(len(errors)):
        if align is None:
            a, b = subtract_root(pred_3d[rows], root), subtract_root(true_3d[rows], root)
        else:
            b = np.asarray(true_3d[rows], np.float64)
            a = procrustes_align(pred_3d[rows], b, scale=align == "similarity")
        errors[rows] = _distances_mm(a, b)
    return errors


def aligned_errors_mm(
    pred_3d: NDArray[np.floating], true_3d: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``joint_errors_mm``, (n, 13) each, with rigid and with similarity alignment."""
    rigid = np.empty(np.shape(pred_3d)[:-1])
    similarity = np.empty_like(rigid)
    for rows in _blocks(len(rigid)):
        target = np.asarray(true_3d[rows], np.float64)
        turned, resized = align_both(pred_3d[rows], target)
        rigid[rows], similarity[rows] = (
            _distances_mm(turned, target),
            _distances_mm(resized, target),
        )
    return rigid, similarity


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


def _distances_mm(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    difference = a - b
    result: NDArray[np.float64] = 1000 * np.sqrt(np.einsum("njd,njd->nj", difference, difference))
    return result


def mpjpe(
    pred_3d: NDArray[np.floating],
    true_3d: NDArray[np.floating],
    *,
    root: Root = "body_centre",
    align: Align | None = None,
) -> NDArray[np.float64]:
    """Return the mean distance over the 13 joints of each pose, (n,) millimetres (section 4.1).

    Examples
    --------
    >>> truth = np.zeros((1, 13, 3))
    >>> prediction = truth.copy()
    >>> prediction[0, J["head"]] = [0.0, 0.03, 0.04]  # 5 cm, of one joint in 13
    >>> mpjpe(prediction, truth).round(3).tolist()
    [3.846]
    """
    result: NDArray[np.float64] = joint_errors_mm(pred_3d, true_3d, root=root, align=align).mean(
        axis=-1
    )
    return result


def pixel_errors(
    pred_2d: NDArray[np.floating],
    true_2d: NDArray[np.floating],
    annotated: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the 2D distance of every joint (n, 13), pixels; NaN for one that is not annotated."""
    difference = np.asarray(pred_2d, np.float64) - np.asarray(true_2d, np.float64)
    return np.where(annotated, np.hypot(difference[..., 0], difference[..., 1]), np.nan)
