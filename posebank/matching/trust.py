"""Trust: the probability that a label's 3D pose is right to within 150 mm.

The mean joint error of a label, in millimetres and unaligned, is modelled as log-normal: its log is
linear in the logs of six things that are known without the truth. The coefficients below were
fitted by ``benchmarks/bench_labels.py`` on CMU subjects, each left out of the bank in turn, and are
tested there on HDM05 actors that neither the bank nor the fit has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from posebank.matching.estimators import Posterior
from posebank.skeleton import N_JOINTS
from posebank.types import Matches

Array = NDArray[np.float64]

TRUSTED_MM = 150.0
FEATURES = ("error_norm", "margin", "missing", "spread_mm", "reach_mm", "effective")


@dataclass(frozen=True)
class TrustModel:
    """log(error in mm) ~ Normal(coefficients . [1, log features], sigma)."""

    coefficients: tuple[float, ...]
    sigma: float

    def expected_mm(self, features: Array) -> Array:
        """Median error (n,) in millimetres that features (n, 6) let expect."""
        result: Array = np.exp(_design(features) @ np.array(self.coefficients))
        return result

    def trust(self, features: Array) -> Array:
        """Probability (n,) of an error below 150 mm."""
        result: Array = ndtr(np.log(TRUSTED_MM / self.expected_mm(features)) / self.sigma)
        return result


MODELS = {
    "nearest": TrustModel((2.0153, 0.1064, -0.143, 0.0079, 0.6946, 0.1835, -0.2834), 0.3952),
    "posterior": TrustModel((2.4394, 0.0862, -0.1137, 0.0701, 0.6589, 0.0929, -0.3031), 0.3755),
    "mixture": TrustModel((2.4394, 0.0862, -0.1137, 0.0701, 0.6589, 0.0929, -0.3031), 0.3755),
}


def _design(features: Array) -> Array:
    logs = np.log(np.maximum(features, 1e-3))
    return np.column_stack([np.ones(len(features)), logs])


def trust_features(matches: Matches, found: Posterior) -> Array:
    """What the trust model looks at, (n, 6).

    The best ``error_norm`` in perspective; the margin to the worst candidate's; missing joints + 1;
    the spread and reach of ``Posterior``; how many candidates share the weight.
    """
    best = found.error_norm.min(axis=1)
    worst = np.where(np.isfinite(found.error_norm), found.error_norm, 0.0).max(axis=1)
    return np.column_stack(
        [
            best,
            worst - best,
            N_JOINTS + 1 - matches.n_annotated,
            found.spread_mm,
            found.reach_mm,
            1 / (found.weight**2).sum(axis=1),
        ]
    )


def fit_trust(features: Array, errors_mm: Array) -> TrustModel:
    """Least squares of log error on log features; sigma is the residual's standard deviation."""
    design, target = _design(features), np.log(errors_mm)
    coefficients = np.linalg.lstsq(design, target, rcond=None)[0]
    sigma = float(np.std(target - design @ coefficients))
    return TrustModel(tuple(round(float(c), 4) for c in coefficients), round(sigma, 4))
