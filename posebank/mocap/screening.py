"""Frames that cannot be: a joint that jumps, a recording that stands still."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def jumped_frames(
    body: NDArray[np.float64],
    frames: NDArray[np.int64],
    reach: float,
    short: int,
    usable: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return the frames that lie between two jumps, and the takes that jumps divide a clip into.

    Parameters
    ----------
    body : array (n_frames, 13, 3)
        Joints relative to the body centre.
    frames : array (n_frames,)
        Frame numbers.
    reach : float
        Largest distance that a joint moves from one frame to the next.
    short : int
        A stretch of fewer frames between jumps is damage; a longer one is another take,
        which is kept but must not be mixed with its neighbours.
    usable : array (n_frames,)
        Frames that are screened.

    Returns
    -------
    (n_frames,) set aside, and (n_frames,) number of the take.
    """
    bad = np.zeros(len(frames), np.bool_)
    take = np.zeros(len(frames), np.int64)
    rows = np.flatnonzero(usable)
    if len(rows) < 2:
        return bad, take
    jumps = np.flatnonzero(_furthest_moves(body, rows) > reach * np.diff(frames[rows]))
    if len(jumps) == 0:
        return bad, take
    starts = np.concatenate([[0], jumps + 1])
    ends = np.concatenate([jumps + 1, [len(rows)]])
    longest = (ends - starts).max()
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        take[rows[start:end]] = number
        bad[rows[start:end]] = end - start < min(longest, short)
    return bad, take


def still_frames(joints: NDArray[np.float64], allowed: int) -> NDArray[np.bool_]:
    """Mark frames (n_frames,) after the first ``allowed`` ones without motion."""
    if len(joints) < 2:
        return np.zeros(len(joints), np.bool_)
    rows = np.arange(len(joints))
    same = _furthest_moves(joints, rows) < 1e-9
    moving = np.concatenate([[True], ~same])
    since = rows - np.maximum.accumulate(np.where(moving, rows, 0))
    return np.asarray(since >= allowed)


@njit(cache=True, nogil=True)
def _furthest_moves(joints: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far the joint that moves most goes from each of the rows (n,) to the next, (n - 1,)."""
    moves = np.zeros(len(rows) - 1)
    for i in range(len(rows) - 1):
        before, after = joints[rows[i]], joints[rows[i + 1]]
        for j in range(joints.shape[1]):
            square = 0.0
            for axis in range(joints.shape[2]):
                square += (after[j, axis] - before[j, axis]) ** 2
            moves[i] = max(moves[i], square)
    return np.sqrt(moves)
