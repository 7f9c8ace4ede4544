"""Trust: the probability that a label's 3D pose is right to within 150 mm.

The logarithm of the mean joint error (unaligned) is predicted by a linear regression on the
logarithms of features that are known without the truth, and the prediction is turned into a
probability by logistic regression. ``benchmarks/bench_labels.py trust --fit`` fits the models to
CMU and HDM05 actors, each left out of the bank, seen by level, rolled and any cameras
(docs/matching.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit

from posebank.labelling.estimators import Posterior
from posebank.skeleton import N_JOINTS
from posebank.types import Matches

Array = NDArray[np.float64]

TRUSTED_MM = 150.0
FEATURES = (
    "error_norm",
    "margin",
    "missing",
    "uncertain_mm",
    "reach_mm",
    "effective",
    "across_mm",
    "steepness",
)
RESIDUAL_MM = 200.0
"""Uncertainty that an ``error_norm`` of 1 adds: candidates that agree may all be wrong."""
_LEAST = 0.01  # no label is certainly right or wrong
_MODELS = Path(__file__).with_name("trust_models.json")


@dataclass(frozen=True)
class TrustModel:
    """A model of the error of labels.

    Attributes
    ----------
    coefficients : tuple of float
        Of ``[1, log features]``, for the logarithm of the error in millimetres.
    middle : float
        Predicted logarithm for which the probability of an error below 150 mm is a half.
    width : float
        Of the logistic function of the predicted logarithm that is this probability.
    """

    coefficients: tuple[float, ...]
    middle: float
    width: float

    def expected_mm(self, features: Array) -> Array:
        """Return the predicted error (n,) in millimetres for features (n, 8)."""
        return np.asarray(np.exp(self._predict(features)))

    def trust(self, features: Array) -> Array:
        """Return the probability (n,) of an error below 150 mm for features (n, 8)."""
        probability = expit((self.middle - self._predict(features)) / self.width)
        return np.asarray(np.clip(probability, _LEAST, 1 - _LEAST))

    def _predict(self, features: Array) -> Array:
        return np.asarray(self.coefficients[0] + _logs(features) @ self.coefficients[1:])


@cache
def load_models() -> Mapping[str, TrustModel]:
    """Return the fitted models by estimator."""
    stored = json.loads(_MODELS.read_text(encoding="utf-8"))
    return {
        name: TrustModel(tuple(model["coefficients"]), model["middle"], model["width"])
        for name, model in stored.items()
    }


def save_models(models: Mapping[str, TrustModel]) -> None:
    """Write models by estimator into the package."""
    lines = [f' "{name}": {json.dumps(asdict(model))}' for name, model in models.items()]
    _MODELS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def trust_features(matches: Matches, estimate: Posterior) -> Array:
    """Return the features (n, 8) of the trust model.

    They are the best ``error_norm`` in perspective; the margin to that of the worst candidate; the
    number of missing joints plus 1; the spread of the posterior together with the residual; its
    reach; the effective number of candidates, the exponential of the entropy of their weights; the
    spread across the image; and how steeply the best match's camera looks up or down, the sine of
    the angle.

    Parameters
    ----------
    matches : Matches
        Matches of the people.
    estimate : Posterior
        Of these matches.
    """
    best = estimate.error_norm.min(axis=1)
    finite = np.isfinite(estimate.error_norm)
    worst = np.where(finite, estimate.error_norm, 0.0).max(axis=1)
    return np.column_stack(
        [
            best,
            worst - best,
            N_JOINTS + 1 - matches.n_annotated,
            np.hypot(estimate.spread_mm, RESIDUAL_MM * best),
            estimate.reach_mm,
            np.exp(entr(estimate.weight).sum(axis=1)),
            estimate.across_mm,
            np.abs(matches.rotation[:, 0, 2, 1]),
        ]
    )


def fit_trust(features: Array, errors_mm: Array) -> TrustModel:
    """Fit a model to the errors of labels whose truth is known.

    Parameters
    ----------
    features : (n, m)
        Of ``trust_features``.
    errors_mm : (n,)
        Mean joint errors, millimetres.
    """
    from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: PLC0415 - slow

    regression = LinearRegression().fit(_logs(features), np.log(errors_mm))
    coefficients = np.round([regression.intercept_, *regression.coef_], 4)
    predicted = coefficients[0] + _logs(features) @ coefficients[1:]
    logistic = LogisticRegression(C=np.inf).fit(predicted[:, None], errors_mm < TRUSTED_MM)
    slope, level = logistic.coef_[0, 0], logistic.intercept_[0]
    return TrustModel(
        tuple(map(float, coefficients)),
        round(float(-level / slope), 4),
        round(float(-1 / slope), 4),
    )


def _logs(features: Array) -> Array:
    return np.asarray(np.log(np.maximum(features, 1e-3)))
