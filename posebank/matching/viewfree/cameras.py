"""The cameras that a search goes through, as its compiled loops want them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.camera_prior import (
    ELEVATIONS,
    N_ELEVATIONS,
    N_ROLLS,
    ROLLS,
    SIGMA,
    STEP,
    CameraPrior,
)
from posebank.geometry.cameras import CameraLimits

Array = NDArray[np.float64]

_PENALTIES = (0.003, 0.01, 0.02, 0.04, 0.08)
"""Penalties whose boxes are levels: of the order of a good ``error_norm`` squared."""
_NO_CONE = 4.0  # cosine and sine of a cone that excludes nothing; any number above 1


class Cameras(NamedTuple):
    """Limits and prior of the cameras.

    min_elevation, max_elevation, max_roll : the cameras allowed, radians; limited : whether any
        camera is excluded.
    table : (40, 76) control values of the prior's penalty, 0 without one, and those that the spline
        uses at an edge: from the row and the column before the first to two rows and three columns
        after the last.
    usual_elevation, usual_penalty : means over the prior's own cameras.
    levels : (n_levels, 4) nested boxes of cameras, the smallest first: lowest and highest
        elevation, largest roll, and the least penalty of cameras outside the box before (of any
        camera, for the first). The last box has all cameras allowed.
    cones : (3, 3) for the affine bound: cosine, sine of a largest roll and the least penalty
        outside the cone before; the last is of the cameras outside all cones (8 where there is
        none).
    rolls : (73, 3) the rolls in cells of 5 degrees, for the bounds of single poses: the direction
        of the up axis in the image at the lowest roll of a cell (the last row ends the last cell),
        and the least penalty of the cameras of the cell (inf where none is allowed).
    lower_rolls : (72, 2) the next cell with a lower penalty, upwards and downwards; -1 for none.
    has_rolls : whether any cell has a penalty.
    """

    min_elevation: float
    max_elevation: float
    max_roll: float
    limited: bool
    has_prior: bool
    table: Array
    usual_elevation: float
    usual_penalty: float
    levels: Array
    cones: Array
    has_cones: bool
    rolls: Array
    lower_rolls: NDArray[np.int64]
    has_rolls: bool


def cameras_to_search(limits: CameraLimits, prior: CameraPrior | None) -> Cameras:
    """Return the cameras within limits, with a prior or none."""
    table = np.zeros((N_ELEVATIONS, N_ROLLS)) if prior is None else np.array(prior.table)
    levels = _levels(limits, table)
    cones = _cones(levels)
    rolls = _rolls(limits, table)
    usual_elevation, usual_penalty = _usual(limits, table)
    return Cameras(
        min_elevation=limits.min_elevation,
        max_elevation=limits.max_elevation,
        max_roll=limits.max_roll,
        limited=not limits.is_free,
        has_prior=prior is not None,
        table=np.pad(np.pad(table, ((1, 2), (0, 0)), "edge"), ((0, 0), (1, 3)), "wrap"),
        usual_elevation=usual_elevation,
        usual_penalty=usual_penalty,
        levels=levels,
        cones=cones,
        has_cones=bool((cones[:2, 0] <= 1).any() or cones[2, 2] > 0),
        rolls=rolls,
        lower_rolls=_lower_rolls(rolls[:-1, 2]),
        has_rolls=bool((rolls[:-1, 2] > 0).any()),
    )


def _usual(limits: CameraLimits, table: Array) -> tuple[float, float]:
    """Return the mean elevation and penalty of the cameras of a prior, within limits."""
    allowed = (limits.min_elevation <= ELEVATIONS) & (limits.max_elevation >= ELEVATIONS)
    if not allowed.any():
        return 0.5 * (limits.min_elevation + limits.max_elevation), float(table.min())
    share = np.exp(-table / (2 * SIGMA**2)) * (allowed * np.cos(ELEVATIONS))[:, None]
    share[:, np.abs(ROLLS) > limits.max_roll] = 0.0
    share /= share.sum()
    return float((share.sum(axis=1) * ELEVATIONS).sum()), float((share * table).sum())


def _cell_minima(table: Array) -> Array:
    """Return a lower bound (36, 72) of the spline in each cell of the table.

    The least of the cell's 16 Bezier control values, whose convex hull has the spline in it.
    """
    rows = np.clip(np.arange(N_ELEVATIONS - 1)[:, None] + np.arange(-1, 3), 0, N_ELEVATIONS - 1)
    columns = (np.arange(N_ROLLS)[:, None] + np.arange(-1, 3)) % N_ROLLS
    to_bezier = np.array([[1, 4, 1, 0], [0, 4, 2, 0], [0, 2, 4, 0], [0, 1, 4, 1]]) / 6
    values = table[rows[:, :, None, None], columns]  # (36, 4, 72, 4)
    result: Array = np.einsum("ai,ribj,cj->rabc", to_bezier, values, to_bezier).min(axis=(1, 3))
    return result


def _levels(limits: CameraLimits, table: Array) -> Array:
    """Return the levels of ``Cameras``."""
    least = _cell_minima(table)
    low, high, roll = limits.min_elevation, limits.max_elevation, limits.max_roll
    # The farthest roll from 0 in each column of cells.
    far = np.maximum(np.abs(ROLLS), np.abs(ROLLS + STEP))
    levels: list[tuple[float, ...]] = []
    before = float(least.min())
    for penalty in _PENALTIES:
        rows, columns = np.nonzero(least < penalty)
        if penalty <= before or not len(rows):
            continue
        box = (
            max(low, ELEVATIONS[rows.min()]),
            min(high, ELEVATIONS[rows.max()] + STEP),
            min(roll, far[columns].max()),
        )
        whole = box == (low, high, roll)
        if whole or not box[0] < box[1]:
            continue
        if not levels or box != levels[-1][:3]:
            levels.append((*box, before))
        before = penalty
    levels.append((low, high, roll, before))
    return np.array(levels)


def _cones(levels: Array) -> Array:
    """Return the cones of ``Cameras``: of two levels at most whose rolls are below 90 degrees."""
    cones = np.array([[_NO_CONE, 0.0, 8.0], [_NO_CONE, 0.0, 8.0], [0.0, 0.0, 0.0]])
    narrow = [i for i in range(len(levels)) if levels[i, 2] < math.pi / 2 - 1e-6]
    if not narrow:
        cones[2, 2] = levels[0, 3]
        return cones
    last = narrow[-1]
    chosen = sorted({narrow[len(narrow) // 3], last})
    for place, i in enumerate(chosen):
        outside = levels[0, 3] if place == 0 else levels[chosen[0] + 1, 3]
        cones[place] = math.cos(levels[i, 2]), math.sin(levels[i, 2]), outside
    cones[2, 2] = levels[last + 1, 3] if last + 1 < len(levels) else 8.0
    return cones


def _rolls(limits: CameraLimits, table: Array) -> Array:
    """Return the rolls of ``Cameras``."""
    edges = np.append(ROLLS, math.pi)
    allowed = (ELEVATIONS[:-1] <= limits.max_elevation) & (ELEVATIONS[1:] >= limits.min_elevation)
    least = _cell_minima(table)[allowed].min(axis=0)
    # A limit within a cell leaves the whole cell.
    nearest = np.minimum(np.abs(edges[:-1]), np.abs(edges[1:]))
    least[nearest > limits.max_roll] = np.inf
    return np.column_stack([np.sin(edges), -np.cos(edges), np.append(least, np.inf)])


def _lower_rolls(penalty: Array) -> NDArray[np.int64]:
    """Return the next cells of ``Cameras`` with a lower penalty."""
    n = len(penalty)
    found = np.full((n, 2), -1)
    for cell in range(n):
        for way, step in enumerate((1, -1)):
            others = (cell + step * np.arange(1, n)) % n
            lower = others[penalty[others] < penalty[cell]]
            if len(lower):
                found[cell, way] = lower[0]
    return found
