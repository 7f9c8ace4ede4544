"""A camera prior: a penalty on the elevation and the roll of a camera, as a smooth table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posebank.geometry.cameras import elevation_roll

Array = NDArray[np.float64]

STEP = np.radians(5.0)
"""Distance of the table's elevations, and of its rolls."""
N_ELEVATIONS, N_ROLLS = 37, 72
ELEVATIONS = -np.pi / 2 + STEP * np.arange(N_ELEVATIONS)
ROLLS = -np.pi + STEP * np.arange(N_ROLLS)
SIGMA = 0.1
"""Standard deviation of ``error_norm`` in the likelihood that the prior is combined with."""


@dataclass(frozen=True)
class CameraPrior:
    """Which cameras are likely, as a penalty that is added to ``error_norm`` squared.

    Poses are ranked, and each one's camera is chosen, by the cost ::

        cost^2 = error_norm^2 + penalty(elevation, roll)

    The penalty is a uniform cubic B-spline (smooth, and within the range of the 16 table values
    around a camera), periodic in roll. Azimuth is free.

    Parameters
    ----------
    table : tuple of 37 tuples of 72 floats
        Control values of the spline, 0 or more. Rows are the elevations -90, -85, ..., 90 degrees,
        columns the rolls -180, -175, ..., 175 degrees.

    Raises
    ------
    ValueError
        If the table has another shape, or a value that is negative or not finite.

    Examples
    --------
    >>> prior = CameraPrior.normal(0.0, np.radians(30), np.radians(10))
    >>> bool(prior.at(0.0, 0.0) < prior.at(0.0, np.radians(10)))
    True
    """

    table: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        # As read from JSON, it is a list of lists.
        object.__setattr__(self, "table", tuple(map(tuple, self.table)))
        shape = tuple(len(row) for row in self.table)
        if shape != (N_ROLLS,) * N_ELEVATIONS:
            raise ValueError(
                f"expected a table of {N_ELEVATIONS} rows of {N_ROLLS} values, got {len(shape)} "
                f"rows of {', '.join(map(str, sorted(set(shape))))}"
            )
        values = np.array(self.table)
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError("expected a table of finite values of 0 or more, got others")

    @classmethod
    def from_array(cls, values: ArrayLike) -> CameraPrior:
        """Return the prior of a table (37, 72) as an array."""
        return cls(np.asarray(values, np.float64).tolist())

    @classmethod
    def from_function(cls, penalty: Callable[[Array, Array], Array]) -> CameraPrior:
        """Return the prior whose table has the values of a function of elevation and roll."""
        elevation, roll = np.meshgrid(ELEVATIONS, ROLLS, indexing="ij")
        return cls.from_array(penalty(elevation, roll))

    @classmethod
    def normal(cls, elevation: float, elevation_spread: float, roll_spread: float) -> CameraPrior:
        """Return the prior of normally distributed elevation and roll.

        Parameters
        ----------
        elevation : float
            The likeliest elevation, radians; the likeliest roll is 0.
        elevation_spread, roll_spread : float
            Standard deviations, radians.

        Raises
        ------
        ValueError
            If a spread is not positive, or the elevation beyond the poles.
        """
        if not -np.pi / 2 <= elevation <= np.pi / 2:
            raise ValueError(f"expected elevation in [-pi/2, pi/2], got {elevation}")
        if not (0 < elevation_spread < np.inf and 0 < roll_spread < np.inf):
            raise ValueError(
                "expected positive elevation_spread and roll_spread, got "
                f"{elevation_spread} and {roll_spread}"
            )
        return cls.from_function(
            lambda e, r: (
                SIGMA**2 * (((e - elevation) / elevation_spread) ** 2 + (r / roll_spread) ** 2)
            )
        )

    def at(self, elevation: ArrayLike, roll: ArrayLike) -> Array:
        """Return the penalty (...) of cameras of these elevations and rolls (...), radians."""
        table = np.array(self.table)
        x = (np.asarray(elevation, np.float64) + np.pi / 2) / STEP
        y = (np.asarray(roll, np.float64) + np.pi) / STEP
        row, column = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
        by_row, by_column = _weights(x - row), _weights(y - column)
        result = np.zeros(np.broadcast_shapes(x.shape, y.shape))
        for i in range(4):
            rows = np.clip(row + i - 1, 0, N_ELEVATIONS - 1)
            for j in range(4):
                values = table[rows, (column + j - 1) % N_ROLLS]
                result = result + by_row[i] * by_column[j] * values
        return result

    def penalty(self, rotation: Array) -> Array:
        """Return the penalty (...) of cameras (..., 3, 3)."""
        return self.at(*elevation_roll(rotation))


def _weights(t: Array) -> tuple[Array, Array, Array, Array]:
    """Return the weights of the four control values about a point, t in [0, 1) after the second."""
    s = 1 - t
    inner = (3 * t**3 - 6 * t**2 + 4) / 6
    return s**3 / 6, inner, 1 - s**3 / 6 - inner - t**3 / 6, t**3 / 6
