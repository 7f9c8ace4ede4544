"""Trust: the probability that a label's 3D pose is right to within 150 mm.

The mean joint error of a label, in millimetres and unaligned, is modelled as log-normal: its log is
linear in the logs of four things that are known without the truth. The coefficients below were
fitted by ``benchmarks/bench_labels.py`` on CMU subjects that were left out of the bank, and are
tested there on HDM05 actors that neither the bank nor the fit has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from posebank.matching.estimators import candidate_poses, candidate_weights
from posebank.skeleton import N_JOINTS
from posebank.types import Matches, PoseBank

Array = NDArray[np.float64]

TRUSTED_MM = 150.0
FEATURES = ("error_norm", "margin", "missing", "spread_mm")


@dataclass(frozen=True)
class TrustModel:
    """log(error in mm) ~ Normal(coefficients . [1, log features], sigma)."""

    coefficients: tuple[float, float, float, float, float]
    sigma: float

    def expected_mm(self, features: Array) -> Array:
        """Median error (n,) in millimetres that features (n, 4) let expect."""
        result: Array = np.exp(_design(features) @ np.array(self.coefficients))
        return result

    def trust(self, features: Array) -> Array:
        """Probability (n,) of an error below 150 mm."""
        result: Array = ndtr(np.log(TRUSTED_MM / self.expected_mm(features)) / self.sigma)
        return result


MODELS = {
    "nearest": TrustModel((2.0151, 0.0951, 0.1641, 0.1311, 0.7563), 0.4301),
    "posterior": TrustModel((2.5011, 0.0974, 0.2081, 0.1343, 0.639), 0.4062),
}


def _design(features: Array) -> Array:
    logs = np.log(np.maximum(features, 1e-3))
    return np.column_stack([np.ones(len(features)), logs])


def trust_features(bank: PoseBank, matches: Matches) -> Array:
    """What the trust model looks at, (n, 4).

    The best ``error_norm``; the margin to the last candidate's; missing joints + 1; the spread of
    the candidates about their weighted mean in millimetres.
    """
    poses, there = candidate_poses(bank, matches)
    weight = candidate_weights(matches)
    mean = np.einsum("nk,nkjc->njc", weight, poses)
    distance = np.linalg.norm(poses - mean[:, None], axis=-1).mean(axis=-1)
    worst = np.where(there, matches.error_norm, 0.0).max(axis=1)
    return np.column_stack(
        [
            matches.error_norm[:, 0],
            worst - matches.error_norm[:, 0],
            N_JOINTS + 1 - matches.n_annotated,
            1000 * (weight * distance).sum(axis=1),
        ]
    )


def fit_trust(features: Array, errors_mm: Array) -> TrustModel:
    """Least squares of log error on log features; sigma is the residual's standard deviation."""
    design, target = _design(features), np.log(errors_mm)
    coefficients = np.linalg.lstsq(design, target, rcond=None)[0]
    sigma = float(np.std(target - design @ coefficients))
    c = [round(float(v), 4) for v in coefficients]
    return TrustModel((c[0], c[1], c[2], c[3], c[4]), round(sigma, 4))
