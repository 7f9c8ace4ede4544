"""Forward kinematics of articulated skeletons: channel values of each frame -> points in space.

One form serves every format. Node ``i`` sits in the frame of its parent ``p``::

    origin_i = origin_p + H_p @ (offset_i + translation channels)
    H_i      = H_p @ rest_i @ R_1(angle_1) @ R_2(angle_2) @ ...

with elementary rotations in the order listed, and a point attached to node ``i`` is
``origin_i + H_i @ point``.

- BVH: ``rest`` is the identity, the rotations are the CHANNELS as listed.
- ASF: with ``C_i`` the bone's axis rotation, ``G_i = G_p C_i M_i C_i^-1``. Put ``H_i = G_i C_i``:
  then ``rest_i = C_p^-1 C_i``, and an offset given in the global rest axes becomes
  ``C_p^-1 offset``. The conjugation costs nothing per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.geometry.rotations import AXES


@dataclass(frozen=True)
class Node:
    """A rotating frame of a skeleton.

    parent : position of the parent in the list of nodes, before this one; -1 for the root.
    offset : (3,) origin in the parent's frame, in the file's length unit.
    rest : (3, 3) constant rotation before the channels.
    rotations : (axis, channel) pairs, ``axis`` a letter of ``xyz``, in the order of the product.
    translations : (axis, channel) pairs added to ``offset``.
    """

    parent: int
    offset: NDArray[np.float64]
    rest: NDArray[np.float64]
    rotations: tuple[tuple[str, int], ...] = ()
    translations: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Point:
    """A wanted point: fixed at ``offset`` (3,) in the frame of node ``node``."""

    node: int
    offset: NDArray[np.float64]


def needed_nodes(nodes: Sequence[Node], points: Sequence[Point]) -> list[int]:
    """Return the nodes that the points hang from, parents first."""
    needed: set[int] = set()
    for point in points:
        node = point.node
        while node >= 0 and node not in needed:
            needed.add(node)
            node = nodes[node].parent
    return sorted(needed)


class Chain:
    """Forward kinematics of chosen points, prepared once for any number of motions.

    Parameters
    ----------
    nodes : parents before children. Nodes that no point hangs from cost nothing.
    points : the wanted points.
    """

    def __init__(self, nodes: Sequence[Node], points: Sequence[Point]) -> None:
        kept = needed_nodes(nodes, points)
        where = {node: index for index, node in enumerate(kept)}
        rest = np.array([nodes[k].rest for k in kept], np.float64).reshape(-1, 3, 3)
        turns = [(AXES[a], c) for k in kept for a, c in nodes[k].rotations]
        shifts = [(AXES[a], c) for k in kept for a, c in nodes[k].translations]
        first_turn = np.cumsum([0] + [len(nodes[k].rotations) for k in kept])
        first_shift = np.cumsum([0] + [len(nodes[k].translations) for k in kept])
        self._arrays = (
            np.array([where.get(nodes[k].parent, -1) for k in kept], np.int64),
            np.array([nodes[k].offset for k in kept], np.float64).reshape(-1, 3),
            rest,
            np.array([not np.array_equal(r, np.eye(3)) for r in rest], np.bool_),
            first_turn.astype(np.int64),
            np.array(turns, np.int64).reshape(-1, 2),
            first_shift.astype(np.int64),
            np.array(shifts, np.int64).reshape(-1, 2),
            np.array([where[p.node] for p in points], np.int64),
            np.array([p.offset for p in points], np.float64).reshape(-1, 3),
        )

    def positions(
        self, channels: NDArray[np.float64], *, radians_per_unit: float = 1.0
    ) -> NDArray[np.float64]:
        """Return the positions of the points in every frame.

        Parameters
        ----------
        channels : array (n_frames, n_channels)
            Values as in the file.
        radians_per_unit : float
            Unit of the angles: pi / 180 for degrees.

        Returns
        -------
        (n_frames, n_points, 3) in the length unit of the offsets.
        """
        values = np.ascontiguousarray(channels, np.float64)
        return _forward(values, float(radians_per_unit), *self._arrays)


def forward(
    nodes: Sequence[Node],
    points: Sequence[Point],
    channels: NDArray[np.float64],
    *,
    radians_per_unit: float = 1.0,
) -> NDArray[np.float64]:
    """Return the positions (n_frames, n_points, 3) of the points in one motion; see ``Chain``."""
    return Chain(nodes, points).positions(channels, radians_per_unit=radians_per_unit)


@njit(cache=True, nogil=True)
def _forward(  # noqa: PLR0912
    channels: NDArray[np.float64],
    radians_per_unit: float,
    parent: NDArray[np.int64],
    offset: NDArray[np.float64],
    rest: NDArray[np.float64],
    has_rest: NDArray[np.bool_],
    first_turn: NDArray[np.int64],
    turns: NDArray[np.int64],
    first_shift: NDArray[np.int64],
    shifts: NDArray[np.int64],
    point_node: NDArray[np.int64],
    point_offset: NDArray[np.float64],
) -> NDArray[np.float64]:
    n_frames, n_nodes, n_points = channels.shape[0], parent.shape[0], point_node.shape[0]
    out = np.empty((n_frames, n_points, 3))
    h = np.empty((n_nodes, 3, 3))
    origin = np.empty((n_nodes, 3))
    local = np.empty(3)
    for f in range(n_frames):
        for n in range(n_nodes):
            for i in range(3):
                local[i] = offset[n, i]
            for t in range(first_shift[n], first_shift[n + 1]):
                local[shifts[t, 0]] += channels[f, shifts[t, 1]]
            p = parent[n]
            if p < 0:
                for i in range(3):
                    origin[n, i] = local[i]
                    for j in range(3):
                        h[n, i, j] = rest[n, i, j]
            else:
                for i in range(3):
                    a, b, c = h[p, i, 0], h[p, i, 1], h[p, i, 2]
                    origin[n, i] = origin[p, i] + a * local[0] + b * local[1] + c * local[2]
                    if has_rest[n]:
                        for j in range(3):
                            h[n, i, j] = a * rest[n, 0, j] + b * rest[n, 1, j] + c * rest[n, 2, j]
                    else:
                        h[n, i, 0], h[n, i, 1], h[n, i, 2] = a, b, c
            for t in range(first_turn[n], first_turn[n + 1]):
                angle = channels[f, turns[t, 1]] * radians_per_unit
                cosine, sine = np.cos(angle), np.sin(angle)
                axis = turns[t, 0]
                # A rotation about an axis mixes the two columns that follow it.
                u, v = (axis + 1) % 3, (axis + 2) % 3
                for i in range(3):
                    a, b = h[n, i, u], h[n, i, v]
                    h[n, i, u] = a * cosine + b * sine
                    h[n, i, v] = b * cosine - a * sine
        for q in range(n_points):
            n = point_node[q]
            for i in range(3):
                out[f, q, i] = (
                    origin[n, i]
                    + h[n, i, 0] * point_offset[q, 0]
                    + h[n, i, 1] * point_offset[q, 1]
                    + h[n, i, 2] * point_offset[q, 2]
                )
    return out
