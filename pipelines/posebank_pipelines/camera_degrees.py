"""Camera limits and prior from degrees, as options and configurations give them."""

from __future__ import annotations

import math
from typing import Any

from posebank.errors import SettingsError
from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits
from posebank.matching.settings import default_limits


def limits_of_matcher(matcher: str, **camera: Any) -> CameraLimits:
    """Return the limits of a matcher; what is not given keeps the matcher's default.

    Parameters
    ----------
    matcher : str
        One of ``posebank.matching.MATCHERS``.
    **camera : float or bool
        Parameters of ``limits_from_degrees``.
    """
    free = bool(camera.pop("free", False)) or default_limits(matcher).is_free
    return limits_from_degrees(**camera, free=free)


def limits_from_degrees(
    min_elevation_deg: float | None = None,
    max_elevation_deg: float | None = None,
    max_roll_deg: float | None = None,
    free: bool = False,
) -> CameraLimits:
    """Camera limits from degrees; what is not given keeps its default.

    Raises
    ------
    SettingsError
        If the limits contradict each other.
    """
    base = CameraLimits.free() if free else CameraLimits()
    low, high, roll = (
        default if value is None else math.radians(value)
        for value, default in (
            (min_elevation_deg, base.min_elevation),
            (max_elevation_deg, base.max_elevation),
            (max_roll_deg, base.max_roll),
        )
    )
    try:
        return CameraLimits(low, high, roll)
    except ValueError as error:
        found = ", ".join(f"{math.degrees(v):g}" for v in (low, high, roll))
        raise SettingsError(
            "camera limits: expected -90 <= min_elevation_deg <= max_elevation_deg <= 90 and "
            f"max_roll_deg from 0 to 180, found {found}"
        ) from error


def prior_from_degrees(
    prior_elevation_deg: float | None = None,
    prior_elevation_spread_deg: float | None = None,
    prior_roll_spread_deg: float | None = None,
) -> CameraPrior | None:
    """Camera prior from degrees, None where nothing is given.

    Raises
    ------
    SettingsError
        If only some of the three are given, or a spread is not positive.
    """
    given = (prior_elevation_deg, prior_elevation_spread_deg, prior_roll_spread_deg)
    if all(v is None for v in given):
        return None
    elevation, elevation_spread, roll_spread = (math.nan if v is None else v for v in given)
    if any(map(math.isnan, (elevation, elevation_spread, roll_spread))):
        raise SettingsError(
            "camera prior: expected elevation, elevation spread and roll spread together, found "
            f"{', '.join('none' if v is None else f'{v:g}' for v in given)}"
        )
    try:
        return CameraPrior.normal(*map(math.radians, (elevation, elevation_spread, roll_spread)))
    except ValueError as error:
        raise SettingsError(
            "camera prior: expected prior_elevation_deg from -90 to 90 and positive spreads, "
            f"degrees, found {', '.join(f'{v:g}' for v in given if v is not None)}"
        ) from error
