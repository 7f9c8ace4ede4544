"""Resampling of clips without aliasing, limbs keeping their lengths."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posebank.mocap.joints import RIGID_LIMBS, limb_lengths
from posebank.skeleton import J


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
    joints : (n_frames, 13, 3); frames : (n_frames,) increasing frame numbers.
    fps, target_fps : rates; a source that is not faster than the target is returned as it is.
    take : (n_frames,) frames of different takes are resampled apart too.

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


def with_limb_lengths(
    joints: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Poses (n, 13, 3) whose ``RIGID_LIMBS`` have the given lengths (n, 9), directions kept.

    The shoulders and the middle of the hips stay where they are. With the lengths of one person it
    retargets poses to that person's limbs.
    """
    result = joints.copy()
    size = {limb: lengths[:, i, None] for i, limb in enumerate(RIGID_LIMBS)}

    def vector(outer: str, inner: str) -> NDArray[np.float64]:
        v = joints[:, J[outer]] - joints[:, J[inner]]
        return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)

    middle = (joints[:, J["r_hip"]] + joints[:, J["l_hip"]]) / 2
    half = size["r_hip", "l_hip"] / 2 * vector("r_hip", "l_hip")
    result[:, J["r_hip"]], result[:, J["l_hip"]] = middle + half, middle - half
    for side in "rl":
        for outer, inner in (("knee", "hip"), ("ankle", "knee"), ("elbow", "shoulder"),
                             ("wrist", "elbow")):  # fmt: skip
            limb = (f"{side}_{outer}", f"{side}_{inner}")
            result[:, J[limb[0]]] = result[:, J[limb[1]]] + size[limb] * vector(*limb)
    return result


def _filtered(values: NDArray[np.float64], at: NDArray[np.float64], step: float) -> NDArray:
    """Values (n, d) at fractional rows ``at``, low-passed for a spacing of ``step`` rows."""
    half = 3.0 * step
    reach = math.ceil(half)
    offsets = np.arange(-reach, reach + 1)
    rows = np.floor(at).astype(np.int64)[:, None] + offsets
    distance = rows - at[:, None]
    weights = np.sinc(distance / step) * np.cos(0.5 * np.pi * np.clip(distance / half, -1, 1)) ** 2
    weights[(rows < 0) | (rows >= len(values))] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    result = np.empty((len(at), values.shape[1]))
    for begin in range(0, len(at), 1024):  # bounds the gathered block
        part = slice(begin, begin + 1024)
        gathered = values[np.clip(rows[part], 0, len(values) - 1)]
        result[part] = np.einsum("nw,nwd->nd", weights[part], gathered)
    return result
