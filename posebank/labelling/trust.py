"""Trust: the probability that a label's 3D pose is right to within 150 mm.

The mean joint error of a label, in millimetres and unaligned, is modelled as log-normal: its log is
linear in the logs of six things that are known without the truth. The coefficients below were
fitted by ``benchmarks/bench_labels.py`` on CMU subjects, each left out of the bank in turn, some of
them people whom the bank does not explain (seen by any camera, or matched with a few clips), and
are tested there on HDM05 actors that neither the bank nor the fit has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from posebank.labelling.estimators import Posterior
from posebank.skeleton import N_JOINTS
from posebank.types import Matches

Array = NDArray[np.float64]

TRUSTED_MM = 150.0
FEATURES = ("error_norm", "margin", "missing", "uncertain_mm", "reach_mm", "effective")
RESIDUAL_MM = 200.0
"""What an ``error_norm`` of 1 adds to the spread: candidates that agree may all be wrong."""


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
    "nearest": TrustModel((1.1849, 0.1326, -0.1475, 0.031, 0.8334, 0.1692, -0.2211), 0.4044),
    "posterior": TrustModel((1.5438, 0.1258, -0.1144, 0.1145, 0.7775, 0.0824, -0.2098), 0.388),
    "mixture": TrustModel((1.0987, 0.0926, -0.1317, 0.113, 0.7602, 0.1118, -0.1631), 0.3691),
}


def _design(features: Array) -> Array:
    logs = np.log(np.maximum(features, 1e-3))
    return np.column_stack([np.ones(len(features)), logs])


def trust_features(matches: Matches, found: Posterior) -> Array:
    """What the trust model looks at, (n, 6).

    The best ``error_norm`` in perspective; the margin to the worst candidate's; missing joints + 1;
    the spread of ``Posterior``, together with the residual; its reach; how many candidates share
    the weight.
    """
    best = found.error_norm.min(axis=1)
    worst = np.where(np.isfinite(found.error_norm), found.error_norm, 0.0).max(axis=1)
    return np.column_stack(
        [
            best,
            worst - best,
            N_JOINTS + 1 - matches.n_annotated,
            np.hypot(found.spread_mm, RESIDUAL_MM * best),
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
