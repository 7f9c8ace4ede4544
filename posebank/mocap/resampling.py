"""Resampling of clips without aliasing, limbs keeping their lengths."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.mocap.limbs import limb_lengths, with_limb_lengths

_HALF_WINDOW = 3.0  # output intervals


def resample(
    joints: NDArray[np.float64],
    frames: NDArray[np.int64],
    fps: float,
    target_fps: float,
    *,
    take: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Resample body-centred joints without aliasing.

    Every output is a weighted mean of the frames around it: a sinc that passes what ``target_fps``
    can represent, under a Hann window of three output intervals to each side, with weights that sum
    to one. A mean of directions is shorter than they are: the lengths of the limbs are filtered
    too, and put back outwards from the hips and shoulders. Stretches with lost frames between
    them are resampled apart.

    Parameters
    ----------
    joints : array (n_frames, 13, 3)
        Joint positions.
    frames : array (n_frames,)
        Increasing frame numbers.
    fps, target_fps : float
        Rates; a source that is not faster than the target is returned as it is.
    take : array (n_frames,) or None
        Frames of different takes are resampled apart too.

    Returns
    -------
    joints (n, 13, 3), the source frame nearest to each, and times in seconds since frame 0.
    """
    if target_fps >= fps or len(frames) == 0:
        return joints, frames, frames / fps
    step = fps / target_fps
    broken = np.diff(frames) != 1
    if take is not None:
        broken |= np.diff(take) != 0
    breaks = np.flatnonzero(broken) + 1
    lengths = limb_lengths(joints)
    out, out_at = [], []
    for rows in np.split(np.arange(len(frames)), breaks):
        first, last = int(frames[rows[0]]), int(frames[rows[-1]])
        grid = np.arange(math.ceil((first - frames[0]) / step), (last - frames[0]) // step + 1)
        at = frames[0] + grid * step
        columns = np.concatenate([joints[rows].reshape(len(rows), -1), lengths[rows]], axis=1)
        out.append(_filtered(columns, at - first, step))
        out_at.append(at)
    at = np.concatenate(out_at)
    columns = np.concatenate(out)
    n_lengths = lengths.shape[1]
    resampled = columns[:, :-n_lengths].reshape(-1, *joints.shape[1:])
    resampled = with_limb_lengths(resampled, columns[:, -n_lengths:])
    return resampled, np.floor(at + 0.5).astype(np.int64), at / fps


@njit(cache=True, nogil=True)
def _filtered(
    values: NDArray[np.float64], at: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    """Values (n, d) at fractional rows ``at``, low-passed for a spacing of ``step`` rows."""
    half = _HALF_WINDOW * step
    result = np.zeros((len(at), values.shape[1]))
    for place in range(len(at)):
        first = max(0, int(np.ceil(at[place] - half)))
        last = min(len(values) - 1, int(np.floor(at[place] + half)))
        total = 0.0
        for row in range(first, last + 1):
            x = (row - at[place]) / step
            weight = np.cos(0.5 * np.pi * x / _HALF_WINDOW) ** 2
            if x != 0.0:
                weight *= np.sin(np.pi * x) / (np.pi * x)
            total += weight
            for column in range(values.shape[1]):
                result[place, column] += weight * values[row, column]
        for column in range(values.shape[1]):
            result[place, column] /= total
    return result
