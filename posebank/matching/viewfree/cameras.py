"""The cameras that a search goes through, as its compiled loops want them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.geometry.cameras import CameraLimits, CameraPrior

_GRID_STEP = np.radians(15.0)


class Cameras(NamedTuple):
    """Limits and prior of the cameras, and those from which to climb to better ones.

    turns, tilts : cosine, sine and angle of the starts' azimuths (3, n_az), elevations (3, n_el).
    low, high : elevations that a climb may reach. Where nothing stops a camera at a pole, a climb
        may pass over it (beyond, elevation e is pi - e at the opposite azimuth and roll), and no
        start lies on it: there every azimuth is the same view, and a climb along one of them would
        be stuck.
    elevation_weight, roll_weight : of squared deviations (radians) in the cost squared.
    """

    turns: NDArray[np.float64]
    tilts: NDArray[np.float64]
    low: float
    high: float
    min_elevation: float
    max_elevation: float
    max_roll: float
    cos_roll: float
    sin_roll: float
    free_roll: bool
    has_prior: bool
    likely_elevation: float
    elevation_weight: float
    roll_weight: float


def cameras_to_search(limits: CameraLimits, prior: CameraPrior | None) -> Cameras:
    """The cameras within limits, with a prior or none."""
    n_az = int(np.ceil(2 * np.pi / _GRID_STEP))
    n_el = 1 + int(np.ceil((limits.max_elevation - limits.min_elevation) / _GRID_STEP - 1e-9))
    az = np.arange(n_az) * (2 * np.pi / n_az)
    low, high = limits.min_elevation, limits.max_elevation
    free_roll = limits.max_roll >= np.pi - 1e-12
    # A prior is a function of elevation and roll as they are, on this side of the pole.
    may_pass = free_roll and prior is None
    over_low, over_high = (may_pass and abs(e) >= np.pi / 2 - 1e-9 for e in (low, high))
    el = np.linspace(low + over_low * _GRID_STEP / 2, high - over_high * _GRID_STEP / 2, n_el)
    elevation_weight, roll_weight = (0.0, 0.0) if prior is None else prior.weights
    return Cameras(
        turns=np.stack([np.cos(az), np.sin(az), az]),
        tilts=np.stack([np.cos(el), np.sin(el), el]),
        low=-np.pi if over_low else low,
        high=np.pi if over_high else high,
        min_elevation=limits.min_elevation,
        max_elevation=limits.max_elevation,
        max_roll=limits.max_roll,
        cos_roll=math.cos(limits.max_roll),
        sin_roll=math.sin(limits.max_roll),
        free_roll=free_roll,
        has_prior=prior is not None,
        likely_elevation=0.0 if prior is None else prior.elevation,
        elevation_weight=elevation_weight,
        roll_weight=roll_weight,
    )
