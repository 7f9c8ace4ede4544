"""Camera limits from degrees, as options and configurations give them."""

from __future__ import annotations

import math

from posebank.errors import SettingsError
from posebank.geometry.cameras import CameraLimits


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

    def radians(value: float | None, default: float) -> float:
        return default if value is None else math.radians(value)

    try:
        return CameraLimits(
            radians(min_elevation_deg, base.min_elevation),
            radians(max_elevation_deg, base.max_elevation),
            radians(max_roll_deg, base.max_roll),
        )
    except ValueError as error:
        raise SettingsError(f"camera limits: {error}") from error
