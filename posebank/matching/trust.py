"""Trust: how far to believe a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.types import Matches

TRUST_MM = 100.0
"""Expected 3D error at which trust is one half."""

_INTERCEPT = 40.0
_ERROR, _MISSING, _AMBIGUITY = 150.0, 4.0, 0.4


def expected_error_mm(matches: Matches, ambiguity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected 3D error (n,) of the labels in millimetres, unaligned."""
    missing = 13 - matches.n_annotated
    estimate: NDArray[np.float64] = (
        _INTERCEPT + _ERROR * matches.error_norm[:, 0] + _MISSING * missing + _AMBIGUITY * ambiguity
    )
    return estimate


def trust_of(matches: Matches, ambiguity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Trust (n,) in [0, 1]: 1 / (1 + (expected error / 100 mm)^2)."""
    expected = expected_error_mm(matches, ambiguity)
    result: NDArray[np.float64] = 1.0 / (1.0 + (expected / TRUST_MM) ** 2)
    return result
